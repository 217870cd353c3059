"""The recipe that fits the pictures and the machine: each value with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from cyclegan.check.between import equal_names, real_detail
from cyclegan.check.facts import Facts
from cyclegan.check.fitting import fitting
from cyclegan.check.within import narrow_range
from cyclegan.data.config import DataConfig, DomainConfig
from cyclegan.data.format import PictureFormat
from cyclegan.data.found import find_format
from cyclegan.recipe import Recipe, recipe_from
from cyclegan.types import DOMAINS, Domain

SIZES = (64, 128, 256)
"""Training sizes to choose from, in pixels."""

HOURS = {"cuda": 24.0, "mps": 12.0, "cpu": 12.0}
"""Hours that a first training may take, by the type of the device."""

EPOCHS, FEWEST, MOST = 200, 20_000, 300_000
"""Epochs of the reference, and limits of the images of a training: few pictures need more epochs, many need fewer."""

SHORT = 30_000
"""Images below which a training takes 1.5 times the learning rate, as experiments/horse2zebra_128.yaml."""

SHORTEST = 1000
"""Images that a training should have, however slow the machine is."""

SCORED = 500
"""Pictures of each domain from which 50 can be held out."""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A value of a recipe, and why it fits."""

    key: str
    """With dots: `data.a.range`."""
    value: Any
    """As plain data."""
    reason: str
    """In one line."""


class Plan(NamedTuple):
    """Suggestions without a schedule, and what a schedule needs to know."""

    suggestions: tuple[Suggestion, ...]
    size: int
    """Side of the training crops in pixels."""
    epoch: int
    """Images in an epoch."""


def plan(data: DataConfig, folders: Sequence[Facts], device: str, *, scores: bool) -> Plan:
    """Suggest data, method and networks for a type of device.

    `scores` says whether scores can be computed without a download. Raises what `find_format` raises.
    """
    a, b = folders[:2]
    found = {facts.place.domain: _format(facts) for facts in (a, b)}
    size = _size(a, b, device)
    suggested = [
        *_layout(data, a, b),
        *_formats(found),
        *_fit(data, a, b, size),
        *_networks(data, size, device),
        Suggestion(key="training.batch_size", value=1, reason="pictures in a step; 1, as the authors train"),
        *_scores(a, b, scores),
    ]
    return Plan(tuple(suggested), size, max(len(a.place.files), len(b.place.files)))


def schedule(epoch: int, seconds: float | None, device: str) -> Iterator[Suggestion]:
    """Yield the length of a training with `epoch` images in an epoch, if an image takes so many seconds."""
    wanted = min(max(EPOCHS * epoch, FEWEST), MOST)
    hours = HOURS[device]
    possible = wanted if seconds is None else max(int(hours * 3600 / seconds), SHORTEST)
    images = _rounded(min(wanted, possible))
    half, often = images // 2, max(images // 20, 1)
    why = f"{images / epoch:.3g} epochs of {epoch:,} images"
    if images < _rounded(wanted):
        why += f", what fits into {hours:g} hours here; {wanted:,} would be better"
    elif wanted != EPOCHS * epoch:
        why += "; the reference's 200 epochs would be " + ("too few" if wanted > EPOCHS * epoch else "more than needed")
    else:
        why += ", as the authors train"
    length = "training.lr_schedule"
    yield Suggestion(key=f"{length}.constant", value=f"{half} images", reason=f"{images:,} images in all: {why}")
    yield Suggestion(key=f"{length}.decay", value=f"{images - half} images", reason="images in which the learning rate falls to zero")
    if images < SHORT:
        yield Suggestion(key="training.lr", value=3e-4, reason="1.5 times the default, because the training is short")
    yield Suggestion(
        key="training.ema", value=f"{max(images // 20, 1)} images", reason="averages the weights, for steadier pictures"
    )
    yield Suggestion(key="log.samples_every", value=f"{often} images", reason="20 sample grids")
    yield Suggestion(key="log.checkpoint_every", value=f"{often} images", reason="--resume loses at most this much")


def recipe_of(data: DataConfig, suggestions: Iterable[Suggestion]) -> Recipe:
    """Return the recipe that suggestions make."""
    return recipe_from(nested(data, suggestions), "the suggestions")


def nested(data: DataConfig, suggestions: Iterable[Suggestion]) -> dict[str, Any]:
    """Return suggestions as the nested data of a recipe."""
    recipe: dict[str, Any] = {"data": {"root": data.root.as_posix()}}
    for each in suggestions:
        *above, last = each.key.split(".")
        inner = recipe
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = each.value
    return recipe


