"""Files are written whole or not at all."""

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
"""The name of a file that is being written: of which process, and a number of its own."""

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
"""What the system answers to a name that cannot be; other answers are about the disk, its rights, or its state."""

UNASKED = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}
"""What a file system answers that cannot be asked whether it has the bytes."""


class Unwritten(OSError):  # noqa: N818  # reads well where it is raised
    """A file that could not be written; the message is one line, the path and the reason."""

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
    """Write bytes, or what `content` writes from beginning to end, beside `path`, then put it in its place.

    Nobody ever sees half a file: it takes its place when all of it is on the disk. Missing folders are made; the umask
    sets the mode; when writing fails, what was there before stays. `ready` is told the file's size and time just before
    it takes its place. `durable` also waits for its name, so that it outlives a loss of power and not just a killed
    process. Raises Unwritten.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)
        with _part(path.parent) as (part, file):
            size = _fill(file, content)
            about = part.stat()
            if about.st_size != size:
                raise OSError(errno.EIO, f"the disk has {about.st_size:,} of its {size:,} bytes")
            ready(about)
            part.replace(path)
        if durable and os.name != "nt":  # Windows opens no folders
            _sync_folder(path.parent)
    except Unwritten:  # of what `ready` writes
        raise
    except OSError as error:
        raise Unwritten(path, error) from error


def is_about_its_name(error: OSError) -> bool:
    """Whether a file could not be opened or written because of how it is called, or what else is called so."""
    return error.errno in NAMES


def _fill(file: BinaryIO, content: bytes | Callable[[BinaryIO], object]) -> int:
    """Write it, wait until the disk has it, close it; returns how many bytes there should be."""
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
    """A file to write, under a name of its own, locked meanwhile so that nobody takes it for a leftover.

    It is gone in the end, unless it has another name by then.
    """
    part, file = _new_part(folder)
    lock = None
    try:
        if os.name != "nt":  # which renames no file that is open, and removes none
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
        file = part.open("xb")
        try:
            if os.name == "nt" or (try_lock(file.fileno()) and part.exists()):
                return part, file
        except OSError:  # no locks here, so nobody removes leftovers
            return part, file
        file.close()  # somebody who removes leftovers was quicker than the lock


@cache
def _remove_leftovers(folder: Path) -> None:
    """Remove what killed processes had begun to write here; once is enough, however many files are written."""
    with suppress(OSError), os.scandir(folder) as entries:
        for part in [folder / entry.name for entry in entries if PART.fullmatch(entry.name)]:
            with suppress(OSError):
                _remove_if_left(part)


def _remove_if_left(part: Path) -> None:
    if os.name == "nt":
        return part.unlink()  # which fails while somebody writes it
    with part.open("rb+") as file:
        if try_lock(file.fileno()):  # its writer is gone, and its lock with it
            part.unlink()


def sync(file: int) -> None:
    """Wait until the disk has an open file. Raises OSError when it cannot take it."""
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
