"""Write a picture that does not fit into RAM, a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from cyclegan.data.codecs import stream_jpeg, stream_png
from cyclegan.data.codecs.contents import Contents
from cyclegan.data.convert import values_of
from cyclegan.data.format import PictureFormat, Space
from cyclegan.data.picture import Kept, Pixels, Values
from cyclegan.data.stores import OutputFormat, format_for
from cyclegan.data.write import Output, contents_of, encoded, unwritable

SAMPLES = 2**21
"""Samples of a strip."""


class Streamer(NamedTuple):
    """What writes a format by strips."""

    rows_of_a_strip: Callable[[Contents], int]
    """How many rows a strip has."""
    write: Callable[[BinaryIO, Contents, Iterable[Contents]], None]
    """Write a file from such strips; the first `Contents` says what the file says."""


def _tiff() -> Streamer:
    """Return what writes TIFF; tifffile takes long to import."""
    from cyclegan.data.codecs import stream_tiff

    return Streamer(stream_tiff.rows_of_a_strip, stream_tiff.write)


STREAMERS: dict[OutputFormat, Callable[[], Streamer]] = {
    "JPEG": lambda: Streamer(stream_jpeg.rows_of_a_strip, stream_jpeg.write),
    "PNG": lambda: Streamer(stream_png.rows_of_a_strip, stream_png.write),
    "TIFF": _tiff,
}
"""The formats that are written by strips; of others, the file is made in RAM."""


def strips_of(pixels: Pixels, of: PictureFormat) -> Iterator[Values]:
    """Yield the values of a picture (H, W, C), see `values_of`, a few rows at a time."""
    rows = max(1, SAMPLES // pixels[0].size)
    for top in range(0, len(pixels), rows):
        yield values_of(pixels[top : top + rows], of)


def streamed(
    strips: Iterable[Values],
    path: Path,
    *,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    kept: Kept | None = None,
    alpha: npt.NDArray[np.uint8 | np.uint16] | None = None,
    missing: npt.NDArray[np.bool_] | None = None,
    space: Space | None = None,
    options: Output | None = None,
) -> bytes | Callable[[BinaryIO], None]:
    """Return what `write_whole` writes: a file that says and shows what that of `encoded` does, in little RAM.

    `strips` are rows of values from top to bottom, as many as one likes in each, (h, W, C) in the units of the file,
    together of `shape` (H, W, C) and of type `dtype`. They are taken while the file is written, so only once. The
    other arguments are those of `encoded`. JPEG, PNG and TIFF are written by strips; of other formats the bytes are
    returned. A JPEG decodes to the same pixels as that of `encoded`, and a TIFF has tiles.
    Raises what `encoded` raises, before a strip is taken; writing raises ValueError for strips that are not `shape`.
    """
    name = format_for(path)
    if name not in STREAMERS:
        values = np.concatenate(list(strips))
        return encoded(values, path, kept=kept, alpha=alpha, missing=missing, space=space, options=options)
    with unwritable(path):
        like: Values = np.broadcast_to(np.zeros((), dtype), shape)  # takes no memory
        whole = contents_of(name, like, kept, alpha, missing, space, options or Output())
    streamer = STREAMERS[name]()

    def write(file: BinaryIO) -> None:
        streamer.write(file, whole, _parts(strips, whole, streamer.rows_of_a_strip(whole)))

    return write


def _parts(strips: Iterable[Values], whole: Contents, rows: int) -> Iterator[Contents]:
    """Yield the contents of strips of `rows` rows, the last of fewer."""
    top, shape, dtype = 0, whole.values.shape, whole.values.dtype
    for values in _regrouped(strips, rows):
        bottom = top + len(values)
        if values.shape[1:] != shape[1:] or values.dtype != dtype or bottom != min(top + rows, shape[0]):
            raise ValueError(f"rows {top} to {bottom} are {values.shape} {values.dtype}, of a picture {shape} {dtype}")
        yield replace(
            whole,
            values=np.ascontiguousarray(values),
            alpha=None if whole.alpha is None else whole.alpha[top:bottom],
            missing=None if whole.missing is None else whole.missing[top:bottom],
        )
        top = bottom
    if top != shape[0]:
        raise ValueError(f"there are {top} rows of a picture {shape} {dtype}")


def _regrouped(strips: Iterable[Values], rows: int) -> Iterator[Values]:
    """Yield the same rows in strips of `rows`, the last of fewer."""
    held: list[Values] = []
    count = 0
    for strip in strips:
        rest = strip
        while len(rest):
            part, rest = rest[: rows - count], rest[rows - count :]
            held.append(part)
            count += len(part)
            if count == rows:
                yield np.concatenate(held) if len(held) > 1 else part
                held, count = [], 0
    if held:
        yield np.concatenate(held)
