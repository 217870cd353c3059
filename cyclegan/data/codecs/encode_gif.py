"""Write an animated GIF frame by frame, each with the palette that suits it (GIF89a)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import BinaryIO, NamedTuple

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

from cyclegan.data.codecs.animation import FOREVER, GIF_HEAD, NETSCAPE
from cyclegan.data.codecs.contents import Contents

COLOURS = 256
OPAQUE = 0.5
"""The least share of opacity of a pixel that is drawn; GIF has no half transparency."""

AS_GOOD = 1.2
"""A frame keeps the palette of the one before if its squared error is at most this many times that of its own one."""

SAMPLE = 2**12
"""About how many pixels of a frame its palette is made from: a better palette of some is quicker than one of all."""

BAYER = np.array([[0, 32, 8, 40, 2, 34, 10, 42], [48, 16, 56, 24, 50, 18, 58, 26],
                  [12, 44, 4, 36, 14, 46, 6, 38], [60, 28, 52, 20, 62, 30, 54, 22],
                  [3, 35, 11, 43, 1, 33, 9, 41], [51, 19, 59, 27, 49, 17, 57, 25],
                  [15, 47, 7, 39, 13, 45, 5, 37], [63, 31, 55, 23, 61, 29, 53, 21]], np.float32) / 63 - 0.5  # fmt: skip
"""The ordered dither of Bayer (1973), -0.5 to 0.5: unlike spread errors, it stays where it is from frame to frame."""

ROOM = 4096
"""More than the bytes of a frame's headers and palette."""

LONGEST = 65_535
"""The longest duration, in hundredths of a second."""

Pixels = npt.NDArray[np.uint8]


class Indexed(NamedTuple):
    """A frame with its palette."""

    indices: Pixels
    """(H, W)."""
    palette: Pixels
    """(N, 3), N up to 256."""
    dither: float = 0.0
    """How far apart the values of the dither are; 0 where each colour is exact."""


def write_gif(frames: Iterable[tuple[Contents, float | None]], plays: int, file: BinaryIO) -> None:
    """Write frames of 8-bit grey or RGB with their durations in milliseconds, rounded so that their sum is kept.

    At most two frames are held. Raises ValueError for frames of several sizes.
    """
    size: tuple[int, int] | None = None
    before: Indexed | None = None
    told, written = 0.0, 0
    for contents, duration in frames:
        if size is None:
            size = contents.size
            file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0x70, 0, 0) + _repeats(plays))
        elif contents.size != size:
            raise ValueError("its frames differ in size; choose tif")
        told += duration or 0.0
        hundredths = min(LONGEST, max(0, round(told / 10) - written))
        written += hundredths
        clear = None if contents.alpha is None else contents.alpha < np.iinfo(contents.alpha.dtype).max * OPAQUE
        before = _indexed(np.ascontiguousarray(contents.values), clear, before)
        file.write(_frame(before, hundredths, clear is not None))
    file.write(b";")


def _repeats(plays: int) -> bytes:
    if plays == 1:
        return b""
    repeats = 0 if plays == FOREVER else min(65_535, plays - 1)
    return b"\x21\xff\x0b" + NETSCAPE + b"\3\1" + struct.pack("<H", repeats) + b"\0"


def _frame(indexed: Indexed, hundredths: int, transparent: bool) -> bytes:
    """Return one frame that replaces the whole picture: its control extension, its palette and its pixels."""
    clear = len(indexed.palette) if transparent else 0
    table = np.zeros((COLOURS, 3), np.uint8)
    table[: len(indexed.palette)] = indexed.palette
    room = 2 * indexed.indices.size + ROOM  # LZW takes at most 12 bits a pixel; imagecodecs reserves 8
    data = bytes(imagecodecs.gif_encode(indexed.indices, colormap=table, out=room))  # Pillow would change the indices
    at = GIF_HEAD + table.size
    disposal = 2 if transparent else 1  # clear the picture before the next frame, or leave it
    control = struct.pack("<BBBBHBB", 0x21, 0xF9, 4, disposal << 2 | transparent, hundredths, clear, 0)
    return control + data[at : at + 9] + b"\x87" + table.tobytes() + data[at + 10 : -1]


def _indexed(values: Pixels, clear: npt.NDArray[np.bool_] | None, before: Indexed | None) -> Indexed:
    """Return a frame (H, W, C) in indexed colours; where `clear`, its index is the one after the palette."""
    most = COLOURS if clear is None else COLOURS - 1
    rgb = values if values.shape[2] == 3 else np.repeat(values, 3, axis=2)
    indexed = _exact(rgb, most) or _reduced(rgb, most, before)
    if clear is None:
        return indexed
    return indexed._replace(indices=np.where(clear, np.uint8(len(indexed.palette)), indexed.indices))


def _exact(rgb: Pixels, most: int) -> Indexed | None:
    """Return a frame that has few colours, all of them kept; else None."""
    if Image.fromarray(rgb).getcolors(most) is None:
        return None
    packed = rgb.astype(np.uint32) @ np.array([65_536, 256, 1], np.uint32)
    colours, indices = np.unique(packed, return_inverse=True)
    palette = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8)
    return Indexed(indices.reshape(packed.shape).astype(np.uint8), palette)


def _reduced(rgb: Pixels, most: int, before: Indexed | None) -> Indexed:
    """Return a frame with `most` colours: those of the frame before if they serve as well, so that it does not flicker.

    Ordered dither as strong as the error hides the steps in what is smooth.
    """
    step = max(1, round((rgb.shape[0] * rgb.shape[1] / SAMPLE) ** 0.5))
    some = np.ascontiguousarray(rgb[::step, ::step])
    own = Image.fromarray(some).quantize(most, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    palette = np.array(own.getpalette(), np.uint8).reshape(-1, 3)[:most]
    error = _error(some, palette)
    dither = 2 * error**0.5
    if before is not None and before.dither and len(before.palette) <= most:
        kept = _error(some, before.palette)
        if kept <= AS_GOOD * error:
            palette, dither = before.palette, before.dither
    height, width = rgb.shape[:2]
    pattern = np.tile(BAYER, (height // 8 + 1, width // 8 + 1))[:height, :width, None] * np.float32(dither)
    return Indexed(_nearest((rgb + pattern).round().clip(0, 255).astype(np.uint8), palette), palette, dither)


def _nearest(rgb: Pixels, palette: Pixels) -> Pixels:
    table = Image.new("P", (1, 1))
    table.putpalette(palette.tobytes())
    return np.asarray(Image.fromarray(rgb).quantize(palette=table, dither=Image.Dither.NONE))


def _error(rgb: Pixels, palette: Pixels) -> float:
    """Return the mean squared difference of values to the nearest colours of a palette."""
    return float(np.mean((rgb.astype(np.float32) - palette[_nearest(rgb, palette)]) ** 2))
