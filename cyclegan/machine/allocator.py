"""Keep the large blocks of memory that a computation frees and allocates again and again."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

TRIM, MMAP_MAX = -1, -4
"""Parameters of mallopt(3)."""

NEVER, BLOCKS, KEPT = 2**31 - 1, 65536, 2**26
"""A trim threshold that is never reached; the defaults of glibc: mapped blocks, bytes kept at the top of the heap."""

_users = 0
_lock = Lock()


@contextmanager
def blocks_kept() -> Iterator[None]:
    """Keep large blocks in the process while this context is open; give them back to the system at its end.

    glibc maps every large block from the system and unmaps it when it is freed, so that each new tensor costs a fault
    for each of its pages: banded inference spent a third of its time there. With other C libraries, nothing changes.
    The setting is one of the process; contexts may overlap.
    """
    global _users
    library = _glibc()
    if library is None:
        yield
        return
    with _lock:
        _users += 1
        if _users == 1:
            library.mallopt(MMAP_MAX, 0)
            library.mallopt(TRIM, NEVER)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                library.mallopt(MMAP_MAX, BLOCKS)
                library.mallopt(TRIM, KEPT)
                library.malloc_trim(0)


def _glibc() -> Any:
    """Return the C library of this process if it is glibc, else None."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") and hasattr(library, "mallopt") else None
