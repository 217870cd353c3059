"""From a picture as its file holds it to the pixels that a generator gets, and back to a file."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from cyclegan.data.convert import convert
from cyclegan.data.files import UnreadableImage
from cyclegan.data.fit import Size, scaled
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import FilePicture, Pixels

NOTHING = np.empty((0, 0, 1), np.uint8)


class Prepared(NamedTuple):
    """A picture that is ready to be translated."""

    pixels: Pixels
    """(H, W, C) of the source domain."""
    picture: FilePicture
    """What its file held, without the values; transparency and missing parts have the size of the pixels."""
    clipped: float
    """The share of its values outside the range of the domain."""


def prepare(found: FilePicture, of: PictureFormat, size: int | None, name: str) -> Prepared:
    """Convert a picture to the format of its domain, with `size` pixels on its shorter side if that is given.

    `name` stands in errors. Raises ValueError when it has another number of channels, and UnreadableImage when it would
    become too large.
    """
    pixels, clipped = convert(found, of)
    if size:
        to = size_of(pixels, size, name)
        pixels, found = scaled(pixels, to), mask_scaled(found, to)
    return Prepared(pixels, replace(found, values=NOTHING, profile=None), clipped)


def mask_scaled(picture: FilePicture, size: Size) -> FilePicture:
    """Return a picture whose transparency and missing parts are scaled to `size` (H, W)."""
    alpha, missing = picture.alpha, picture.missing
    if alpha is not None:
        white = np.iinfo(alpha.dtype).max
        soft = scaled((alpha / white).astype(np.float32)[..., None], size)[..., 0]
        alpha = (soft * white).round().astype(alpha.dtype)
    if missing is not None:
        missing = scaled(missing.astype(np.float32)[..., None], size)[..., 0] > 0.5
    return replace(picture, alpha=alpha, missing=missing)


def size_of(pixels: Pixels, shorter: int, name: str) -> Size:
    """Return the size (H, W) at which the shorter side has `shorter` pixels; the aspect ratio is kept.

    Raises UnreadableImage when the result has more pixels than Pillow's limit for reading, as for a long narrow strip.
    """
    factor = shorter / min(pixels.shape[:2])
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise UnreadableImage(f"{name}: {width:,} x {height:,} pixels are over the limit; use a smaller --size")
    return height, width
