"""Write a PNG file by strips of rows, which threads filter and compress on their own (PNG 1.2; RFC 1950 and 1951)."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

import imagecodecs
import numpy as np
import numpy.typing as npt

from cyclegan.data.codecs.contents import Contents
from cyclegan.data.codecs.encode_deep import chunk, chunks_of
from cyclegan.util.prefetch import prefetch

COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""The colour type of each number of channels."""

LEVEL = 5
"""Effort of deflate, by strips as small as level 6 of the whole and a third faster."""

BEGIN, END = b"\x78\x5e", b"\x03\0"
"""The header of a zlib stream of this level, and an empty last block."""

SAMPLES = 2**21
"""About so many samples of a strip are enough: what is lost at its begin is less than a thousandth."""

THREADS = min(4, os.cpu_count() or 1)


class Strip(NamedTuple):
    """Samples of a strip, below the row before it if there is one."""

    samples: npt.NDArray[Any]
    follows: bool


def rows_of_a_strip(whole: Contents) -> int:
    """Return how many rows a strip has."""
    return max(1, SAMPLES // whole.samples_of_a_row)


def write(file: BinaryIO, whole: Contents, strips: Iterable[Contents]) -> None:
    """Write a file from strips of any number of rows; `whole` says what the file says."""
    depth = 8 * whole.values.dtype.itemsize
    channels = whole.values.shape[2] + (whole.alpha is not None)
    header = struct.pack(">IIBBBBB", *whole.size, depth, COLOURS[channels], 0, 0, 0)
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks_of(whole))
    checksum, begin = zlib.adler32(b""), BEGIN
    for filtered, compressed in prefetch(_compressed, _with_the_row_before(strips), THREADS):
        checksum = zlib.adler32(filtered, checksum)
        file.write(chunk(b"IDAT", begin + compressed))
        begin = b""
    file.write(chunk(b"IDAT", begin + END + checksum.to_bytes(4, "big")) + chunk(b"IEND", b""))


def _with_the_row_before(strips: Iterable[Contents]) -> Iterator[Strip]:
    """Yield the samples of each strip with the last row of the one before, to which filters compare the first."""
    last = None
    for strip in strips:
        samples = strip.with_alpha()
        yield Strip(samples if last is None else np.concatenate([last, samples]), last is not None)
        last = samples[-1:]


def _compressed(strip: Strip) -> tuple[memoryview, bytes]:
    """Return the filtered rows of a strip, and the same as blocks of a deflate stream, none of which is the last."""
    samples = np.ascontiguousarray(strip.samples)
    length = 1 + samples[0].nbytes
    stored = bytes(imagecodecs.png_encode(samples[..., 0] if samples.shape[2] == 1 else samples, level=0))
    filtered = memoryview(zlib.decompress(b"".join(_data(stored))))[length if strip.follows else 0 :]
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED)
    return filtered, deflate.compress(filtered) + deflate.flush(zlib.Z_FULL_FLUSH)


def _data(png: bytes) -> Iterator[memoryview]:
    """Yield the contents of the chunks of compressed pixels."""
    at, view = 8, memoryview(png)
    while at < len(png):
        size = int.from_bytes(view[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            yield view[at + 8 : at + 8 + size]
        at += 12 + size
