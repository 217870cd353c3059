"""File locks that one process holds; the system releases them when the process ends, even if it is killed."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cyclegan.util.text import one_line, shown

FAR = 2**30
"""The byte that is locked on Windows: it is far from the file's text, because a locked byte cannot be read."""


class Busy(ValueError):
    """Another process holds the lock; the message is one line that names it."""


def try_lock(file: int) -> bool:
    """Lock an open file, given by its descriptor, until it is closed; return False if another process has locked it.

    Raises OSError when the file system has no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            here = os.lseek(file, 0, os.SEEK_CUR)
            os.lseek(file, FAR, os.SEEK_SET)
            try:
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(file, here, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        raise OSError(errno.ENOSYS, "this system has no file locks") from None
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def is_free(path: Path) -> bool | None:
    """Return whether no process of this machine has the file locked; None if the file system has no locks.

    Raises FileNotFoundError when there is no such file, and OSError when it cannot be opened.
    """
    file = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        return try_lock(file)
    except OSError:
        return None
    finally:
        os.close(file)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Create the lock file `path`, hold its lock inside the `with` block, then remove it.

    Yields False if the file system has no locks, else True. A lock file that a killed process left does not block.
    Raises Busy when another process holds the lock, and OSError when the file cannot be created.
    """
    file, held = _open_locked(path)
    try:
        yield held
    finally:
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(file)
        with suppress(OSError):
            path.unlink()
        if sys.platform != "win32":
            os.close(file)


def _open_locked(path: Path) -> tuple[int, bool]:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            held = _locks(file, path)
            if _is_there(file, path):
                os.ftruncate(file, 0)
                os.lseek(file, 0, os.SEEK_SET)
                with suppress(OSError):  # a full disk is reported by later, larger writes
                    os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return file, held
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # the previous holder has just removed this file: try again with a new one


def _locks(file: int, path: Path) -> bool:
    try:
        got = try_lock(file)
    except OSError:  # for example NFS without its lock service
        return False
    if not got:
        os.lseek(file, 0, os.SEEK_SET)
        who = one_line(os.read(file, 300).decode(errors="replace")) or "another process"
        raise Busy(f"{shown(path.parent)}: in use by {who}; wait until it ends, or choose another directory")
    return True


def _is_there(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
