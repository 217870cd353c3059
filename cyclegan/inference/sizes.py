"""The size that a picture is translated at, and the size of its translation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cyclegan.data.config import DataConfig
from cyclegan.data.fit import Size, by

LARGEST_SCALE = 16.0
"""The largest `--scale`."""

MUCH_LARGER = 4.0
"""How many times its training size a picture has when its textures look like grain; at 2, strokes are only finer."""


class Sizes(NamedTuple):
    """Two sizes (H, W) of a picture."""

    translated: Size
    """What the network sees."""
    output: Size
    """What is written."""


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """How the size of a translation is chosen: by default, that of the picture.

    Raises ValueError for a value out of range, and for options that clash.
    """

    size: int | None = None
    """Pixels of the shorter side."""
    scale: float | None = None
    """Factor on both sides."""
    detail: bool = False
    """Translate at `size` or `scale` (by default the size of the training), and bring back the full size."""

    def __post_init__(self) -> None:
        if self.size is not None and self.scale is not None:
            raise ValueError("--size and --scale exclude each other; give one of them")
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size: must be at least 1, not {self.size}")
        if self.scale is not None and not 0 < self.scale <= LARGEST_SCALE:
            raise ValueError(f"--scale: must be above 0 and at most {LARGEST_SCALE:g}, not {self.scale:g}")

    def __str__(self) -> str:
        """The options that are given, `size 256 detail`; empty if none are."""
        parts = [] if self.size is None else [f"size {self.size}"]
        parts += [] if self.scale is None else [f"scale {self.scale:g}"]
        return " ".join([*parts, *(["detail"] if self.detail else [])])

    def known(self, trained: int | None) -> Sizing:
        """Return it with the size of a training, if that is needed; `trained` is None if it is not known.

        Raises ValueError when it is needed and not known.
        """
        if not self.detail or self.size is not None or self.scale is not None:
            return self
        if trained is None:
            raise ValueError("--detail: the size that this model was trained at is not known; add --size, such as 256")
        return Sizing(size=trained, detail=True)

    def of(self, picture: Size, most: int | None = None) -> Sizes:
        """Return the sizes for a picture of a size (H, W); with `detail`, it is never translated larger than it is.

        For `detail`, `known` must have been asked first.
        Raises ValueError when one of both has more than `most` pixels.
        """
        shorter = min(picture)
        factor = self.scale or (shorter if self.size is None else self.size) / shorter
        if self.detail:
            factor = min(factor, 1.0)
        height, width = (max(1, round(side * factor)) for side in picture)
        sizes = Sizes((height, width), picture if self.detail else (height, width))
        for size in sizes:
            if most is not None and size[0] * size[1] > most:
                option = "--size" if self.scale is None else "--scale"
                raise ValueError(f"{by(size)} pixels are over the limit of {most:,}; use a smaller {option}")
        return sizes


def trained_size(data: DataConfig) -> int | None:
    """Return the length of the shorter side of pictures in a training, in pixels; None if it is not known.

    It says how large things were, not how large a crop was: for `crop` with 256, shorter sides are 286 and crops 256,
    which is what people call the size; for crops of pictures that keep their size, it is not known.
    """
    if data.transforms is None:
        return None if data.fit == "none" else data.size
    scalings = (_scaled_to(name, arguments) for transform in data.transforms for name, arguments in transform.items())
    return next((size for size in reversed([*scalings]) if size is not None), None)


def _scaled_to(name: str, arguments: Mapping[str, Any]) -> int | None:
    """Return the length of the shorter side to which a transform of albumentations, or `Scale`, brings pictures."""
    if arguments.get("p", 1) != 1:
        return None
    match name:
        case "Scale":
            sides = [arguments.get("shortest") or arguments.get("width")]
        case "Resize":
            sides = [arguments.get("height"), arguments.get("width")]
        case "SmallestMaxSize":
            sides = [arguments.get("max_size")]
        case "RandomResizedCrop":
            sides = [*arguments.get("size", [None])]
        case _:
            return None
    known = [side for side in sides if isinstance(side, int)]
    return min(known, default=None) if len(known) == len(sides) else None


def is_much_larger(translated: Size, trained: int | None) -> bool:
    """Return whether a model that was trained at a size paints too finely on a picture that it translates."""
    return trained is not None and min(translated) >= MUCH_LARGER * trained


def advice(name: str, translated: Size, trained: int, number: int = 1) -> str:
    """Return a line about a picture, and `number - 1` others, that are much larger than those of the training."""
    has = f"{name} has {by(translated)} pixels" + _more(number - 1)
    options = f"--detail, --size {trained} or --scale {trained / min(translated):.1g}"
    return f"{has}, but the model was trained at {trained}, so its textures will be fine-grained; try {options}"


def _more(number: int) -> str:
    return f", and {number:,} more {'is' if number == 1 else 'are'} as large" if number else ""
