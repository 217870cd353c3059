"""Locks on files: held by one process, and given back by the system when it ends, however it ends."""

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
"""The byte that Windows locks: nobody can read a locked one, and what the file says must stay readable."""


class Busy(ValueError):  # noqa: N818  # reads well where it is raised
    """Another process holds the lock; the message is one line that says who."""


def try_lock(file: int) -> bool:
    """Lock an open file until it is closed; False where another has locked it.

    Raises OSError where the file system has no locks.
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
        raise OSError(errno.ENOSYS, "this system has no locks") from None
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` meanwhile; it is made, and removed in the end. False where the disk has no locks.

    Raises Busy when another process holds it, OSError when it cannot be made. A killed process holds nothing.
    """
    file, held = _open_locked(path)
    try:
        yield held
    finally:
        if sys.platform == "win32":  # where a file that is open cannot be removed
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
                with suppress(OSError):  # a full disk is met by what needs it
                    os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return file, held
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # whoever held it has just removed it: what we locked is nobody's any more


def _locks(file: int, path: Path) -> bool:
    try:
        got = try_lock(file)
    except OSError:  # NFS without its lock service, and the like
        return False
    if not got:
        os.lseek(file, 0, os.SEEK_SET)
        who = one_line(os.read(file, 300).decode(errors="replace")) or "another process"
        raise Busy(f"{shown(path.parent)}: {who} is at work in it; wait until it ends, or choose another directory")
    return True


def _is_there(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
