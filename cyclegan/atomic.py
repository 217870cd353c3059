"""Files are written whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object], *, durable: bool = False) -> None:
    """Let `write` fill a file beside `path`, then put it in its place: nobody ever sees half a file.

    Missing folders are made. When `write` fails, what was there before stays. `durable` also waits until the disk has
    it, so that it outlives a loss of power and not just a killed process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    try:
        write(part)
        if durable:
            _sync(part)
        part.replace(path)
        if durable and os.name != "nt":  # Windows opens no folders
            _sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    """The file beside it that is being written, always the same one."""
    name = os.fsencode(path.name)
    if len(name) > 250:  # a name holds 255 bytes
        name = name[:200] + hashlib.sha256(name).hexdigest()[:16].encode()
    return path.with_name(os.fsdecode(name) + ".part")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
