"""What this machine can do, and how to use it: device, precision, memory, compiler, levers."""
