"""Fit pictures to a size, for samples, validation, scores and reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps

from cyclegan.data.picture import Pixels

Size: TypeAlias = tuple[int, int]
"""(H, W) of a picture, in pixels."""


def by(size: Size) -> str:
    """Format a size (H, W) as `width x height`."""
    return f"{size[1]} x {size[0]}"


@dataclass(frozen=True)
class Fit:
    """How a picture is fitted: prepared as in training, then scaled and cropped around its centre to `size` (H, W).

    Without a size, it keeps that of the preparation.
    """

    size: Size | None = None
    prepare: Callable[[Pixels], Pixels] | None = None
    several: bool = False
    """Whether pictures of several sizes are meant to stay so; otherwise that is a mistake."""
    told: str = ""
    """The fit in a few words; empty: the size."""

    def __str__(self) -> str:
        return self.told or (by(self.size) if self.size else "as the files are")

    def __call__(self, pixels: Pixels) -> Pixels:
        """Return the fitted picture (H, W, C). Raises ValueError when the preparation rejects it."""
        prepared = self.prepare(pixels) if self.prepare else pixels
        return prepared if self.size is None else fitted(prepared, self.size)


def fitted(pixels: Pixels, size: Size) -> Pixels:
    """Scale a picture with Pillow's antialiased bicubic filter and crop it around its centre to `size` (H, W)."""
    return _by_pillow(pixels, lambda image: ImageOps.fit(image, size[::-1], Image.Resampling.BICUBIC))


def scaled(pixels: Pixels, size: Size) -> Pixels:
    """Scale a picture with Pillow's antialiased bicubic filter to `size` (H, W)."""
    return _by_pillow(pixels, lambda image: image.resize(size[::-1], Image.Resampling.BICUBIC))


def _by_pillow(pixels: Pixels, resize: Callable[[Image.Image], Image.Image]) -> Pixels:
    """Apply a function of Pillow to a picture of any number of channels; floats stay in [0, 1]."""
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return np.asarray(resize(Image.fromarray(pixels)))
    each = [np.asarray(resize(Image.fromarray(np.ascontiguousarray(channel)))) for channel in np.moveaxis(pixels, 2, 0)]
    together = np.stack(each, axis=2)
    return together if together.dtype == np.uint8 else together.clip(0, 1)
