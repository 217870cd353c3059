"""What a command exits with: 0 when done, 128 + n when ended by signal n, and these."""

from __future__ import annotations

MISTAKE = 2
"""Of the person; told in one line."""
UNREADABLE = 3
"""Some pictures could not be read; the others are done."""
UNSAVED = 4
"""The end of a training could not be saved."""
DIVERGED = 5
"""A training's numbers were not finite any more."""
