"""Data loading: find, read, augment and batch pictures."""
