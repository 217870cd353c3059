"""The test pictures of a run, translated, and where its judge sees a fake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from cyclegan.checkpoint import Checkpoint
from cyclegan.images.files import UnreadableImage, find_images, read_image, to_image, to_tensor
from cyclegan.inference.translator import Translator
from cyclegan.inference.weights import fill
from cyclegan.methods.base import Judge
from cyclegan.recipe import Recipe
from cyclegan.types import Direction

FAKE, REAL = (217, 72, 15), (20, 121, 168)
"""Colours of patches on either side of the boundary; the legend in style.css has them too."""

T = TypeVar("T")


class Translated(NamedTuple):
    """A test picture and what became of it."""

    path: Path
    real: Image.Image
    fake: Image.Image
    patches: Tensor | None
    """(H', W') scores less the judge's boundary: below 0 where it sees a fake. None without a judge."""

    @property
    def score(self) -> float:
        """The mean of its patches."""
        assert self.patches is not None
        return float(self.patches.mean())


def evenly(items: Sequence[T], number: int) -> list[T]:
    """At most so many of them, evenly spaced, the first and the last among them; of a single one, the last."""
    if len(items) <= number:
        return list(items)
    if number == 1:
        return [items[-1]]
    return [items[round(i * (len(items) - 1) / (number - 1))] for i in range(number)]


def find_tests(recipe: Recipe, direction: Direction) -> list[Path]:
    """The test pictures that a direction translates, sorted; none where there is no such folder any more."""
    try:
        return find_images(recipe.data.root / f"test{direction[0]}")
    except OSError:
        return []


def learned_size(recipe: Recipe, paths: Sequence[Path]) -> tuple[int, int] | None:
    """(width, height) of what the networks learned from: of the first picture that can be read, transformed.

    None where there is none. Raises ValueError when it cannot be transformed.
    """
    augment = recipe.data.build()
    for path in paths:
        try:
            image = read_image(path)
        except UnreadableImage:
            continue
        height, width, _ = augment(augment.prepare(np.asarray(image)), 0).shape
        return width, height
    return None


def read_fitted(path: Path, size: tuple[int, int]) -> Image.Image | None:
    """A picture cut and scaled to a size, as sample grids are; None when it cannot be read."""
    try:
        return ImageOps.fit(read_image(path), size, Image.Resampling.BICUBIC)
    except UnreadableImage:
        return None


def translated(
    paths: Sequence[Path], size: tuple[int, int], translator: Translator, judge: Judge | None
) -> Iterator[Translated | None]:
    """Each picture in turn; None for one that cannot be read."""
    for path in paths:
        if (real := read_fitted(path, size)) is None:
            yield None
            continue
        fake = translator.translate_batch(to_tensor(real)[None])
        yield Translated(path, real, to_image(fake[0]), _judged(fake, judge, translator))


@torch.inference_mode()
def _judged(fake: Tensor, judge: Judge | None, translator: Translator) -> Tensor | None:
    if judge is None:
        return None
    with translator.autocast:
        scores: Tensor = judge.network(fake)
    return scores[0, 0].float().cpu() - judge.boundary


def judge_of(checkpoint: Checkpoint, direction: Direction, device: torch.device) -> Judge | None:
    """Who judged the translations of a direction in training; None where the method has nobody.

    Raises ValueError for weights that do not fit the recipe.
    """
    with torch.device("meta"):
        method = checkpoint.recipe.method.build()
    judge = method.judges().get(direction)
    if judge is None:
        return None
    prefix = next(f"{name}." for name, module in method.named_modules() if module is judge.network)
    own = {name.removeprefix(prefix): w for name, w in checkpoint.method.items() if name.startswith(prefix)}
    fill(judge.network, own)
    return judge._replace(network=judge.network.to(device).eval())


def overlaid(fake: Image.Image, patches: Tensor, limit: float) -> Image.Image:
    """The picture in grey, coloured where its patches look fake or real; scores of `limit` and beyond most."""
    grey = np.asarray(fake.convert("L").convert("RGB"), dtype=np.float32)
    strength = Image.fromarray((patches / limit).clamp(-1, 1).numpy().astype(np.float32))
    spread = np.asarray(strength.resize(fake.size, Image.Resampling.BILINEAR))[..., None]
    colour = np.where(spread < 0, np.array(FAKE, np.float32), np.array(REAL, np.float32))
    opacity = 0.75 * np.abs(spread)
    return Image.fromarray((grey * (1 - opacity) + colour * opacity).round().astype(np.uint8))
