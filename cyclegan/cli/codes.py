"""Exit codes of all commands: 0 on success, 128 + n when ended by signal n, and these."""

from __future__ import annotations

from cyclegan.util.atomic import is_about_its_name

MISTAKE = 2
"""Invalid input; the message is one line."""
UNREADABLE = 3
"""Some pictures could not be read or translated; all others are done."""
UNSAVED = 4
"""The training finished, but its last checkpoint could not be saved."""
DIVERGED = 5
"""Training diverged: losses or gradients were no longer finite."""
REFUSED = 6
"""Refused by the system: full disk, no permission, quota, I/O error, out of memory."""


def code_of(error: Exception) -> int:
    """Return the exit code for an error. A wrong file name is a mistake, a full disk is not."""
    if isinstance(error, OSError) and error.errno is not None and not is_about_its_name(error):
        return REFUSED
    return REFUSED if isinstance(error, MemoryError | RuntimeError) else MISTAKE  # RuntimeError: torch is out of memory
