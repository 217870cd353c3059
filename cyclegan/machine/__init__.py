"""The machine that the networks run on: device, precision, memory, compiler, and the choice of speed levers."""
