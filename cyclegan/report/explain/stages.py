"""What the stages of a generator make of a picture: single channels, all channels in three colours, what is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan.data.convert import LUMA
from cyclegan.networks.base import Generator, StyleGenerator
from cyclegan.networks.blocks import ResidualBlock, mirror_pad

MAPS = 8
"""Channels of a stage that are shown, at most: those that vary most over the picture."""

ALIKE = 0.9
"""Correlation, of either sign, from which a channel looks like another one and is not shown beside it."""

ENDS = 0.01
"""Share of the places of a map that are shown as black, and as white."""

FAINT = 0.05
"""Correlation from which a principal component has a side that is the brighter one."""

SILENT = 1e-8
"""Variance, as a share of that of the liveliest channel, up to which a channel says nothing about the picture."""

BLOCKS = 8
"""Blocks along each side of a picture; every second one is left out of the fit of a read-out and tests it."""

ENOUGH = 4
"""Places for each channel from which a read-out is measured; with fewer, it would be about the fit, not the stage."""

MOST_PLACES = 2**17
"""Largest number of places that a read-out uses."""

RIDGE = 1e-3
"""Weight of the squares of the coefficients of a read-out, relative to the channels' variance."""


class Stage(NamedTuple):
    """The output of one stage for one picture, without what only pads the picture; all tensors are on the CPU."""

    number: int
    what: str
    """What it is or does to the size, in a few words."""
    channels: int
    size: tuple[int, int]
    """(h, w)."""
    rgb: Tensor | None
    """The first three principal components of the channels as colours, (3, h, w) in [0, 1]; None for a single place."""
    explained: float
    """The share of the variance of all channels that these components hold."""
    chosen: tuple[int, ...]
    """The numbers of the channels in `maps`, those that vary most first, without those that look like one before."""
    maps: Tensor
    """Single channels, (k, h, w) in [0, 1], each from its lowest to its highest values."""
    silent: int
    """The number of channels that are the same at every place of this picture."""
    source: float | None
    """The share of the variance of the source that a read-out recovers, see `read_out`; None if it is not defined."""
    translation: float | None
    """The same of the translation."""


