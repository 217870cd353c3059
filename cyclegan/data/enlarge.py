"""Pictures that are smaller than a crop takes: enlarged instead of refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from cyclegan.data.transforms import Pixels

LONGEST = 16
"""A picture to be enlarged is cut, around its middle, to at most so many times its shorter side."""


class TooSmall(ValueError):  # noqa: N818  # reads well where it is raised
    """A picture, as it comes to a crop, that has fewer pixels than the crop takes; sizes are (H, W)."""

    def __init__(self, found: tuple[int, int], needed: tuple[int, int]) -> None:
        super().__init__(f"its {by(found)} pixels are fewer than the {by(needed)} that a crop in data.transforms takes")
        self.found, self.needed = found, needed


def enlarging(apply: Callable[[Pixels], Pixels], pixels: Pixels) -> tuple[Pixels, bool]:
    """What `apply` makes of a picture, enlarged before where it is too small for a crop; and whether it was.

    It grows by bicubic interpolation, as far as the crop asks, and keeps its aspect; only strips of more than 16 to 1
    lose their ends. A function of `apply` and the picture alone.
    Raises TooSmall when the crop sees nothing of the growth, and ValueError for more pixels than we read.
    """
    larger, whole, found, spare = pixels, _cut(pixels), (0, 0), 0
    height, width = whole.shape[:2]
    while True:
        try:
            return apply(larger), larger is not pixels
        except TooSmall as small:
            if small.found == found:
                raise
            growth = max((needed + spare) / side for needed, side in zip(small.needed, small.found, strict=True))
            height, width = (math.ceil(side * growth - 1e-6) for side in (height, width))
            if height * width > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise ValueError(f"{small}, and enlarged it would have {height * width:,}") from None
            larger = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
            found, spare = small.found, 1  # transforms before the crop may round a pixel away


def by(size: tuple[int, int]) -> str:
    """(H, W) as people say it."""
    return f"{size[1]} x {size[0]}"


def _cut(pixels: Pixels) -> Pixels:
    """Without the ends of a long strip."""
    height, width = pixels.shape[:2]
    most = LONGEST * min(height, width)
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    return pixels[top : top + most, left : left + most]
