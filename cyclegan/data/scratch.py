"""A temporary file for decoded pictures that do not fit into RAM; it never outlives its process."""

from __future__ import annotations

import mmap
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from cyclegan.util.text import reason, shown

SPARE = 10 * 2**30
"""Bytes that stay free on the disk, for checkpoints and other programs."""


class Scratch:
    """A file in `folder` to which bytes are appended, and from which they are mapped into memory; thread-safe.

    It has no name on Linux and macOS, and Windows removes it when it is closed, so a killed process leaves none behind.
    Nothing more is written once less than `spare` bytes are free or the disk refuses; `note` is then called once.
    Raises ValueError when the file cannot be created.
    """

    def __init__(self, folder: Path, note: Callable[[str], None], *, spare: int = SPARE) -> None:
        self.folder, self._note, self._spare = folder, note, spare
        try:
            self._file = tempfile.TemporaryFile(dir=folder, prefix=".cyclegan-cache-", buffering=0)  # noqa: SIM115
        except OSError as error:
            why = error.strerror or reason(error)
            raise ValueError(f"data.cache_dir: no file can be written in {shown(folder)}: {why}") from None
        self._end, self._full = 0, False
        self._lock = threading.Lock()

    def append(self, data: memoryview) -> int | None:
        """Write contiguous bytes; returns their position, or None when there is no room for them."""
        with self._lock:
            if self._full:
                return None
            try:
                self._write(data.cast("B"))
            except OSError as error:
                self._full = True
                rest = "the other pictures are decoded each time that they are used"
                self._note(f"data.cache_dir: {shown(self.folder)} is full ({error.strerror or reason(error)}); {rest}")
                return None
            self._end += data.nbytes
            return self._end - data.nbytes

    def read(self, start: int, length: int) -> memoryview:
        """Map `length` bytes at a position; the mapping lasts as long as they are used, changes do not reach the file.

        Raises OSError when it cannot be mapped.
        """
        first = start - start % mmap.ALLOCATIONGRANULARITY
        mapped = mmap.mmap(self._file.fileno(), start - first + length, access=mmap.ACCESS_COPY, offset=first)
        return memoryview(mapped)[start - first :]

    def _write(self, data: memoryview) -> None:
        # Not through a mapping: a full disk would kill the process.
        if shutil.disk_usage(self.folder).free < self._spare + len(data):
            raise OSError(f"less than {self._spare / 2**30:.3g} GiB would be left free")
        self._file.seek(self._end)
        while data:  # a nearly full disk may accept only a part
            data = data[self._file.write(data) or 0 :]
