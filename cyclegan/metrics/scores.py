"""One direction, scored: how far translations are from real pictures of the domain, how near their inputs they stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import NamedTuple

import torch
from torch import Tensor

from cyclegan.data.files import from_bytes, to_bytes
from cyclegan.metrics.distances import Distances, distances
from cyclegan.metrics.features import Features
from cyclegan.metrics.paired import Closeness, ssim_and_psnr
from cyclegan.metrics.perceptual import perceptual
from cyclegan.metrics.structure import structure_distance


class Cycle(NamedTuple):
    """How close translating there and back comes to the picture; means over pictures."""

    ssim: float
    """Structural similarity: 1 for equal pictures."""
    psnr: float
    """Peak signal-to-noise ratio in dB, at most 100."""
    perceptual: float
    """How different the two look to the network (see `perceptual`): 0 for equal pictures."""


class Score(NamedTuple):
    """Of one set of pictures against the real ones of its domain."""

    images: int
    """Pictures scored."""
    real: int
    """Pictures that they were compared with."""
    distances: Distances
    """Of the two sets."""
    structure: float | None = None
    """Between input and translation (see `structure_distance`): 0 for the same edges. None for pictures as they are."""
    cycle: Cycle | None = None
    """None where only one way is known."""
    truth: Closeness | None = None
    """Of each translation and its true one; None where that is not known."""


class Portion(NamedTuple):
    """What is kept of a batch, all on the CPU: features (N, D), and numbers of each picture."""

    features: Tensor
    structure: Tensor
    cycle: Tensor | None
    truth: Tensor | None


@torch.no_grad()
def score_translation(
    pictures: Iterable[Tensor],
    real: Tensor,
    features: Features,
    *,
    translate: Callable[[Tensor], Tensor],
    back: Callable[[Tensor], Tensor] | None = None,
    truths: Iterable[Tensor] | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> Score:
    """Translate batches of pictures, uint8 (N, 3, H, W), and score them against the `real` ones' features, (M, D).

    `translate` and `back` map float (N, 3, H, W) in [-1, 1] to the same; their outputs are rounded to 8 bits, as a PNG
    would be, and scored where they lie: `features` must be on that device. `truths` are batched as `pictures` are.
    `report` is told how many pictures are done. Memory grows by the features only.
    Raises ValueError for fewer than 4 pictures on a side, too small ones, a truth of another size, and NaN.
    """
    portions: list[Portion] = []
    done = 0
    for batch, truth in zip(pictures, repeat(None) if truths is None else truths, strict=truths is not None):
        portions.append(_portion(batch, truth, features, translate, back))
        report(done := done + len(batch))
    seen = torch.cat([portion.features for portion in portions]) if portions else torch.empty(0, real.shape[1])
    far = distances(seen, real)
    cycle, true = _means(portion.cycle for portion in portions), _means(portion.truth for portion in portions)
    return Score(
        images=len(seen),
        real=len(real),
        distances=far,
        structure=float(torch.cat([portion.structure for portion in portions]).mean()),
        cycle=Cycle(*cycle) if cycle else None,
        truth=Closeness(*true) if true else None,
    )


def _portion(
    batch: Tensor,
    truth: Tensor | None,
    features: Features,
    translate: Callable[[Tensor], Tensor],
    back: Callable[[Tensor], Tensor] | None,
) -> Portion:
    """One batch there, and back if the way is known."""
    images = from_bytes(batch)
    fake = _as_png(translate(images))
    images = images.to(fake.device)
    cycle = None
    if back:
        again = _as_png(back(fake))
        looks = perceptual(features.layers(again), features.layers(images))
        cycle = torch.cat([ssim_and_psnr(again, images), looks[:, None]], dim=1).cpu()
    true = None if truth is None else ssim_and_psnr(fake, from_bytes(truth).to(fake.device)).cpu()
    return Portion(features(fake).cpu(), structure_distance(images, fake).cpu(), cycle, true)


def _means(portions: Iterable[Tensor | None]) -> list[float] | None:
    """Of each column, over the pictures of all portions; None where there are none."""
    known = [portion for portion in portions if portion is not None]
    return torch.cat(known).double().mean(dim=0).tolist() if known else None


def _as_png(images: Tensor) -> Tensor:
    return from_bytes(to_bytes(images))
