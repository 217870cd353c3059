"""Files are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object], *, durable: bool = False) -> None:
    """Let `write` fill a file beside `path`, then put it in its place: nobody ever sees half a file.

    Missing folders are made. When `write` fails, what was there before stays. `durable` also waits until the disk has
    it, so that it outlives a loss of power and not just a killed process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        if durable:
            _sync(part)
        part.replace(path)
        if durable and os.name != "nt":  # Windows opens no folders
            _sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
