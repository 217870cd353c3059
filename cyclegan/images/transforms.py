"""Augmentation by albumentations, as the recipe lists it, split where chance begins."""

from __future__ import annotations

import copy
import difflib
import inspect
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError as PydanticError

from cyclegan.images.config import Transform
from cyclegan.untouched import environment
from cyclegan.words import key_of, mistake, one_line, quoted, reason

with environment(NO_ALBUMENTATIONS_UPDATE="1"):  # importing it would ask the network for a newer version
    import albumentations as A
    from albumentations.augmentations.crops.transforms import CropSizeError

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""One picture, (H, W, 3) in 0..255."""

LARGEST_NUMBER = 2**16
"""In a transform's arguments: no size, limit or shift of a picture is beyond it."""

ABSTRACT = {A.BasicTransform, A.DualTransform, A.ImageOnlyTransform, A.Transform3D}
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
        except Exception as error:  # transforms raise almost anything on arguments that they should have refused
            raise ValueError(f"data.transforms: {reason(error)}") from None
        if result.dtype != np.uint8 or result.ndim != 3 or result.shape[2] != 3:
            raise ValueError("data.transforms: must end in an 8-bit RGB picture; leave Normalize and ToTensorV2 out")
        return result


def _build(transform: Transform, where: str) -> A.BasicTransform:
    if len(transform) != 1:
        raise ValueError(f"{where}: write one transform as {{Name: {{argument: value}}}}, not {quoted(transform)}")
    [(name, arguments)] = transform.items()
    kind: Any = getattr(A, name, None)
    if kind in ABSTRACT:
        raise ValueError(f"{where}: '{name}' is what transforms are made of, and none itself")
    if not (inspect.isclass(kind) and issubclass(kind, A.BasicTransform)):
        raise ValueError(f"{where}: albumentations has no {quoted(name)}{_nearest(name, dir(A))}")
    known = inspect.signature(kind).parameters
    for argument, value in arguments.items():
        if argument not in known:
            raise ValueError(f"{where}: {name} takes no {quoted(argument)}{_nearest(argument, list(known))}")
        if not all(abs(number) <= LARGEST_NUMBER for number in _numbers(value)):  # NaN is not <= either
            raise ValueError(f"{where}.{name}.{argument}: {quoted(value)} is beyond {LARGEST_NUMBER:,}")
    try:
        with warnings.catch_warnings(record=True, action="always") as warned:
            built: A.BasicTransform = kind(**arguments)
    except Exception as error:  # a constructor that checks little fails in almost any way
        if isinstance(error.__cause__, PydanticError):
            first = error.__cause__.errors()[0]
            raise ValueError(mistake(key_of([*where.split("."), name, *first["loc"]]), first)) from None
        raise ValueError(f"{where}.{name}: {reason(error)}") from None
    for warning in warned:  # most are advice; but what is not done as asked should be asked for otherwise
        if "adjusted" in str(warning.message):
            raise ValueError(f"{where}.{name}: {one_line(str(warning.message))}")
    return built


def _numbers(value: Any) -> Iterator[float]:
    """Every number in plain data."""
    match value:
        case bool():
            return
        case int() | float():
            yield value
        case dict():
            for part in value.values():
                yield from _numbers(part)
        case list() | tuple():
            for part in value:
                yield from _numbers(part)


def _is_certain(transform: Any) -> bool:
    one_size = isinstance(getattr(transform, "max_size", 0), int | None)
    return type(transform).__name__ in WITHOUT_CHANCE and transform.p == 1 and one_size


def _nearest(word: str, words: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
