"""Write files completely or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from cyclegan.util.locks import try_lock
from cyclegan.util.text import reason, shown

PART = re.compile(r"\.cyclegan-[0-9]+-[0-9a-f]{8}\.part")
"""The name of a file that is being written: the process and a random number."""

NAMES = {
    errno.ENOENT,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EINVAL,
    errno.ENAMETOOLONG,
    errno.EILSEQ,
    errno.ELOOP,
}
"""The errors that an impossible file name causes; other errors are about the disk, its permissions or its state."""

UNASKED = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}
"""The errors of a file system that does not support fsync."""


class Unwritten(OSError):
    """A file could not be written; the message is one line with the path and the reason."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(error.errno, error.strerror or reason(error))
        self.path = path

    def __str__(self) -> str:
        return f"{shown(self.path)} cannot be written: {self.strerror}"


def write_whole(
    path: Path,
    content: bytes | Callable[[BinaryIO], object],
    *,
    durable: bool = False,
    ready: Callable[[os.stat_result], object] = lambda about: None,
) -> None:
    """Write a file under a temporary name in the same folder, then rename it to `path`.

    `content` is the bytes, or a function that writes them to the open file in order. The file is renamed when all of
    its bytes are on the disk, so no reader sees half a file; when writing fails, an existing file stays unchanged.
    Missing folders are created; the umask sets the mode. `ready` is called with the file's `stat` just before the
    rename. `durable` also syncs the folder, so that the new name survives a loss of power, not only a killed process.
    Raises Unwritten when the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)
        with _part(path.parent) as (part, file):
            size = _fill(file, content)
            about = part.stat()
            if about.st_size != size:
                raise OSError(errno.EIO, f"only {about.st_size:,} of its {size:,} bytes are on the disk")
            ready(about)
            part.replace(path)
        if durable and os.name != "nt":  # Windows cannot open folders
            _sync_folder(path.parent)
    except Unwritten:  # from a file that `ready` writes
        raise
    except OSError as error:
        raise Unwritten(path, error) from error


def look_for_leftovers() -> None:
    """Let `write_whole` look once more for temporary files of killed processes in each folder that it writes to."""
    _remove_leftovers.cache_clear()


def is_about_its_name(error: OSError) -> bool:
    """Return whether a file could not be opened or written because of its name, or of something else of that name."""
    return error.errno in NAMES


def _fill(file: BinaryIO, content: bytes | Callable[[BinaryIO], object]) -> int:
    """Write the content, sync it to the disk, close the file; returns the number of bytes written."""
    with file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)
        file.flush()
        size = file.tell()
        sync(file.fileno())
    return size


@contextmanager
def _part(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Open a new temporary file, locked so that no other process removes it as a leftover.

    It is removed at the end, unless it was renamed.
    """
    part, file = _new_part(folder)
    lock = None
    try:
        if os.name != "nt":  # Windows can neither rename nor remove an open file
            lock = os.dup(file.fileno())
        yield part, file
    finally:
        with suppress(OSError):
            file.close()
        with suppress(OSError):
            part.unlink()
        if lock is not None:
            os.close(lock)


def _new_part(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        part = folder / f".cyclegan-{os.getpid()}-{secrets.token_hex(4)}.part"
        file = part.open("x+b")
        try:
            if os.name == "nt" or (try_lock(file.fileno()) and part.exists()):
                return part, file
        except OSError:  # no locks on this file system, so no process removes leftovers
            return part, file
        file.close()  # another process removed it as a leftover before it was locked


@cache
def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes, once for each folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        for part in [folder / entry.name for entry in entries if PART.fullmatch(entry.name)]:
            with suppress(OSError):
                _remove_if_left(part)


def _remove_if_left(part: Path) -> None:
    if os.name == "nt":
        return part.unlink()  # fails while a process writes it
    with part.open("rb+") as file:
        if try_lock(file.fileno()):  # its writer has ended, which released the lock
            part.unlink()


def sync(file: int) -> None:
    """Sync an open file, given by its descriptor, to the disk. Raises OSError when that fails.

    A file system without fsync is no error.
    """
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in UNASKED:
            raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        sync(handle)
    finally:
        os.close(handle)
