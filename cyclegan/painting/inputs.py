"""From the pictures and masks that a user gives to those that a painting is made of."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cyclegan.data.fit import Size
from cyclegan.data.picture import Pixels
from cyclegan.inference.finish import Shares
from cyclegan.inference.inputs import Picture, picture_from
from cyclegan.inference.masks import GREY, Masks, SoftMask
from cyclegan.painting.painting import Style
from cyclegan.painting.settings import Settings

Mask: TypeAlias = "Picture | Masks | None"
"""A picture that is white where a style is wanted, a folder of them, or None for everywhere."""


def styles_of(
    pictures: Sequence[Picture],
    settings: Settings,
    size: Size,
    *,
    masks: Sequence[Mask] = (),
    style_masks: Sequence[Mask] = (),
    name: str = "",
    style_names: Sequence[str] = (),
) -> list[Style]:
    """Return the styles of a painting of `size` (H, W).

    `masks` say where in the painting each style is wanted, `style_masks` which part of its picture has the style;
    empty: everywhere, all of it. `name` and `style_names` are paths below folders, by which masks in folders are found.

    Raises UnreadableImage for a picture that cannot be read, and ValueError for masks of another number, of another
    shape, or without any white.
    """
    weights = settings.weights_of(len(pictures))
    places = _each("--masks", masks, len(pictures))
    parts = _each("--style_masks", style_masks, len(pictures))
    names = style_names or [""] * len(pictures)
    made = list[Style]()
    for picture, weight, place, part, own in zip(pictures, weights, places, parts, names, strict=True):
        if not weight:
            continue
        shares = shares_of(picture_from(picture))
        where = _mask("--masks", place, name, size)
        which = _mask("--style_masks", part, own, (shares.shape[0], shares.shape[1]))
        made.append(Style(picture=shares, place=where, part=which, weight=weight))
    return made


def shares_of(pixels: Pixels) -> Shares:
    """Return 8-bit pixels in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255)


def masks_in(paths: Sequence[Path]) -> list[Masks | None]:
    """Return the masks in files and folders; the word `none` stands for everywhere.

    Raises FileNotFoundError and ValueError as `Masks` does.
    """
    return [None if path == Path("none") else Masks(path) for path in paths]


def _each(option: str, masks: Sequence[Mask], styles: int) -> Sequence[Mask]:
    if masks and len(masks) != styles:
        raise ValueError(f"{option}: {styles} styles, but {len(masks)} masks; give `none` for a style without one")
    return masks or [None] * styles


def _mask(option: str, mask: Mask, name: str, size: Size) -> Shares | None:
    """Return a mask in the size (H, W) of its picture, (H, W, 1) in [0, 1]."""
    if mask is None:
        return None
    if isinstance(mask, str | PathLike):
        mask = Masks(Path(mask))
    soft = mask.of(name, size) if isinstance(mask, Masks) else SoftMask.of(_bytes(mask), size)
    values = soft[slice(0, size[0])][..., None]
    if not values.any():
        raise ValueError(f"{option}: a mask is black all over; make the part white that is meant")
    return values


def _bytes(mask: Picture) -> npt.NDArray[np.uint8]:
    """Return a mask that is no file, (H, W, 1)."""
    if isinstance(mask, np.ndarray) and mask.dtype == np.bool_:
        mask = mask.astype(np.uint8) * np.uint8(255)
    return picture_from(mask, GREY).astype(np.uint8)
