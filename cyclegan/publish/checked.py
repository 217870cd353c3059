"""Check an exported model against torch, at sizes of every kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from cyclegan.inference.engines.agreement import Difference, difference, disagreement
from cyclegan.inference.engines.sessions import Array, EnginePrecision
from cyclegan.inference.graph.nodes import Code, mirrored
from cyclegan.networks.base import Generator, StyleGenerator

NEAR = 60
"""The sizes are near this one, or as much larger as the generator needs; at 60 pixels a check takes a second or two."""

MANY = 8
"""With a larger multiple, only some remainders are tried."""


class Checked(NamedTuple):
    """The outcome of a check."""

    sizes: list[tuple[int, int]]
    off: Difference
    """The largest of the differences of all sizes, and the largest of their means."""

    def __str__(self) -> str:
        return f"{len(self.sizes)} sizes from 1 x {self.sizes[-1][1]} pixels on differ by {self.off}"


def check_model(
    translate: Callable[..., Array],
    network: Generator,
    precision: EnginePrecision,
    pictures: Sequence[Array],
    style: Code | None = None,
) -> Checked:
    """Compare the translations of a model with those of plain float32 in torch, and return the largest difference.

    Sizes have every remainder of the generator's multiple in both axes (of a multiple above 8, the first, the last and
    the middle ones), and a side of one pixel; one batch has two pictures. They are cut from `pictures`, each
    (1, C, H, W) in [-1, 1], or painted if there are none. `style` is a code (1, S) for a generator with styles.

    Raises ValueError, with size and numbers, when a translation is off by more than rounding.
    """
    sizes, off = sizes_for(network.multiple), Difference(0.0, 0.0)
    for number, size in enumerate(sizes):
        images = np.concatenate(
            [cut(pictures, number + more, size, network.inputs) for more in range(1 + (number == 0))]
        )
        codes = [] if style is None else [np.repeat(style, len(images), axis=0)]
        with torch.inference_mode():
            expected: Array = network(*map(torch.from_numpy, (images, *codes))).numpy()
        made = translate(images, *codes)
        if problem := disagreement(made, expected, precision):
            raise ValueError(f"not written: at {size[1]} x {size[0]} pixels, the model {problem}")
        here = difference(made, expected)
        off = Difference(max(off.largest, here.largest), max(off.mean, here.mean))
    return Checked(sizes, off)


def style_for(network: Generator) -> Code | None:
    """Return a style code (1, S) with which a generator is checked; None for one without styles."""
    if not isinstance(network, StyleGenerator):
        return None
    if network.has_prior:
        return np.random.default_rng(0).standard_normal((1, network.style_size)).astype(np.float32)
    with torch.inference_mode():
        code: Code = network.encode_style(torch.from_numpy(_painted(0, (128, 128), network.outputs))).numpy()
    return code


def sizes_for(multiple: int) -> list[tuple[int, int]]:
    """Return the sizes (H, W) that are checked; the last has a height of one pixel."""
    base = NEAR - NEAR % multiple
    some = range(1, multiple + 1) if multiple <= MANY else [1, 2, 3, multiple // 2, multiple - 1, multiple]
    sides = [base + remainder for remainder in some]
    return [*zip(sides, [*sides[1:], sides[0]], strict=True), (1, base + multiple // 2 + 1)]


def cut(pictures: Sequence[Array], number: int, size: tuple[int, int], channels: int) -> Array:
    """Return a part (1, C, H, W) of a picture; a smaller picture is continued by reflection."""
    if not pictures:
        return _painted(number, size, channels)
    picture = pictures[number % len(pictures)]
    rows, columns = (mirrored(side, wanted) for side, wanted in zip(picture.shape[2:], size, strict=True))
    return np.ascontiguousarray(picture[:, :, rows][:, :, :, columns])


def _painted(seed: int, size: tuple[int, int], channels: int) -> Array:
    """Return an image of waves and some noise."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[: size[0], : size[1]].astype(np.float32)
    angles = random.uniform(0.02, 0.3, (channels, 2, 1, 1)).astype(np.float32)
    waves = 0.7 * np.sin(angles[:, 0] * down + angles[:, 1] * across + random.uniform(0, 6, (channels, 1, 1)))
    noisy = waves + random.normal(0, 0.1, waves.shape)
    image: Array = noisy.clip(-1, 1).astype(np.float32)[None]
    return image
