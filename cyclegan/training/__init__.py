"""Training: one loop that plays the learner of any method."""
