"""From a picture as its file holds it to the pixels that a generator gets, and from its translation to the output."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cyclegan.data.codecs.limits import most_pixels
from cyclegan.data.convert import convert
from cyclegan.data.fit import Size, scaled
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import FilePicture, Pixels
from cyclegan.inference.detail import with_detail
from cyclegan.inference.finish import finished
from cyclegan.inference.options import Options

NOTHING: Pixels = np.empty((0, 0, 1), np.uint8)


class Prepared(NamedTuple):
    """A picture that is ready to be translated."""

    pixels: Pixels
    """(H, W, C) of the source domain, at the size at which it is translated."""
    full: Pixels
    """The source in the size of the output, if the output depends on it."""
    picture: FilePicture
    """What its file held, without the values; transparency and missing parts have the size of the output."""
    clipped: float
    """The share of its values outside the range of the domain."""


def prepare(found: FilePicture, of: PictureFormat, options: Options) -> Prepared:
    """Convert a picture to the format of its domain, at the size at which it is translated.

    Raises ValueError when it has another number of channels, and when it would become too large.
    """
    pixels, clipped = convert(found, of)
    translated, output = options.sizing.of((pixels.shape[0], pixels.shape[1]), most_pixels())
    seen = pixels if pixels.shape[:2] == translated else scaled(pixels, translated)
    if output != pixels.shape[:2]:
        found, pixels = mask_scaled(found, output), seen
    full = pixels if options.needs_source else NOTHING
    return Prepared(seen, full, replace(found, values=NOTHING, profile=None), clipped)


def finish(prepared: Prepared, made: Pixels, options: Options, name: str) -> Pixels:
    """Return the pixels of an output: the translation `made`, with what is kept of its source.

    `name` is the path of the source below the folder of the sources, by which its mask is found.
    """
    if options.sizing.detail:
        made = with_detail(prepared.full, prepared.pixels, made)
    mask = None if options.masks is None else options.masks.of(name, (made.shape[0], made.shape[1]))
    if not options.finish and mask is None:
        return made
    return finished(prepared.full, made, options.finish, mask)


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
