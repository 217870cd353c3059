"""Training: one loop that plays the game of any method."""
