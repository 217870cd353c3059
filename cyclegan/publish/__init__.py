"""What leaves a run: a generator's file with its card, and the hub."""
