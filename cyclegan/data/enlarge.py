"""Enlarge pictures that are smaller than a crop, instead of rejecting them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cyclegan.data.codecs.limits import is_over
from cyclegan.data.fit import by

if TYPE_CHECKING:
    from cyclegan.data.picture import Pixels

FEW = 4
"""Number of channels that OpenCV scales at once; it does not take more for some interpolations."""

LONGEST = 16
"""Largest ratio of the sides of an enlarged picture; a longer strip is first cut to it around its centre."""


class TooSmall(ValueError):
    """A picture is smaller than a crop that is about to be taken from it; `found` and `needed` are (H, W)."""

    def __init__(self, found: tuple[int, int], needed: tuple[int, int]) -> None:
        super().__init__(f"its {by(found)} pixels are too few for a crop of {by(needed)} in data.transforms")
        self.found, self.needed = found, needed


def enlarging(apply: Callable[[Pixels], Pixels], pixels: Pixels) -> tuple[Pixels, bool]:
    """Apply a function to a picture, and enlarge the picture first if it is too small for a crop in that function.

    Returns the result and whether the picture was enlarged. It is enlarged by bicubic interpolation to the size that
    the crop needs and keeps its aspect ratio; only strips longer than 16:1 lose their ends. The result depends on
    `apply` and the picture only.
    Raises TooSmall when enlarging does not change the size that reaches the crop, and ValueError when the enlarged
    picture would have more pixels than may be read, see `most_pixels`.
    """
    larger, whole, found, spare = pixels, without_ends(pixels), (0, 0), 0
    height, width = whole.shape[:2]
    while True:
        try:
            return apply(larger), larger is not pixels
        except TooSmall as small:
            if small.found == found:
                raise
            growth = max((needed + spare) / side for needed, side in zip(small.needed, small.found, strict=True))
            height, width = (math.ceil(side * growth - 1e-6) for side in (height, width))
            if is_over(height * width):
                raise ValueError(f"{small}; enlarged, it would have {height * width:,} pixels, too many") from None
            larger = resized(whole, (height, width), cv2.INTER_CUBIC)
            found, spare = small.found, 1  # transforms before the crop may round a pixel away


def resized(pixels: Pixels, size: tuple[int, int], interpolation: int) -> Pixels:
    """Scale a picture (H, W, C) to `size` (H, W) by one of OpenCV's interpolations; floats stay in [0, 1]."""
    few = (pixels[..., i : i + FEW] for i in range(0, pixels.shape[2], FEW))
    parts = [cv2.resize(part, size[::-1], interpolation=interpolation).reshape(*size, -1) for part in few]
    together: Pixels = np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]
    return together.clip(0, 1) if together.dtype.kind == "f" else together


def without_ends(pixels: Pixels) -> Pixels:
    """Cut the ends of a strip longer than 16:1 off."""
    height, width = pixels.shape[:2]
    most = LONGEST * min(height, width)
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    return pixels[top : top + most, left : left + most]
