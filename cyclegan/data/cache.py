"""A cache of decoded pictures: in RAM as long as they fit, then in a scratch file if there is one."""

from __future__ import annotations

import math
import threading
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cyclegan.data.scratch import Scratch

Array: TypeAlias = npt.NDArray[Any]

PLACE = np.dtype([("start", "i8"), ("height", "i4"), ("width", "i4"), ("channels", "i4"), ("kind", "i1")])
"""Where a picture is in the scratch file, and what it is; its kind is 0 if it is not there."""


class Cache:
    """Arrays (H, W, C) of any size and type by index, from 0 to `number` - 1; thread-safe.

    Those that fit into `memory` bytes together stay in RAM, the others go to `scratch`. Nothing is ever removed.
    """

    def __init__(self, number: int, memory: int, scratch: Scratch | None = None) -> None:
        self._room, self._scratch = memory, scratch
        self._in_ram: dict[int, Array] = {}
        self._places = np.zeros(number if scratch else 0, PLACE)
        self._kinds: list[np.dtype[Any]] = []
        self._lock = threading.Lock()

    def get(self, index: int) -> Array | None:
        """Return an array; None if it is not cached."""
        kept = self._in_ram.get(index)
        if kept is not None or self._scratch is None:
            return kept
        with self._lock:
            start, *shape, kind = self._places[index].item()
        if not kind:
            return None
        dtype = self._kinds[kind - 1]
        try:
            data = self._scratch.read(start, math.prod(shape) * dtype.itemsize)
        except OSError:  # too many mappings, or too little memory for one: the picture is decoded again
            return None
        return np.frombuffer(data, dtype).reshape(shape)

    def put(self, index: int, array: Array) -> None:
        """Keep an array if there is room for it; it must not be changed afterwards."""
        with self._lock:
            if index in self._in_ram or (self._scratch and self._places[index]["kind"]):
                return  # another thread decoded it at the same time
            if array.nbytes <= self._room:
                self._room -= array.nbytes
                self._in_ram[index] = array if array.base is None else array.copy()  # a view keeps a whole picture
                return
        if self._scratch:
            self._append(index, array, self._scratch)

    def _append(self, index: int, array: Array, scratch: Scratch) -> None:
        start = scratch.append(np.ascontiguousarray(array).data)
        if start is None:
            return
        with self._lock:
            if array.dtype not in self._kinds:
                self._kinds.append(array.dtype)
            self._places[index] = (start, *array.shape, self._kinds.index(array.dtype) + 1)
