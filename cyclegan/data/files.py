"""Picture files: which there are in a folder, their bytes, and the errors about them."""

from __future__ import annotations

import stat
from pathlib import Path

from cyclegan.data.codecs.limits import most_bytes, too_large
from cyclegan.data.kinds import other_kind, told_unread
from cyclegan.data.listing import Listing, list_files
from cyclegan.util.text import shown


class UnreadableImage(ValueError):
    """A picture file cannot be read; the message is one line with the path and the reason."""


class UnwritableImage(OSError):
    """The format of a file cannot store the picture; the message is one line with the path and the reason."""


def find_images(folder: Path) -> Listing:
    """Return all pictures in `folder` and its subfolders, sorted by their path below it; see `list_files`.

    Broken links and pipes are returned too, so that reading reports them instead of skipping them silently.
    Raises FileNotFoundError when there is no such folder, or no picture in it.
    """
    found = list_files(folder, lambda name: other_kind(folder, name))
    if not found:
        unread = told_unread(found.others)
        raise FileNotFoundError(f"no picture in {shown(folder)}{f'; {unread}' if unread else ''}")
    return found


def contents(path: Path) -> bytes:
    """Return all bytes of a file.

    Pillow and libtiff do not get the file itself: if it shrank while they had it mapped, the process would be killed.
    Raises what `size_of_file` raises, and OSError when it cannot be read.
    """
    size_of_file(path)
    return path.read_bytes()


def size_of_file(path: Path) -> int:
    """Return the number of bytes of a file.

    Raises ValueError when `path` is not a regular file or has more than `most_bytes`, and OSError when it has no state.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):  # checked before the file is opened, because opening a pipe blocks forever
        raise ValueError("a directory, pipe or device, not a file")
    if about.st_size > (limit := most_bytes()):
        raise ValueError(too_large(f"{about.st_size:,} bytes", limit))
    return about.st_size
