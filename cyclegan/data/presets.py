"""The presets of `data.fit`: the transforms that training applies, and how pictures are fitted outside training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from cyclegan.data.config import DataConfig, Preset, Transform
from cyclegan.data.fit import Fit, Size, scaled
from cyclegan.data.scale import scaled_size

SPARE = 286 / 256
"""How much larger than its crop a picture is, as in the reference."""

MULTIPLE = 4
"""Sides of pictures that are scaled and not cropped are multiples of this number, as in the reference."""

LARGEST = 2**16
"""Largest side that a preset asks for."""

FLIP: Transform = {"HorizontalFlip": {"p": 0.5}}


def _larger(size: int) -> int:
    return min(round(size * SPARE), LARGEST)


def _crop(size: int) -> tuple[Transform, ...]:
    return {"Scale": {"shortest": _larger(size)}}, {"RandomCrop": {"height": size, "width": size}}, FLIP


def _squash(size: int) -> tuple[Transform, ...]:
    side = _larger(size)
    square = {"height": side, "width": side, "interpolation": 2, "area_for_downscale": "image"}  # 2 is bicubic
    return {"Resize": square}, {"RandomCrop": {"height": size, "width": size}}, FLIP


PRESETS: Mapping[Preset, Callable[[int], tuple[Transform, ...]]] = {
    "crop": _crop,
    "scale_width": lambda size: ({"Scale": {"width": size, "multiple": MULTIPLE}}, FLIP),
    "scale_shortest": lambda size: ({"Scale": {"shortest": size, "multiple": MULTIPLE}}, FLIP),
    "squash": _squash,
    "none": lambda size: (FLIP,),
}
"""The transforms of each preset for a size; `squash` with 256 is what the reference does."""


def transforms_of(config: DataConfig) -> tuple[Transform, ...]:
    """Return the transforms of a training: the list of the recipe, or those of its preset."""
    return PRESETS[config.fit](config.size) if config.transforms is None else config.transforms


def fit_of(config: DataConfig) -> Fit:
    """Return how a preset fits pictures for samples, scores and reports; the recipe must have no list of transforms."""
    assert config.transforms is None
    size = config.size
    match config.fit:
        case "crop":
            return Fit((size, size), told=f"shorter side {size}, middle {size} x {size}")
        case "squash":
            return Fit((size, size), partial(scaled, size=(size, size)), told=f"{size} x {size}, squashed")
        case "scale_width":
            return Fit(None, config.build().prepare, several=True, told=f"width {size}")
        case "scale_shortest":
            return Fit(None, config.build().prepare, several=True, told=f"shorter side {size}")
        case "none":
            return Fit(several=True)


def size_in_training(config: DataConfig) -> Callable[[Size], Size] | None:
    """Return the size (H, W) that a picture has in training as a function of its own; None if all have the same.

    For a list of transforms, which may change sizes at random, it is None too.
    """
    if config.transforms is not None:
        return None
    match config.fit:
        case "scale_width":
            return partial(scaled_size, width=config.size, multiple=MULTIPLE)
        case "scale_shortest":
            return partial(scaled_size, shortest=config.size, multiple=MULTIPLE)
        case "none":
            return lambda size: size
    return None
