"""Augmentation by albumentations, as the recipe lists it, split where chance begins."""

from __future__ import annotations

import copy
import difflib
import inspect
import os
import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import would ask the network for a newer version

import albumentations as A
from albumentations.augmentations.crops.transforms import CropSizeError

from cyclegan.images.config import Transform

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""One picture, (H, W, 3) in 0..255."""

WITHOUT_CHANCE = {"Resize", "SmallestMaxSize", "LongestMaxSize", "CenterCrop"}


class Augment:
    """The transforms of a recipe. `prepare` is what every draw of a picture shares, calling is what differs.

    Raises ValueError naming the first transform that albumentations does not know or would not take.
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        built = [_build(transform, f"data.transforms.{i}") for i, transform in enumerate(transforms)]
        chance = next((i for i, one in enumerate(built) if not _is_certain(one)), len(built))
        self._certain = A.Compose(built[:chance])
        self._random = A.Compose(built[chance:])
        self._own = threading.local()  # albumentations keeps its random state inside the transform: one for each thread

    def prepare(self, pixels: Pixels) -> Pixels:
        """The leading transforms that leave nothing to chance: worth doing once and keeping."""
        return self._apply(self._certain, pixels)

    def __call__(self, prepared: Pixels, key: int) -> Pixels:
        """The rest, a function of the prepared picture and of `key` alone."""
        if not hasattr(self._own, "random"):
            self._own.random = copy.deepcopy(self._random)
        self._own.random.set_random_seed(key)
        return self._apply(self._own.random, prepared)

    def _apply(self, transforms: A.Compose, pixels: Pixels) -> Pixels:
        if not transforms.transforms:
            return pixels
        try:
            result: Pixels = transforms(image=pixels)["image"]
        except CropSizeError as error:
            raise ValueError(str(error)) from None
        if result.dtype != np.uint8 or result.ndim != 3 or result.shape[2] != 3:
            raise ValueError("data.transforms: must end in an 8-bit RGB picture; leave Normalize and ToTensorV2 out")
        return result


def _build(transform: Transform, where: str) -> A.BasicTransform:
    if len(transform) != 1:
        raise ValueError(f"{where}: write one transform as {{Name: {{argument: value}}}}, not {transform}")
    [(name, arguments)] = transform.items()
    kind = getattr(A, name, None)
    if not (inspect.isclass(kind) and issubclass(kind, A.BasicTransform)):
        raise ValueError(f"{where}: albumentations has no '{name}'{_nearest(name, dir(A))}")
    known = inspect.signature(kind).parameters
    for argument in arguments:
        if argument not in known:
            raise ValueError(f"{where}: {name} takes no '{argument}'{_nearest(argument, list(known))}")
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {name}: {' '.join(str(error).split())}") from None


def _is_certain(transform: Any) -> bool:
    one_size = isinstance(getattr(transform, "max_size", 0), int | None)
    return type(transform).__name__ in WITHOUT_CHANCE and transform.p == 1 and one_size


def _nearest(word: str, words: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