def _format(facts: Facts) -> PictureFormat:
    """Return the format of a folder, with the range of 10, 12 or 14 bits that are stored in 16."""
    narrow = narrow_range(facts)
    config = DomainConfig(range=narrow, view_range=narrow) if narrow else DomainConfig()
    return find_format(config, facts.place.source, facts.place.files)


def _layout(data: DataConfig, a: Facts, b: Facts) -> Iterator[Suggestion]:
    if data.paired:
        yield Suggestion(key="data.pairs", value=data.pairs, reason="train holds both pictures of a pair in one file")
    elif equal_names(a, b) == 1:
        reason = "the names are equal; if they are pairs, write stem here, and pix2pix as the method"
        yield Suggestion(key="data.pairs", value="none", reason=reason)


def _formats(found: dict[Domain, PictureFormat]) -> Iterator[Suggestion]:
    plain = PictureFormat()
    for domain in DOMAINS:
        ours = found[domain]
        for field in fields(PictureFormat):
            value = getattr(ours, field.name)
            if value != getattr(plain, field.name):
                plainly = list(value) if isinstance(value, tuple) else value
                yield Suggestion(key=f"data.{domain}.{field.name}", value=plainly, reason=REASONS[field.name])


REASONS = {
    "channels": "the number of channels of the files",
    "depth": "the type of the values in the files",
    "range": "the values that networks see as -1 and 1, as the files have them",
    "colour": "stored: the values are taken as they are, because they are no colours",
    "view": "the channels that logs and scores see as red, green and blue, or as grey",
    "view_range": "the values that logs and scores see as black and white",
}
"""What each part of a format is, as a comment in a recipe."""


def _size(a: Facts, b: Facts, device: str) -> int:
    """Return the largest size that the pictures and the device suit."""
    largest = SIZES[-1] if device == "cuda" else 128
    shorter = min(float(np.median(facts.shorter)) for facts in (a, b))
    detail = min(real_detail(facts) for facts in (a, b))
    fits = [size for size in SIZES if size <= largest and size <= shorter * 1.1 and size <= detail * 1.5]
    return max(fits, default=SIZES[0])


def _fit(data: DataConfig, a: Facts, b: Facts, size: int) -> Iterator[Suggestion]:
    shorter = " and ".join(f"{np.median(facts.shorter):.0f}" for facts in (a, b))
    what = f"crops of {size} x {size} pixels; the pictures have shorter sides of {shorter} (medians)"
    bands = any("bands" in facts.kinds for facts in (a, b))
    for key, value in fitting("crop" if bands else "scale_shortest", size).items():
        yield Suggestion(key=f"data.{key}", value=value, reason=what)


def _networks(data: DataConfig, size: int, device: str) -> Iterator[Suggestion]:
    small = device != "cuda"
    if data.paired:
        yield Suggestion(key="method.kind", value="pix2pix", reason="learns from pairs")
        generator: dict[str, Any] = {"kind": "unet", "depth": size.bit_length() - 1}
        why = f"{generator['depth']} downsamplings, for {size} pixels"
    else:
        yield Suggestion(key="method.kind", value="cyclegan", reason="learns both directions without pairs")
        generator = {"kind": "resnet", "blocks": 9 if size >= 256 else 6}
        why = f"{generator['blocks']} blocks, as the authors for {size} pixels"
    if small:
        generator |= {"width": 32} if data.paired else {"width": 24, "upsample": "resize", "skip": True}
        why += "; narrow, as there is no GPU" + ("" if data.paired else "; skip: it starts as a copy of its input")
    yield Suggestion(key="method.generator", value=generator, reason=why)
    if small:
        critic = {"kind": "patchgan", "width": 32} | ({"norm": "batch"} if data.paired else {})
        yield Suggestion(key="method.discriminator", value=critic, reason="half as wide as the authors', as there is no GPU")
    if small and not data.paired:
        reason = "weight of the identity loss: with skip, 5 would let a short training change too little"
        yield Suggestion(key="method.identity", value=1.0, reason=reason)


def _scores(a: Facts, b: Facts, scores: bool) -> Iterator[Suggestion]:
    if scores and min(len(facts.place.files) for facts in (a, b)) >= SCORED:
        reason = "scores held-out pictures, and keeps the best weights"
        yield Suggestion(key="log.evaluate_every", value="10 epochs", reason=reason)


def _rounded(images: int) -> int:
    """Return a number with two leading digits, and an even one."""
    unit = 10 ** max(len(str(images)) - 2, 0)
    return max(images // unit * unit, 2)
