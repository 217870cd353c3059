"""The conversion between pixels and the images that engines other than torch take, by NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cyclegan.data.convert import NAN
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels

Images = npt.NDArray[np.float32]
"""(N, C, H, W) in [-1, 1]."""


def images_of(pixels: Pixels) -> Images:
    """Return pixels (N, H, W, C) as images; the same as `convert.normalised`."""
    scale = np.float32(0.5 if pixels.dtype == np.float32 else 127.5)
    planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
    planes /= scale
    planes -= 1
    return planes


def pixels_of(images: Images, to: PictureFormat) -> Pixels:
    """Return images as pixels (N, H, W, C) of a format; values outside [-1, 1] are clipped.

    The same as `convert.denormalised`. Raises ValueError for NaN, which has no colour.
    """
    if np.isnan(images).any():
        raise ValueError(NAN)
    shares = images.transpose(0, 2, 3, 1).clip(-1, 1) + np.float32(1)
    if to.in_bytes:
        shares *= np.float32(127.5)
        return np.ascontiguousarray(shares.round().astype(np.uint8))
    return np.ascontiguousarray(shares / np.float32(2))