@torch.no_grad()
def look_inside(
    network: Generator,
    source: Tensor,
    translation: Tensor,
    style: Tensor | None = None,
    report: Callable[[], object] = lambda: None,
) -> list[Stage]:
    """Return all stages of a generator in evaluation mode for a picture (1, C, H, W) in [-1, 1] and its translation.

    `style` is for a `StyleGenerator`. `report` is called once for each stage.
    """
    numbers = range(len(network.stages))
    if isinstance(network, StyleGenerator):
        outputs = network.features(source, numbers, style)
    else:
        outputs = network.features(source, numbers)
    (height, width), padded = source.shape[2:], mirror_pad(source, network.multiple, network.smallest).shape[2:]
    before = padded[0]
    source, translation = source[0].float().cpu(), translation[0].float().cpu()
    towards = _luma(source).expand(3, -1, -1)
    stages = []
    for number, (stage, output) in enumerate(zip(network.stages, outputs, strict=True)):
        size = -(-output.shape[2] * height // padded[0]), -(-output.shape[3] * width // padded[1])
        features = output[0, :, : size[0], : size[1]].float().cpu()
        what, before = _what(stage, before, output.shape[2]), output.shape[2]
        components, explained = principal_components(features, _resized(towards, features))
        towards = components if max(size) > 1 else towards
        chosen, silent = _liveliest(features)
        stages.append(
            Stage(
                number,
                what,
                len(features),
                size,
                _stretched(components) if max(size) > 1 else None,
                explained,
                tuple(chosen),
                _stretched(features[chosen]),
                silent,
                read_out(features, _resized(source, features)),
                read_out(features, _resized(translation, features)),
            )
        )
        report()
    return stages


def principal_components(features: Tensor, towards: Tensor) -> tuple[Tensor, float]:
    """Return the first three principal components of the channels of a map (C, h, w), and their share of the variance.

    The components are (3, h, w), zero where there are fewer. Each is determined up to its sign. Here it correlates
    positively with its counterpart in `towards` (3, h, w); if it hardly correlates at all, the channel with the largest
    weight has a positive one.
    """
    places = features.flatten(1)
    places = places - places.mean(dim=1, keepdim=True)
    variances, axes = torch.linalg.eigh((places @ places.T).double())
    axes = axes.flip(1)[:, :3].float()
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    axes = axes * torch.where(largest < 0, -1.0, 1.0)
    components = axes.T @ places
    known = towards.flatten(1)[: len(components)]
    known = known - known.mean(dim=1, keepdim=True)
    shared = F.cosine_similarity(components, known, dim=1)
    components = components * torch.where(shared < -FAINT, -1.0, 1.0)[:, None]
    components = F.pad(components, (0, 0, 0, 3 - len(components)))
    total = float(variances.clamp(min=0).sum())
    share = float(variances.flip(0)[:3].clamp(min=0).sum()) / total if total else 0.0
    return components.view(3, *features.shape[1:]), share


def read_out(features: Tensor, picture: Tensor) -> float | None:
    """Return the share of the variance of a picture (K, h, w) that weighted sums of the channels (C, h, w) recover.

    The sums are fitted (by ridge regression) on half of the places, in blocks like those of a chessboard, and tested on
    the other half; then the halves change places. 1: the picture can be read from the channels, place by place. 0: a
    weighted sum tells nothing. What only other functions of the channels would tell does not count.
    None if the picture is flat, or if there are fewer than `ENOUGH` places for each channel.
    """
    channels, height, width = features.shape
    step = -(-height * width // MOST_PLACES)
    if height * width < ENOUGH * channels or float(picture.flatten(1).var(dim=1).max()) < 1e-8:
        return None
    down, across = (torch.arange(side) * BLOCKS // side for side in (height, width))
    half = ((down[:, None] + across) % 2 == 0).flatten()[::step]
    seen = features.flatten(1)[:, ::step].T.double()
    seen = (seen - seen.mean(dim=0)) / seen.std(dim=0).clamp(min=1e-6)
    wanted = picture.flatten(1)[:, ::step].T.double()
    wanted = wanted - wanted.mean(dim=0)
    missed = sum(_missed(seen[one], wanted[one], seen[~one], wanted[~one]) for one in (half, ~half))
    return max(0.0, 1 - missed / float(wanted.square().sum()))


def _missed(seen: Tensor, wanted: Tensor, seen_new: Tensor, wanted_new: Tensor) -> float:
    """Return the summed squared error on new places of a ridge regression."""
    ridge = RIDGE * len(seen) * torch.eye(seen.shape[1], dtype=seen.dtype)
    weights = torch.linalg.solve(seen.T @ seen + ridge, seen.T @ wanted)
    return float((seen_new @ weights - wanted_new).square().sum())


def _what(stage: nn.Module, before: int, after: int) -> str:
    if isinstance(stage, ResidualBlock):
        return "residual block"
    if before == after:
        return "same size"
    return f"1/{before / after:.3g} of the size" if before > after else f"{after / before:.3g} times the size"


def _liveliest(features: Tensor) -> tuple[list[int], int]:
    """Return the numbers of the channels that vary most and do not look alike, and how many channels do not vary."""
    places = features.flatten(1)
    variances = places.var(dim=1, correction=0)
    silent = int((variances <= SILENT * variances.max()).sum())
    order = variances.sort(descending=True, stable=True).indices[: len(features) - silent].tolist()
    unit = F.normalize(places - places.mean(dim=1, keepdim=True), dim=1)
    chosen: list[int] = []
    for number in order:
        if len(chosen) == MAPS:
            break
        if not chosen or float((unit[chosen] @ unit[number]).abs().max()) < ALIKE:
            chosen.append(number)
    return chosen, silent


def _stretched(maps: Tensor) -> Tensor:
    """Scale each map (k, h, w) to [0, 1], without the ends of its range."""
    places = maps.flatten(1)
    rank = round(ENDS * (places.shape[1] - 1))
    low = places.kthvalue(1 + rank, dim=1, keepdim=True).values
    high = places.kthvalue(places.shape[1] - rank, dim=1, keepdim=True).values
    return ((places - low) / (high - low).clamp(min=1e-12)).clamp(0, 1).view(maps.shape)


def _resized(picture: Tensor, like: Tensor) -> Tensor:
    """Shrink or enlarge a picture (K, H, W) to the size of a map."""
    size = like.shape[1], like.shape[2]
    if size[0] <= picture.shape[1]:
        return F.adaptive_avg_pool2d(picture, size)
    return F.interpolate(picture[None], size, mode="bilinear", align_corners=False)[0]


def _luma(picture: Tensor) -> Tensor:
    """Return the brightness of a picture (C, H, W): the luma of three channels, or else the mean."""
    weights = torch.tensor(LUMA) if len(picture) == 3 else torch.full((len(picture),), 1 / len(picture))
    return (weights.view(-1, 1, 1) * picture).sum(dim=0, keepdim=True)
