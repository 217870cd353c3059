"""The facts about one picture file: a few numbers and two hashes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from enum import IntFlag
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from cyclegan.check.detail import detail
from cyclegan.data.codecs.samples import white_of
from cyclegan.data.colour import managed
from cyclegan.data.convert import as_image, convert
from cyclegan.data.files import UnreadableImage
from cyclegan.data.format import RGB_PICTURES
from cyclegan.data.found import shown_channels
from cyclegan.data.picture import FilePicture, Kind
from cyclegan.data.read import read_picture
from cyclegan.data.sources import Source
from cyclegan.util.text import shown

DEPTHS = ("uint8", "uint16", "int16", "int32", "float32")
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Their indices are stored for each picture."""

SAMPLED = 1000
"""Number of values of a picture that the percentiles of a folder are computed from."""

COARSE = 64
"""Number of rows or columns, at least, that tell whether a picture is flat or grey."""

STRETCH = (2, 98)
"""Percentiles of the values that are shown as black and white, unless they are 8-bit colours."""


class Marks(IntFlag):
    """What is true of a picture."""

    UNREADABLE = 1
    TRANSPARENT = 2
    CONVERTED = 4
    """It is CMYK or Lab, or its colour profile is not that of sRGB."""
    TURNED = 8
    """Its EXIF data says that it is rotated or mirrored."""
    COLOURLESS = 16
    """It is grey, whatever the number of its channels."""
    HOLED = 32
    """The file says that there is no data in some pixels."""


ROW = np.dtype(
    [
        ("width", "u4"), ("height", "u4"), ("channels", "u2"), ("depth", "u1"), ("kind", "u1"), ("marks", "u1"),
        ("low", "f4"), ("high", "f4"), ("spread", "f4"), ("detail", "f4"), ("pixels", "u8"), ("look", "u8"),
    ]
)  # fmt: skip
"""What is kept of each picture, 45 bytes. `spread` is the standard deviation of its values, `pixels` a hash of them,
`look` a perceptual hash; `detail` is NaN where it was not measured."""


class Look(NamedTuple):
    """What one look at a file has found."""

    row: tuple[float, ...] = ()
    """The values of a `ROW`; empty for a file that cannot be read."""
    values: npt.NDArray[np.float32] | None = None
    """Some of its values."""
    window: tuple[float, float] | None = None
    """The values that it declares as black and white."""
    reason: str = ""
    """Why it cannot be read."""


def look(source: Source, path: Path, *, near: bool, closely: bool) -> Look:
    """Decode the picture of a file, or the half of it that belongs to the source, and return the facts about it.

    `near` computes the perceptual hash; `closely` also measures detail and returns some of the values.
    """
    try:
        picture = halved(read_picture(path), source)
    except UnreadableImage as error:
        return Look(reason=str(error))
    colours = managed(picture, "srgb")
    values = known(colours)
    if not values.size:
        return Look(reason=f"{shown(path)} has no pixel with a value")
    height, width, channels = colours.values.shape
    row = (
        width, height, channels, DEPTHS.index(str(values.dtype)), KINDS.index(picture.kind), _marks(picture, colours),
        values.min(), values.max(), _grey(_coarse(colours.values)).std(),
        detail(_grey(colours.values)) if closely else np.nan,
        _hash(picture.values), perceptual_hash(viewed(colours)) if near else 0,
    )  # fmt: skip
    some = values[:: max(1, values.size // SAMPLED)].astype(np.float32) if closely else None
    return Look(row, some, picture.window if closely else None)


def halved(picture: FilePicture, source: Source) -> FilePicture:
    """Return the half of a picture that belongs to a source, or all of it."""
    if source.half is None:
        return picture
    width = picture.values.shape[1] // 2
    columns = slice(None, width) if source.half == "left" else slice(-width, None)
    alpha = None if picture.alpha is None else picture.alpha[:, columns]
    missing = None if picture.missing is None else picture.missing[:, columns]
    return replace(picture, values=picture.values[:, columns], alpha=alpha, missing=missing)


def known(picture: FilePicture) -> npt.NDArray[Any]:
    """Return the values of a picture, in one dimension, without those that say that there is no data."""
    values = picture.values if picture.missing is None else picture.values[~picture.missing]
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()


def viewed(picture: FilePicture) -> Image.Image:
    """Return an 8-bit grey or RGB picture that shows it; values that are no 8-bit colours are stretched."""
    if picture.values.dtype == np.uint8 and picture.kind != "bands":
        return as_image(convert(picture, RGB_PICTURES).pixels)
    picture = managed(picture, "srgb")
    channels = shown_channels(picture.values.shape[2], picture.begins_with_rgb)
    values = picture.values[..., [channel - 1 for channel in channels]].astype(np.float32)
    black, white = np.percentile(known(picture), STRETCH)
    stretched = (np.nan_to_num(values) - black) * (255 / ((white - black) or 1))
    return as_image(stretched.clip(0, 255).astype(np.uint8))


def perceptual_hash(image: Image.Image) -> int:
    """Return the 64 bits of imagehash's pHash, which differ in few places for pictures that look alike."""
    import imagehash  # not at the top: it takes half a second, and a quick check does without

    bits = np.asarray(imagehash.phash(image).hash)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _coarse(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return every n-th row and column of a picture, of which enough are left to see whether it is flat or grey."""
    step = max(1, min(values.shape[:2]) // COARSE)
    return values[::step, ::step]


def _grey(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the mean of the channels of a picture (H, W, C), in its own units; without a value, 0."""
    mean: npt.NDArray[np.float32] = values.mean(axis=2, dtype=np.float32)
    return np.nan_to_num(mean) if values.dtype.kind == "f" else mean


def _marks(picture: FilePicture, colours: FilePicture) -> Marks:
    """Return what is true of a picture, given also in sRGB."""
    marks = Marks(0)
    if picture.alpha is not None and picture.kind != "bands" and picture.alpha.min() < white_of(picture.alpha.dtype):
        marks |= Marks.TRANSPARENT
    if colours.values is not picture.values:
        marks |= Marks.CONVERTED
    if picture.turned:
        marks |= Marks.TURNED
    stored = picture if picture.kind == "rgb" else colours  # conversion rounds, and a neutral colour stays neutral
    if stored.kind == "grey" or (stored.kind == "rgb" and _is_colourless(stored.values)):
        marks |= Marks.COLOURLESS
    if picture.missing is not None:
        marks |= Marks.HOLED
    return marks


def _is_colourless(values: npt.NDArray[Any]) -> bool:
    return all(bool((part == part[..., :1]).all()) for part in (_coarse(values), values))


def _hash(values: npt.NDArray[Any]) -> int:
    """Return a hash of the type, the shape and the values of a picture."""
    state = hashlib.blake2b(f"{values.dtype}{values.shape}".encode(), digest_size=8)
    state.update(np.ascontiguousarray(values).data)
    return int.from_bytes(state.digest(), "big")
