"""What every floor uses, and no floor owns: files, text, signals, progress."""
