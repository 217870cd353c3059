"""Write an animated WebP frame by frame: each is a WebP file, whose pixels are taken (RFC 9649, 2.7)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from cyclegan.data.codecs import encode_pillow
from cyclegan.data.codecs.contents import Contents
from cyclegan.data.codecs.encode_pillow import exif_of

ANIMATED, HAS_EXIF, HAS_ALPHA, HAS_PROFILE = 0x02, 0x08, 0x10, 0x20
REPLACES = 0x02
"""The flag of a frame that replaces what was there, instead of being drawn over it."""

LONGEST = 2**24 - 1
"""The longest duration, in milliseconds."""

LARGEST = 2**32 - 2
"""Bytes of the largest file."""


def write_webp(frames: Iterable[tuple[Contents, float | None]], plays: int, file: BinaryIO) -> None:
    """Write frames of 8-bit grey or RGB with their durations in milliseconds, rounded so that their sum is kept.

    One frame is held. Raises ValueError for frames of several sizes, and for a file of more than 4 GiB.
    """
    first: Contents | None = None
    begin, told, written = file.tell(), 0.0, 0
    for contents, duration in frames:
        if first is None:
            first = contents
            file.write(_head(contents, plays, 0))
        elif contents.size != first.size:
            raise ValueError("its frames differ in size; choose tif")
        told += duration or 0.0
        milliseconds = min(LONGEST, max(0, round(told) - written))
        written += milliseconds
        place = b"".join(number.to_bytes(3, "little") for number in (0, 0, *_less_one(contents.size), milliseconds))
        file.write(_chunk(b"ANMF", place + bytes([REPLACES]) + _pixels(encode_pillow.encode(contents, "WEBP"))))
    if first is not None:
        exif = exif_of(first)
        if exif is not None:
            file.write(_chunk(b"EXIF", exif.removeprefix(b"Exif\0\0")))
        end = file.tell()
        if end - begin > LARGEST:
            raise ValueError("its frames need more than the 4 GiB of WebP; choose png")
        file.seek(begin)
        file.write(_head(first, plays, end - begin - 8))
        file.seek(end)


def _head(first: Contents, plays: int, size: int) -> bytes:
    """Return the chunks before the frames, in a file of `size` bytes after the first eight."""
    flags = ANIMATED | (HAS_EXIF if exif_of(first) is not None else 0)
    flags |= (HAS_ALPHA if first.alpha is not None else 0) | (HAS_PROFILE if first.profile is not None else 0)
    canvas = b"".join(side.to_bytes(3, "little") for side in _less_one(first.size))
    profile = b"" if first.profile is None else _chunk(b"ICCP", first.profile)
    animation = _chunk(b"ANIM", bytes(4) + struct.pack("<H", min(65_535, plays)))
    head = _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + canvas) + profile + animation
    return b"RIFF" + struct.pack("<I", size) + b"WEBP" + head


def _pixels(data: bytes) -> bytes:
    """Return the chunks of a still picture that hold its pixels."""
    return b"".join(_chunk(kind, body) for kind, body in _chunks(data) if kind in (b"ALPH", b"VP8 ", b"VP8L"))


def _less_one(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] - 1, size[1] - 1


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
