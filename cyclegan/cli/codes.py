"""What a command exits with: 0 when done, 128 + n when ended by signal n, and these."""

from __future__ import annotations

from cyclegan.util.atomic import is_about_its_name

MISTAKE = 2
"""Of the person; told in one line."""
UNREADABLE = 3
"""Some pictures could not be read or translated; the others are done."""
UNSAVED = 4
"""The end of a training could not be saved."""
DIVERGED = 5
"""A training's numbers were not finite any more."""
REFUSED = 6
"""By the system: a full disk, no permission, a quota, an I/O error, no more memory."""


def code_of(error: Exception) -> int:
    """What a command exits with that ended in this error: a file of a wrong name is a mistake, a full disk is none."""
    if isinstance(error, OSError) and error.errno is not None and not is_about_its_name(error):
        return REFUSED
    return REFUSED if isinstance(error, MemoryError | RuntimeError) else MISTAKE  # RuntimeError is torch's, of memory
