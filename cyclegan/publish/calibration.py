"""The pictures that an exported model is calibrated on and checked with."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from cyclegan.data.batches import training_fit
from cyclegan.data.convert import tensor_of
from cyclegan.data.files import UnreadableImage
from cyclegan.data.fit import Fit
from cyclegan.data.format import PictureFormat
from cyclegan.data.sources import Source, sources
from cyclegan.inference.engines.sessions import Array
from cyclegan.recipe import Recipe
from cyclegan.types import Direction
from cyclegan.util.evenly import evenly
from cyclegan.util.text import shown

PICTURES = 32
"""The number of pictures; with 8 to 64, the translations in int8 were equally good."""

LARGEST = 512
"""Pixels of the longest side; of larger pictures, the middle is used."""


def training_pictures(recipe: Recipe, direction: Direction, number: int = PICTURES) -> list[Array]:
    """Return pictures of a run's source domain, (1, C, H, W) in [-1, 1], evenly spaced over those it was trained on.

    They are fitted as in training. Raises FileNotFoundError when there are none, ValueError when none can be read.
    """
    source = sources(recipe.data, "train")[direction.source]
    paths = evenly(source.find(), number)
    return _read(source, paths, training_fit(recipe.data, source, paths))


def pictures_in(folder: Path, of: PictureFormat, number: int = PICTURES) -> list[Array]:
    """Return pictures of a folder, as `training_pictures` does, in their own size."""
    source = Source(folder, format=of)
    return _read(source, evenly(source.find(), number), Fit())


def _read(source: Source, paths: Iterable[Path], fit: Fit) -> list[Array]:
    pictures = list[Array]()
    for path in paths:
        with suppress(UnreadableImage):
            pictures.append(_middle(tensor_of(source.read(path, fit)).numpy()))
    if not pictures:
        raise ValueError(f"{shown(source.folder)}: no picture in it can be read")
    return pictures


def _middle(picture: Array) -> Array:
    """Return the middle of a picture (1, C, H, W), at most `LARGEST` pixels high and wide."""
    begins = [max(0, (side - LARGEST) // 2) for side in picture.shape[2:]]
    part = picture[:, :, begins[0] : begins[0] + LARGEST, begins[1] : begins[1] + LARGEST]
    return np.ascontiguousarray(part, dtype=np.float32)
