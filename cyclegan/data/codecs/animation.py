"""How many frames an animated GIF, PNG or WebP file has, and how often they play, without decoding them."""

from __future__ import annotations

import os
from typing import BinaryIO, NamedTuple, overload

from cyclegan.data.codecs.signature import Format

FOREVER = 0

NETSCAPE = b"NETSCAPE2.0"
"""The name of the extension of GIF that says how often an animation repeats."""

PNG_HEAD, WEBP_HEAD, GIF_HEAD = 8, 12, 13


class Animation(NamedTuple):
    """What the header of a file says about its frames."""

    frames: int
    """Number of frames; 1 for a still picture."""
    plays: int
    """How often they play; 0 is without end."""
    transparent: bool
    """Whether any frame may have transparent pixels."""


STILL = Animation(1, FOREVER, False)


class InFile:
    """The bytes of an open file, which are only read where they are looked at."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> bytes: ...
    def __getitem__(self, at: int | slice) -> int | bytes:
        begin, end = (at, at + 1) if isinstance(at, int) else (at.start or 0, at.stop)
        self.file.seek(begin)
        found = self.file.read(end - begin)
        return found[0] if isinstance(at, int) else found


Bytes = bytes | InFile


def animation_of(data: Bytes, file_format: Format | None) -> Animation:
    """Return what a file says about its frames; `STILL` for every other format. Damage is left to the decoder."""
    match file_format:
        case "GIF":
            return _gif(data)
        case "PNG":
            return _png(data)
        case "WEBP":
            return _webp(data)
    return STILL


def _gif(data: Bytes) -> Animation:
    """Walk over the blocks of a GIF file (GIF89a, sections 18 to 27)."""
    frames, plays, transparent = 0, 1, False  # without the extension it plays once
    at = GIF_HEAD + _table(data, 10)
    while at < len(data):
        if data[at] == 0x2C:
            frames += 1
            at = _skip_blocks(data, at + 11 + _table(data, at + 9))  # and the size of the codes
        elif data[at] == 0x21:
            if data[at + 1 : at + 3] == b"\xf9\4":
                transparent |= bool(data[at + 3] & 1) if at + 3 < len(data) else False
            elif data[at + 3 : at + 14] == NETSCAPE and data[at + 14 : at + 16] == b"\3\1":
                repeats = int.from_bytes(data[at + 16 : at + 18], "little")
                plays = repeats + 1 if repeats else FOREVER
            at = _skip_blocks(data, at + 2)
        else:  # the trailer, or garbage
            break
    return Animation(max(1, frames), plays, transparent or frames == 0)


def _table(data: Bytes, at: int) -> int:
    """Return the bytes of the table of colours that the flags at this place announce."""
    flags = data[at] if at < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip_blocks(data: Bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def _png(data: Bytes) -> Animation:
    """Look for acTL, which comes before the pixels (PNG, third edition, 11.3.6.1)."""
    at, frames, plays = PNG_HEAD, 1, FOREVER
    has_alpha = data[25:26] in (b"\4", b"\6")
    while at + 12 <= len(data):
        kind, size = data[at + 4 : at + 8], int.from_bytes(data[at : at + 4], "big")
        if kind == b"acTL":
            frames, plays = (int.from_bytes(data[at + 8 + i : at + 12 + i], "big") for i in (0, 4))
        elif kind == b"tRNS":
            has_alpha = True
        elif kind in (b"IDAT", b"IEND"):
            break
        at += 12 + size
    return Animation(max(1, frames), plays, has_alpha)


def _webp(data: Bytes) -> Animation:
    """Count the frames of an extended WebP file (RFC 9649, 2.7)."""
    if data[12:16] != b"VP8X" or len(data) < 30 or not data[20] & 0x02:
        return STILL
    at, frames, plays = WEBP_HEAD, 0, FOREVER
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"ANIM":
            plays = int.from_bytes(data[at + 12 : at + 14], "little")
        frames += kind == b"ANMF"
        at += 8 + size + size % 2
    return Animation(max(1, frames), plays, bool(data[20] & 0x10))
