"""Pages that show what a run learned: each one file that asks the network for nothing."""
