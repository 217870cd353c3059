"""Arrays in nameless temporary files, for what does not fit into RAM."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from cyclegan.util.text import reason, shown

SPARE = 2**30
"""Bytes that stay free on the disk, for outputs and other programs."""

BLOCK = 2**22
"""Bytes that are written at a time where a file system cannot reserve space."""

CANNOT = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""The errors of a file system that cannot reserve space."""


class NoRoom(ValueError):
    """A disk has too little room for a temporary file; the message is one line with the folder and what to do."""


def mapped(
    shape: tuple[int, ...], dtype: npt.DTypeLike, folder: Path | None = None, *, spare: int = SPARE
) -> npt.NDArray[Any]:
    """Return an array of zeros that lies in a new temporary file in `folder`, by default `usual_folder()`.

    The system keeps in RAM what fits there and writes the rest to the disk. The file has no name on Linux and macOS,
    and Windows removes it when it is closed, so a killed process leaves none behind; its room is free again once the
    array and its views are. All of the room is reserved first, because a full disk under a mapping kills the process.
    Raises NoRoom when less than `spare` bytes would stay free, or the file cannot be made.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if not size:  # an empty file cannot be mapped
        return np.zeros(shape, dtype)
    place = folder or usual_folder()
    try:
        if (free := shutil.disk_usage(place).free) < size + spare:
            raise NoRoom(_told(place, size, f"{_gib(max(0, free - spare))} are free, without {_gib(spare)} in reserve"))
        with tempfile.TemporaryFile(dir=place, prefix=".cyclegan-mapped-", buffering=0) as file:
            _reserve(cast(BinaryIO, file), size)
            return np.asarray(np.memmap(file, dtype, "r+", shape=shape))
    except OSError as error:
        raise NoRoom(_told(place, size, error.strerror or reason(error))) from None


def usual_folder() -> Path:
    """Return the folder for large temporary files: what TMPDIR says, else /var/tmp, because /tmp may lie in RAM."""
    is_told = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    on_disk = Path("/var/tmp")
    return on_disk if not is_told and os.access(on_disk, os.W_OK) else Path(tempfile.gettempdir())


def _reserve(file: BinaryIO, size: int) -> None:
    """Give a file a length such that no later write to it can fail for lack of room."""
    if sys.platform == "win32":
        file.truncate(size)  # which reserves it there
        return
    if sys.platform != "darwin":
        try:
            return os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in CANNOT:
                raise
    for at in range(0, size, BLOCK):
        rest = memoryview(bytes(min(BLOCK, size - at)))
        while rest:  # a nearly full disk may accept only a part
            rest = rest[file.write(rest) or 0 :]


def _told(folder: Path, size: int, why: str) -> str:
    return f"no room for {_gib(size)} of temporary data in {shown(folder)} ({why}); free some, or set TMPDIR to another"


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
