"""Write an animated PNG frame by frame: each is a PNG file, whose pixels are taken (PNG, third edition, 11.3.6)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from cyclegan.data.codecs import encode_deep, encode_pillow
from cyclegan.data.codecs.contents import Contents

HEAD = 8
MOST = 65_535
"""The largest numerator and denominator of a duration in seconds."""


def write_apng(frames: Iterable[tuple[Contents, float | None]], plays: int, file: BinaryIO) -> None:
    """Write frames of 8 or 16 bits, grey or RGB, with their durations in milliseconds; the first is the still picture.

    One frame is held. Raises ValueError for frames of several sizes or types.
    """
    header, number, sequence, begin = b"", 0, 0, file.tell()
    for number, (contents, duration) in enumerate(frames, start=1):
        deep = contents.values.dtype == np.uint16
        data = encode_deep.encode_png(contents) if deep else encode_pillow.encode(contents, "PNG")
        chunks = _chunks(data)
        _, size_and_type = next(chunks)
        if number == 1:
            header = size_and_type
            file.write(data[:HEAD] + _chunk(b"IHDR", header) + _chunk(b"acTL", struct.pack(">II", 0, plays)))
        elif size_and_type != header:
            raise ValueError("its frames differ in size or type; choose tif")
        controlled = False
        for kind, body in chunks:
            if kind not in (b"IDAT", b"IEND"):
                file.write(_chunk(kind, body) if number == 1 else b"")
                continue
            if not controlled:
                file.write(_chunk(b"fcTL", struct.pack(">I", sequence) + size_and_type[:8] + _control(duration or 0.0)))
                controlled, sequence = True, sequence + 1
            if kind == b"IDAT" and number == 1:
                file.write(_chunk(b"IDAT", body))
            elif kind == b"IDAT":
                file.write(_chunk(b"fdAT", struct.pack(">I", sequence) + body))
                sequence += 1
    file.write(_chunk(b"IEND", b""))
    end = file.tell()
    file.seek(begin + HEAD + 25)  # after IHDR: now the number of frames is known
    file.write(_chunk(b"acTL", struct.pack(">II", number, plays)))
    file.seek(end)


def _control(milliseconds: float) -> bytes:
    """Return the place (0, 0), the duration, and that the frame replaces what was there."""
    seconds = Fraction(milliseconds / 1000).limit_denominator(MOST)
    if seconds.numerator > MOST:
        seconds = Fraction(min(MOST, round(milliseconds / 1000)))
    return struct.pack(">IIHHBB", 0, 0, seconds.numerator, seconds.denominator, 0, 0)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = HEAD
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
