"""What a discriminator makes of a translation, of its source, and of a real picture of the target domain."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import kornia
import torch
from torch import Tensor

from cyclegan.data.batches import training_fit
from cyclegan.data.config import DataConfig
from cyclegan.data.convert import tensor_of
from cyclegan.data.listing import Listing
from cyclegan.data.sources import find_pairs, sources, unseen_split
from cyclegan.networks.base import Critic
from cyclegan.report.pictures import Scorer
from cyclegan.types import Direction, Domain

SIGMA, WINDOW = 2.5, 15
"""Standard deviation and window of the blur of gradients, in pixels."""


class Example(NamedTuple):
    """A real picture of the target domain, and its partner in the source domain."""

    name: str
    picture: Tensor
    """(1, C, H, W) in [-1, 1]."""
    source: Tensor | None
    """Its partner, if the data set has pairs."""


class Judged(NamedTuple):
    """A picture and the scores of its patches."""

    what: str
    picture: Tensor
    """(1, C, H, W) in [-1, 1]."""
    patches: Tensor
    """(h, w) scores minus the boundary between fake and real, on the CPU: below 0 is fake."""
    of_target: bool = True
    """Whether the picture is of the target domain."""

    @property
    def mean(self) -> float:
        """The mean score."""
        return float(self.patches.mean())

    @property
    def fake(self) -> float:
        """The share of the patches that are taken for fake."""
        return float((self.patches < 0).float().mean())


class Verdict(NamedTuple):
    """What a discriminator makes of a few pictures."""

    translation: Judged
    others: tuple[Judged, ...]
    """The untranslated source if the discriminator can see it, and a real picture of the target domain if there is one.
    """
    limit: float
    """Absolute score from which on a colour is full, the same for all pictures; above 0."""
    pull: Tensor
    """(H, W) on the CPU: how strongly the mean score depends on the pixels around each place of the translation; the
    largest is 1."""


def judge(critic: Scorer, translation: Tensor, source: Tensor, example: Example | None) -> Verdict:
    """Score a translation (1, C, H, W) in [-1, 1], its source, and a real picture of the target domain if given.

    Raises ValueError when the pictures are too small for the critic.
    """
    network = critic.network
    judged = [Judged("translation", translation, _patches(critic, translation, source))]
    if not network.conditional and source.shape == translation.shape:
        judged.append(Judged("source, not translated", source, _patches(critic, source, source), of_target=False))
    if example and not (network.conditional and example.source is None):
        partner = None if example.source is None else example.source.to(translation.device)
        picture = example.picture.to(translation.device)
        with suppress(ValueError):  # it may be too small where the translation is not
            judged.append(Judged(f"a real picture, {example.name}", picture, _patches(critic, picture, partner)))
    limit = max(float(one.patches.abs().quantile(0.98)) for one in judged) or 1.0
    return Verdict(judged[0], tuple(judged[1:]), limit, _pull(network, translation, source))


def real_example(data: DataConfig, direction: Direction, like: str) -> Example | None:
    """Return a real picture of the target domain from the test pictures of a run, fitted as in training.

    It is the one that is named like the picture `like`, if there is one, or else the first.
    None if the data set has none any more, or if it cannot be read.
    """
    with suppress(ValueError, OSError):
        places = sources(data, unseen_split(data))
        if data.paired:
            pairs = find_pairs(places)
            listed: dict[Domain, Listing] = {"a": pairs.a, "b": pairs.b}
        else:
            listed = {direction.target: places[direction.target].find()}
        names = listed[direction.source if data.paired else direction.target].names
        number = next((i for i, name in enumerate(names) if Path(name).stem == Path(like).stem), 0)
        files: dict[Domain, Path] = {domain: listing[number] for domain, listing in listed.items()}
        read = {
            domain: tensor_of(places[domain].read(path, training_fit(data, places[domain], [path])))
            for domain, path in files.items()
        }
        return Example(files[direction.target].name, read[direction.target], read.get(direction.source))
    return None


@torch.no_grad()
def _patches(critic: Scorer, picture: Tensor, source: Tensor | None) -> Tensor:
    return critic.network.patches(picture, source)[0, 0].float().cpu() - critic.boundary


def _pull(network: Critic, translation: Tensor, source: Tensor) -> Tensor:
    """Return the length of the gradient of the mean score by each pixel, blurred, in shares of the largest.

    Convolutions of stride 2 see some pixels more often than their neighbours; the blur removes that pattern.
    """
    with torch.enable_grad():
        seen = translation.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network.patches(seen, source).mean(), seen)
    lengths = gradient.norm(dim=1, keepdim=True).float().cpu()
    blurred: Tensor = kornia.filters.gaussian_blur2d(lengths, (WINDOW, WINDOW), (SIGMA, SIGMA))[0, 0]
    return blurred / blurred.max().clamp(min=1e-20)
