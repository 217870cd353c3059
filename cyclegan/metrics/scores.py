"""Score one direction: the distance of translations from real pictures, and their similarity to the inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import repeat
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from cyclegan.data.convert import normalised, to_bytes
from cyclegan.data.format import RGB_PICTURES, PictureFormat
from cyclegan.metrics.bootstrap import estimate_mean
from cyclegan.metrics.distances import distances
from cyclegan.metrics.features import Features
from cyclegan.metrics.paired import ssim_and_psnr
from cyclegan.metrics.perceptual import perceptual
from cyclegan.metrics.result import Score
from cyclegan.metrics.structure import structure_distance
from cyclegan.metrics.style import style_distance

Styles: TypeAlias = Callable[[int], "Sequence[Tensor] | None"]
"""Returns the pictures of the styles of the last so many translations, each (1, C, H, W) in [-1, 1]; None if random."""


class Portion(NamedTuple):
    """The results of one batch, on the CPU."""

    features: Tensor
    """The features of the translations, (N, D)."""
    figures: dict[str, Tensor]
    """The scores of each picture by name, (N,)."""


def score_sets(what: str, seen: Tensor, real: Tensor) -> Score:
    """Score the features of a set, (N, D), against those of real pictures, (M, D). Raises what `distances` raises."""
    figures, warnings = distances(seen, real)
    return Score(what=what, images=len(seen), real=len(real), figures=figures, warnings=warnings)


@torch.no_grad()
def score_translation(
    what: str,
    pictures: Iterable[Tensor],
    real: Tensor,
    features: Features,
    *,
    translate: Callable[[Tensor], Tensor],
    back: Callable[[Tensor], Tensor] | None = None,
    truths: Iterable[Tensor] | None = None,
    formats: tuple[PictureFormat, PictureFormat] = (RGB_PICTURES, RGB_PICTURES),
    styles: Styles | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> Score:
    """Translate batches of pictures (N, C, H, W), see `Pixels`, and score them against features of real ones, (M, D).

    `translate` and `back` map float images (N, C, H, W) in [-1, 1] to the same. If files of their domain have 8 bits,
    their outputs are rounded to them. They are scored on their device, on which `features` must be too. `formats` are
    those of the source and of the target; `features` see RGB views. With `back`, the cycle is scored; with
    `truths`, batched like `pictures`, the translations are compared with their truth. `styles` is for a translation
    that takes another style in each call: two translations of each picture are compared, and each translation with the
    picture whose style it took. `report` is called with the
    number of pictures done. Only the features are kept in memory.
    Raises ValueError for fewer than 4 pictures in a set, pictures that are too small, a truth of another size, and NaN.
    """
    portions: list[Portion] = []
    done = 0
    for batch, truth in zip(pictures, repeat(None) if truths is None else truths, strict=truths is not None):
        portions.append(_portion(batch, truth, features, translate, back, formats, styles))
        report(done := done + len(batch))
    seen = torch.cat([portion.features for portion in portions]) if portions else torch.empty(0, real.shape[1])
    score = score_sets(what, seen, real)
    names = portions[0].figures
    means = {name: estimate_mean(torch.cat([portion.figures[name] for portion in portions])) for name in names}
    return replace(score, figures=score.figures | means)


def _portion(
    batch: Tensor,
    truth: Tensor | None,
    features: Features,
    translate: Callable[[Tensor], Tensor],
    back: Callable[[Tensor], Tensor] | None,
    formats: tuple[PictureFormat, PictureFormat],
    styles: Styles | None,
) -> Portion:
    """Translate and score one batch, and its cycle if `back` is given."""
    images, (source, target) = normalised(batch), formats
    fake = rounded(translate(images), target)
    images = images.to(fake.device)
    seen = target.as_rgb(fake)
    figures = {"structure": structure_distance(source.as_rgb(images), seen)}
    if back:
        figures |= _closeness("cycle", rounded(back(fake), source), images, features, source)
    if truth is not None:
        figures |= _closeness("truth", fake, normalised(truth).to(fake.device), features, target)
    if styles is not None:
        layers = features.layers(seen)
        if (wanted := styles(len(fake))) is not None:
            alike = [features.layers(target.as_rgb(picture.to(fake.device))) for picture in wanted]
            figures["style"] = torch.cat(
                [style_distance([layer[i : i + 1] for layer in layers], own) for i, own in enumerate(alike)]
            )
        other = rounded(translate(images), target)
        figures["diversity"] = perceptual(layers, features.layers(target.as_rgb(other)))
    return Portion(features(seen).cpu(), {name: figure.cpu() for name, figure in figures.items()})


def _closeness(what: str, images: Tensor, others: Tensor, features: Features, of: PictureFormat) -> dict[str, Tensor]:
    """Return SSIM and PSNR of each pair of images in two batches, and the perceptual distance of their RGB views."""
    ssim, psnr = ssim_and_psnr(images, others).unbind(dim=1)
    looks = perceptual(features.layers(of.as_rgb(images)), features.layers(of.as_rgb(others)))
    return {f"{what}_ssim": ssim, f"{what}_psnr": psnr, f"{what}_perceptual": looks}


def rounded(images: Tensor, of: PictureFormat) -> Tensor:
    """Return images (N, C, H, W) in [-1, 1] as their files would hold them: with 8 bits, or clamped. Raises for NaN."""
    return normalised(to_bytes(images)) if of.in_bytes else images.clamp(-1, 1)
