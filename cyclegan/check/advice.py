"""Data, method and networks that fit the pictures and the machine: each value of a recipe with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from cyclegan.check.between import equal_names, real_detail
from cyclegan.check.facts import Facts
from cyclegan.check.suggestion import Suggestion
from cyclegan.check.within import narrow_range
from cyclegan.data.config import DataConfig, DomainConfig
from cyclegan.data.format import PictureFormat
from cyclegan.data.found import find_format
from cyclegan.data.presets import SPARE
from cyclegan.types import DOMAINS, Domain

SIZES = (64, 128, 256)
"""Training sizes to choose from, in pixels."""

LARGEST_WITHOUT = 128
"""The largest of them without a GPU."""

MUCH = 4
"""Ratio of shorter side and crop from which scaling loses much."""

SCORED = 500
"""Pictures of each domain from which 50 can be held out."""


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
        *_fit(a, b, size, device),
        *_networks(data, size, device),
        Suggestion(key="training.batch_size", value=1, reason="pictures in a step; 1, as the authors train"),
        *_scores(a, b, scores),
    ]
    return Plan(tuple(suggested), size, max(len(a.place.files), len(b.place.files)))


def _format(facts: Facts) -> PictureFormat:
    """Return the format of a folder, with the range of fewer bits than are stored, and the window of its files."""
    narrow = narrow_range(facts)
    view = narrow or (facts.window if facts.usual_depth != "uint8" and "bands" not in facts.kinds else None)
    config = DomainConfig(range=narrow or "auto", view_range=view or "auto")
    return find_format(config, facts.place.source, facts.place.files)


def _layout(data: DataConfig, a: Facts, b: Facts) -> Iterator[Suggestion]:
    if data.paired:
        yield Suggestion(key="data.pairs", value=data.pairs, reason="train holds both pictures of a pair in one file")
    elif equal_names(a, b) == 1:
        reason = "if files of equal names are pairs, write stem here, and pix2pix as method.kind"
        yield Suggestion(key="data.pairs", value="none", reason=reason)


def _formats(found: dict[Domain, PictureFormat]) -> Iterator[Suggestion]:
    plain = PictureFormat()
    for domain in DOMAINS:
        ours = found[domain]
        for field in fields(PictureFormat):
            value = getattr(ours, field.name)
            if value != getattr(plain, field.name):
                if field.name in ("range", "view_range"):
                    value = _bounds(*value)
                plainly = list(value) if isinstance(value, tuple) else value
                yield Suggestion(key=f"data.{domain}.{field.name}", value=plainly, reason=REASONS[field.name])


def _bounds(low: float, high: float) -> list[float]:
    """Return a range to a thousandth of its width, in whole numbers where they are."""
    digits = max(3 - math.floor(math.log10(high - low)), 0)
    return [int(end) if end == int(end) else end for end in (round(low, digits), round(high, digits))]


REASONS = {
    "channels": "the number of channels of the files",
    "depth": "the type of the values in the files",
    "range": "the values in the files that networks see as -1 and 1",
    "colour": "stored: not converted to a colour space, because the values are no colours",
    "view": "the channels that logs and scores show as red, green and blue; one is shown in grey",
    "view_range": "the values that logs and scores show as black and white",
}
"""What each part of a format is, as a comment in a recipe."""


def _size(a: Facts, b: Facts, device: str) -> int:
    """Return the largest size that the pictures and the device suit."""
    largest = SIZES[-1] if device == "cuda" else LARGEST_WITHOUT
    shorter = min(float(np.median(facts.shorter)) for facts in (a, b))
    detail = min(real_detail(facts) for facts in (a, b))
    fits = [size for size in SIZES if size <= largest and size <= shorter * 1.1 and size <= detail * 1.5]
    return max(fits, default=SIZES[0])


def _fit(a: Facts, b: Facts, size: int, device: str) -> Iterator[Suggestion]:
    if any("bands" in facts.kinds for facts in (a, b)):
        crop = [{"RandomCrop": {"height": size, "width": size}}, {"HorizontalFlip": {"p": 0.5}}]
        reason = f"crops of {size} x {size} pixels, not scaled, because scale matters for bands; replaces fit and size"
        yield Suggestion(key="data.transforms", value=crop, reason=reason)
        return
    shorter = " and ".join(f"{np.median(facts.shorter):.0f}" for facts in (a, b))
    what = f"scaled to a shorter side of {round(size * SPARE)} pixels, from {shorter} (medians), and cropped"
    if min(float(np.median(facts.shorter)) for facts in (a, b)) >= MUCH * size:
        what += "; to keep their scale, as microscopes need, use data.transforms with RandomCrop"
    why = "; more would take long without a GPU" if device != "cuda" and size == LARGEST_WITHOUT else ""
    yield Suggestion(key="data.fit", value="crop", reason=what)
    yield Suggestion(key="data.size", value=size, reason=f"side of the crops in pixels{why}")


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
        yield Suggestion(key="method.discriminator", value=critic, reason="half the authors' width, as there is no GPU")
    if small and not data.paired:
        reason = "weight of the identity loss: with skip, 5 would let a short training change too little"
        yield Suggestion(key="method.identity", value=1.0, reason=reason)


def _scores(a: Facts, b: Facts, scores: bool) -> Iterator[Suggestion]:
    if scores and min(len(facts.place.files) for facts in (a, b)) >= SCORED:
        reason = "scores held-out pictures, and keeps the best weights"
        yield Suggestion(key="log.evaluate_every", value="10 epochs", reason=reason)
