"""From a picture as its file holds it to the pixels that a generator gets, and from its translation to the output."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cyclegan.data.codecs.limits import most_pixels
from cyclegan.data.convert import convert
from cyclegan.data.fit import Size, scaled
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import FilePicture, Pixels
from cyclegan.data.read import read_picture
from cyclegan.data.resample import scaled_strips
from cyclegan.data.shapes import size_of
from cyclegan.data.strips import read_large
from cyclegan.inference.detail import with_detail
from cyclegan.inference.finish import finished
from cyclegan.inference.options import Options

LARGE = 2**24
"""Pixels from which a picture is read and written by strips, in temporary files instead of RAM."""

NOTHING: Pixels = np.empty((0, 0, 1), np.uint8)


class Prepared(NamedTuple):
    """A picture that is ready to be translated."""

    pixels: Pixels
    """(H, W, C) of the source domain, at the size at which it is translated."""
    full: Pixels
    """The source in the size of the output, if the output depends on it."""
    size: Size
    """The size (H, W) of the output."""
    picture: FilePicture
    """What its file held, without the values; transparency and missing parts have the size of the output."""
    clipped: float
    """The share of its values outside the range of the domain."""

    def emptied(self) -> Prepared:
        """Return it without pixels, which take memory."""
        return self._replace(pixels=NOTHING, full=NOTHING)


def prepare(found: FilePicture, of: PictureFormat, options: Options) -> Prepared:
    """Convert a picture to the format of its domain, at the size at which it is translated.

    Raises ValueError when it has another number of channels, and when it would become too large.
    """
    pixels, clipped = convert(found, of)
    return prepared_from(pixels, clipped, replace(found, values=NOTHING, profile=None), options)


def prepare_file(path: Path, of: PictureFormat, options: Options) -> Prepared:
    """Read a picture file, and prepare it; a large one is read by strips, to arrays in temporary files.

    Raises what `read_picture`, `read_large` and `prepare` raise.
    """
    size = size_of(path)
    if size and size[0] * size[1] >= LARGE and (large := read_large(path, of)):
        return prepared_from(large.pixels, large.clipped, large.picture, options)
    return prepare(read_picture(path), of, options)


def prepared_from(pixels: Pixels, clipped: float, picture: FilePicture, options: Options) -> Prepared:
    """Return pixels of the source domain at the size at which they are translated; `picture` is what else is known.

    Raises ValueError when the picture would become too large.
    """
    translated, output = options.sizing.of((pixels.shape[0], pixels.shape[1]), most_pixels())
    seen = _scaled(pixels, translated)
    if output != pixels.shape[:2]:
        picture, pixels = mask_scaled(picture, output), seen
    return Prepared(seen, pixels if options.needs_source else NOTHING, output, picture, clipped)


def finish(prepared: Prepared, made: Pixels, options: Options, name: str) -> Pixels:
    """Return the pixels of an output: the translation `made`, with what is kept of its source.

    `made` may be changed. `name` is the path of the source below the folder of the sources, by which its mask is found.
    """
    if options.sizing.detail:
        made = with_detail(prepared.full, prepared.pixels, made)
    mask = None if options.masks is None else options.masks.of(name, (made.shape[0], made.shape[1]))
    if not options.finish and mask is None:
        return made
    return finished(prepared.full, made, options.finish, mask, out=made if made.flags.writeable else None)


def _scaled(pixels: Pixels, size: Size) -> Pixels:
    """Scale a picture (H, W, C) with Pillow's bicubic filter; a large one in strips."""
    if pixels.shape[:2] == size:
        return pixels
    return scaled_strips(pixels, size) if max(pixels[..., 0].size, size[0] * size[1]) >= LARGE else scaled(pixels, size)


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
