"""Write a TIFF file by strips of rows, which are cut into tiles; BigTIFF where it could exceed 4 GB."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from cyclegan.data.codecs import encode_tiff
from cyclegan.data.codecs.contents import Contents

TILE = 256
"""Pixels on a side of a tile, unless the picture is very wide."""

SAMPLES = 2**24
"""Most samples of a strip."""

MOST_BYTES = 2**32 - 2**25
"""Most bytes of pixels in a file that is not BigTIFF: deflate may fail to make noise smaller."""

BUFFER = 2**24
"""Bytes of tiles that are compressed ahead."""

THREADS = min(4, os.cpu_count() or 1)


def rows_of_a_strip(whole: Contents) -> int:
    """Return how many rows a strip has: those of a tile."""
    rows = TILE
    while rows > 16 and rows * whole.samples_of_a_row > SAMPLES:
        rows //= 2
    return rows


def write(file: BinaryIO, whole: Contents, strips: Iterable[Contents]) -> None:
    """Write a file, open for reading too, from strips of `rows_of_a_strip` rows, the last of fewer."""
    (width, height), channels = whole.size, whole.values.shape[2] + (whole.alpha is not None)
    dtype = whole.values.dtype
    encode_tiff.write(
        file,
        _tiles(strips),
        whole,
        shape=(height, width, channels) if channels > 1 else (height, width),
        dtype=dtype,
        tile=(rows_of_a_strip(whole), TILE),
        bigtiff=width * height * channels * dtype.itemsize > MOST_BYTES,
        maxworkers=THREADS,
        buffersize=BUFFER,
    )


def _tiles(strips: Iterable[Contents]) -> Iterator[npt.NDArray[Any]]:
    """Yield the tiles of each strip from left to right; those at the edges are smaller."""
    for strip in strips:
        samples = strip.with_alpha()
        for left in range(0, samples.shape[1], TILE):
            tile = np.ascontiguousarray(samples[:, left : left + TILE])
            yield tile if tile.shape[2] > 1 else tile[..., 0]
