"""Scale pictures that are too large to handle at once, in horizontal strips."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from cyclegan.data.fit import Size
from cyclegan.data.picture import Pixels

STRIP = 2**18
"""Pixels in a strip, about: 3 MB of RGB in float32."""

BICUBIC, BILINEAR = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR

REACH = {BILINEAR: 1.0, BICUBIC: 2.0}
"""Radius of the filters, in pixels of the smaller of both pictures."""

BITS = 22
"""Bits of the fixed-point weights with which Pillow scales 8-bit pictures."""


class Sliced(Protocol):
    """A picture whose rows are made or read when they are needed; arrays are such pictures too."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, C)."""

    def __getitem__(self, part: slice, /) -> npt.NDArray[Any]:
        """Return some rows, (h, W, C) of uint8 or float32."""


def strips(size: Size, rows: int | None = None) -> Iterator[slice]:
    """Yield the rows of the strips of a picture of `size` (H, W), of `rows` rows each; by default about `STRIP` pixels.

    The last one may be lower.
    """
    rows = rows or max(1, STRIP // size[1])
    return (slice(top, min(top + rows, size[0])) for top in range(0, size[0], rows))


def scaled_strips(
    pixels: Pixels,
    size: Size,
    *,
    filter_: Image.Resampling = BICUBIC,
    out: Pixels | None = None,
    rows: int | None = None,
) -> Pixels:
    """Scale a picture (H, W, C) to `size` (H, W) like `fit.scaled`, with only strips of it in memory.

    `filter_` is Pillow's bicubic or bilinear filter; both average when they shrink. `pixels` and `out`, which is filled
    and returned if it is given, may be mapped files. `rows` is the height of the strips of the result and does not
    change it.
    """
    result: Pixels = np.empty((*size, pixels.shape[2]), pixels.dtype) if out is None else out
    shrinks = max(1, math.ceil(pixels.shape[0] / size[0]))
    for part in strips(size, rows or max(1, 4 * STRIP // (max(size[1], pixels.shape[1]) * shrinks))):
        scaled = scaled_rows(pixels, size, part, filter_)
        result[part] = scaled if scaled.dtype == np.uint8 else scaled.clip(0, 1)
    return result


def scaled_rows(pixels: Sliced, size: Size, part: slice, filter_: Image.Resampling = BICUBIC) -> npt.NDArray[Any]:
    """Return the rows `part` of a picture (H, W, C) of uint8 or float32 that is scaled to `size` (H, W).

    It reads only the rows of `pixels` that the filter reaches. The values are those of Pillow, which for the sides of a
    whole picture may be scaled in the other order. Floats are not clipped.
    """
    if size == pixels.shape[:2]:
        return pixels[part]
    index, weights = _taps(pixels.shape[0], size[0], part, filter_)
    first = int(index.min())
    across = _across(pixels[first : int(index.max()) + 1], size[1], filter_)
    if pixels.shape[0] == size[0]:
        return across[part.start - first : part.stop - first]
    fixed = across.dtype == np.uint8
    if fixed:
        weights = np.trunc(weights * 2**BITS + np.copysign(0.5, weights)).astype(np.int32)
    total = np.zeros((len(index), *across.shape[1:]), weights.dtype)
    for tap in range(index.shape[1]):
        total += weights[:, tap, None, None] * across[index[:, tap] - first]
    if fixed:
        return ((total + (1 << (BITS - 1))) >> BITS).clip(0, 255).astype(np.uint8)
    return total.astype(np.float32)


def _across(pixels: npt.NDArray[Any], width: int, filter_: Image.Resampling) -> npt.NDArray[Any]:
    """Return a picture (H, W, C) scaled to another width, as Pillow does."""

    def scaled(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((width, plane.shape[0]), filter_))

    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return scaled(pixels)
    return np.stack([scaled(pixels[..., channel]) for channel in range(pixels.shape[2])], axis=2)


def _taps(
    old: int, new: int, part: slice, filter_: Image.Resampling
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return which of `old` rows make the rows `part` of `new`, and their weights, both (rows, taps), as in Pillow."""
    ratio = old / new
    wide = max(ratio, 1.0)
    centre = (np.arange(part.start, part.stop) + 0.5) * ratio
    low = np.maximum(centre - REACH[filter_] * wide + 0.5, 0).astype(np.intp)
    high = np.minimum(centre + REACH[filter_] * wide + 0.5, old).astype(np.intp)
    index = low[:, None] + np.arange((high - low).max())
    weights = _filter((index - centre[:, None] + 0.5) / wide, filter_) * (index < high[:, None])
    return np.minimum(index, old - 1), weights / weights.sum(axis=1, keepdims=True)


def _filter(distance: npt.NDArray[np.float64], filter_: Image.Resampling) -> npt.NDArray[np.float64]:
    """Return the value of a filter at a distance from its centre; bicubic is that of Keys (1981) with a = -0.5."""
    x = np.abs(distance)
    if filter_ == BILINEAR:
        return (1 - x).clip(0)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))
