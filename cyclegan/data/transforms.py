"""Augmentation with albumentations: the transforms of a recipe, split into a deterministic and a random part."""

from __future__ import annotations

import copy
import difflib
import inspect
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from pydantic import ValidationError as PydanticError

from cyclegan.data.config import Transform
from cyclegan.data.enlarge import TooSmall, enlarging
from cyclegan.data.fit import Fit, by
from cyclegan.data.picture import Pixels
from cyclegan.data.scale import Scale
from cyclegan.util.text import key_of, mistake, one_line, quoted, reason
from cyclegan.util.untouched import environment

with environment(NO_ALBUMENTATIONS_UPDATE="1"):  # otherwise the import looks for a newer version on the network
    import albumentations as A

LARGEST_NUMBER = 2**16
"""Largest absolute value of a number in a transform's arguments; no size, limit or shift needs more."""

ABSTRACT = {A.BasicTransform, A.DualTransform, A.ImageOnlyTransform, A.Transform3D}
OWN = {"Scale": Scale}
"""Transforms that albumentations does not have."""
WITHOUT_CHANCE = {"Resize", "Scale", "SmallestMaxSize", "LongestMaxSize", "CenterCrop"}
CROPS = {"RandomCrop", "CenterCrop", "AtLeastOneBBoxRandomCrop"}
"""Crops with the arguments `height` and `width`, which reject smaller pictures."""


class Augment:
    """The transforms of a recipe, in two parts.

    `prepare` applies the leading deterministic transforms, whose result can be cached; a call applies the rest. Both
    raise TooSmall for a picture that is smaller than a crop (see `enlarging`), and ValueError when a transform fails or
    does not return a picture of the same kind.
    Raises ValueError naming the first transform that albumentations does not have or rejects.
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        built = [_build(transform, f"data.transforms.{i}") for i, transform in enumerate(transforms)]
        _check_sizes(built)
        chance = next((i for i, one in enumerate(built) if not _is_certain(one)), len(built))
        self._certain = A.Compose(_measured(built[:chance]))
        self._random = A.Compose(_measured(built[chance:]))
        self._own = threading.local()  # albumentations keeps its random state in the transform, so each thread has one

    def prepare(self, pixels: Pixels) -> Pixels:
        """Apply the leading deterministic transforms to a picture (H, W, C)."""
        return self._apply(self._certain, pixels)

    def fit(self, size: tuple[int, int]) -> Fit:
        """Return how pictures are fitted to `size` (H, W) outside training: prepared, then cropped in the middle."""
        return Fit(size, lambda pixels: enlarging(self.prepare, pixels)[0])

    def __call__(self, prepared: Pixels, key: int) -> Pixels:
        """Apply the other transforms; the result depends on the prepared picture and `key` (the random seed) only."""
        if not hasattr(self._own, "random"):
            self._own.random = copy.deepcopy(self._random)
        self._own.random.set_random_seed(key)
        return self._apply(self._own.random, prepared)

    def _apply(self, transforms: A.Compose, pixels: Pixels) -> Pixels:
        if not transforms.transforms:
            return pixels
        try:
            result: Pixels = transforms(image=pixels)["image"]
        except TooSmall:
            raise
        except Exception as error:  # transforms accept some bad arguments, and later raise almost anything
            raise ValueError(f"data.transforms: {reason(error)}") from None
        if result.dtype != pixels.dtype or result.ndim != 3 or result.shape[2] != pixels.shape[2]:
            what = f"a picture of {pixels.shape[2]} channels of {pixels.dtype}"
            raise ValueError(f"data.transforms: must return {what}; remove Normalize and ToTensorV2")
        return result if result.dtype == np.uint8 else result.clip(0, 1)  # bicubic interpolation exceeds [0, 1]


def _build(transform: Transform, where: str) -> A.BasicTransform:
    if len(transform) != 1:
        raise ValueError(f"{where}: write one transform as {{Name: {{argument: value}}}}, not {quoted(transform)}")
    [(name, arguments)] = transform.items()
    kind: Any = OWN.get(name) or getattr(A, name, None)
    if kind in ABSTRACT:
        raise ValueError(f"{where}: '{name}' is an abstract base class; choose one of its transforms")
    if not (inspect.isclass(kind) and issubclass(kind, A.BasicTransform)):
        raise ValueError(f"{where}: albumentations has no {quoted(name)}{_nearest(name, dir(A))}")
    known = inspect.signature(kind).parameters
    for argument, value in arguments.items():
        if argument not in known:
            raise ValueError(f"{where}: {name} takes no {quoted(argument)}{_nearest(argument, list(known))}")
        if not all(abs(number) <= LARGEST_NUMBER for number in _numbers(value)):  # NaN is not <= either
            raise ValueError(f"{where}.{name}.{argument}: {quoted(value)} exceeds {LARGEST_NUMBER:,}")
    try:
        with warnings.catch_warnings(record=True, action="always") as warned:
            built: A.BasicTransform = kind(**arguments)
    except Exception as error:  # some constructors check little and raise almost anything
        if isinstance(error.__cause__, PydanticError):
            first = error.__cause__.errors()[0]
            raise ValueError(mistake(key_of([*where.split("."), name, *first["loc"]]), first)) from None
        raise ValueError(f"{where}.{name}: {reason(error)}") from None
    for warning in warned:  # most are advice; an argument that albumentations changes is an error here
        if "adjusted" in str(warning.message):
            raise ValueError(f"{where}.{name}: {one_line(str(warning.message))}")
    return built


def _taken(one: Any) -> tuple[int, int] | None:
    """Return the height and width that a crop needs; None for transforms that accept pictures of any size."""
    if getattr(one, "pad_if_needed", False):
        return None
    match type(one).__name__:
        case name if name in CROPS:
            return one.height, one.width
        case "Crop":
            return one.y_max, one.x_max
        case "RandomSizedCrop":
            height = max(one.min_max_height)
            return height, int(height * one.w2h_ratio)
    return None


def _measured(built: Sequence[A.BasicTransform]) -> list[A.BasicTransform]:
    """Return the transforms with a check before each crop that the picture is large enough."""
    measured = []
    for one in built:
        if needed := _taken(one):
            # With the same probability and seed as the crop, the check runs exactly when the crop does.
            measured.append(A.Lambda(image=partial(_look, needed=needed), name="look", p=one.p))
        measured.append(one)
    return measured


def _look(pixels: Pixels, needed: tuple[int, int], **_: Any) -> Pixels:
    height, width = pixels.shape[:2]
    if height < needed[0] or width < needed[1]:
        raise TooSmall((height, width), needed)
    return pixels


def _check_sizes(built: Sequence[A.BasicTransform]) -> None:
    """Raise ValueError if a crop is larger than every output of the transforms before it."""
    left: tuple[int, int] | None = None
    for i, one in enumerate(built):
        needed = _taken(one)
        if needed and left and (needed[0] > left[0] or needed[1] > left[1]):
            what = f"takes {by(needed)} pixels, but the transforms before it leave {by(left)}"
            raise ValueError(f"data.transforms.{i}: {type(one).__name__} {what}")
        if type(one).__name__ in {"Resize", *CROPS} and one.p == 1:
            left = one.height, one.width
        elif not isinstance(one, A.ImageOnlyTransform | A.HorizontalFlip | A.VerticalFlip):
            left = None


def _numbers(value: Any) -> Iterator[float]:
    """Yield every number in nested plain data."""
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
