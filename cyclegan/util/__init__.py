"""Helpers that all other packages use: files, text, signals, progress."""
