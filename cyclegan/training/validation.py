"""Scores during training, on pictures held out of the training folders, never on the test split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count, cycle

import torch
from torch import Tensor, nn

from cyclegan.data.batches import Pictures
from cyclegan.data.convert import normalised
from cyclegan.data.fit import Fit
from cyclegan.data.folder import Folder
from cyclegan.machine.device import Arithmetic
from cyclegan.machine.memory import memory_told
from cyclegan.metrics.distances import ENOUGH, FEWEST
from cyclegan.metrics.features import Features
from cyclegan.metrics.result import Score
from cyclegan.metrics.scores import score_translation
from cyclegan.networks.base import StyleGenerator
from cyclegan.training.learner import Learner
from cyclegan.training.log import RunLog
from cyclegan.training.samples import looking
from cyclegan.types import Direction, Domain
from cyclegan.util.text import shown

EXAMPLES = 16
"""The number of held-out pictures whose styles the translations get in turn, if styles come from pictures."""


class Validation:
    """Keeps the pictures held out of A and B, fitted by `fit`, and their features.

    With `paired` folders, translations are scored against the partners of the pictures too. Raises ValueError when too
    few pictures can be read.
    """

    def __init__(
        self, folders: Mapping[Domain, Folder], fit: Fit, features: Features, device: torch.device,
        *, paired: bool = False,
    ) -> None:  # fmt: skip
        self.features, self.device = features.to(device), device
        held_out = {name: Pictures(folder.source, fit, folder.held_out) for name, folder in folders.items()}
        self.formats = {name: folder.source.format for name, folder in folders.items()}
        self.pictures = {name: _read(pictures) for name, pictures in held_out.items()}
        a, b = held_out["a"], held_out["b"]
        partners = {"a": a.partners(b.source), "b": b.partners(a.source)} if paired else {}
        self.truths = {name: list(batches) for name, batches in partners.items()}
        self.seen = {
            name: features.of(map(partial(self._seen, name), batches)) for name, batches in self.pictures.items()
        }

    def doubt(self) -> str:
        """A warning if there are few held-out pictures, in one line; empty if there are enough."""
        if min(map(len, self.seen.values())) >= ENOUGH:
            return ""
        return (
            f"validation: {self._numbers} held-out pictures are few: the scores, and the choice of best.pt, depend on "
            f"which pictures they are; hold out {ENOUGH} of each domain or more (data.validation)"
        )

    @property
    def _numbers(self) -> str:
        return " + ".join(str(len(seen)) for seen in self.seen.values())

    def score(self, learner: Learner, log: RunLog) -> float:
        """Write the scores of a learner's generators into the log; return the mean KID of the directions.

        It is infinite if the scores cannot be computed, because the outputs have NaN for example.
        """
        generators, images = learner.generators, learner.images
        try:
            with memory_told(), looking(generators.values(), Arithmetic(self.device, "float32")):
                scores = {way: self._score(way, learner) for way in generators}
        except (ValueError, MemoryError) as error:
            log.note(f"Skipped the scores at image {images:,}: {error}")
            return math.inf
        kids = {way: score.figures["kid"].value for way, score in scores.items()}
        kid = sum(kids.values()) / len(kids)
        curves = {"validation/kid": kid}
        for way, score in scores.items():
            curves |= {f"validation/{name}_{way}": figure.value for name, figure in score.figures.items()}
        log.scalars(curves, images)
        told = ", ".join(f"{way} {each:.4g}" for way, each in kids.items())
        few = ", few" if self.doubt() else ""
        of = f"({self.features.name}) of {self._numbers} held-out pictures{few}"
        log.note(f"KID {of}, after {images:,} images: {told}")
        return kid

    def _score(self, direction: Direction, learner: Learner) -> Score:
        there, back = learner.generators[direction], learner.generators.get(direction.opposite)
        if isinstance(back, StyleGenerator):
            back = None  # a translation there and back has another style
        return score_translation(
            direction,
            self.pictures[direction.source],
            self.seen[direction.target],
            self.features,
            translate=self._by(there, direction.target, learner.autocast),
            back=self._by(back, direction.source, learner.autocast) if back else None,
            truths=self.truths.get(direction.source),
            formats=(self.formats[direction.source], self.formats[direction.target]),
        )

    def _seen(self, domain: Domain, batch: Tensor) -> Tensor:
        """The RGB view of a batch of pictures of a domain."""
        return self.formats[domain].as_rgb(normalised(batch.to(self.device)))

    def _styles(self, network: nn.Module, target: Domain) -> Iterator[Tensor] | None:
        """Styles (1, S) without end: random ones, or those of held-out pictures of the target; None if not needed."""
        if not isinstance(network, StyleGenerator):
            return None
        if network.has_prior:
            random = torch.Generator().manual_seed(0)
            return (network.random_styles(1, random) for _ in count())
        pictures = [normalised(image[None].to(self.device)) for batch in self.pictures[target] for image in batch]
        return cycle([network.encode_style(picture) for picture in pictures[:EXAMPLES]])

    def _by(self, network: nn.Module, target: Domain, autocast: Arithmetic) -> Callable[[Tensor], Tensor]:
        """Translate in the run's precision; the network that scores gets all pictures in float32.

        Each picture gets a style of its own, the same in each validation, if the network takes one.
        """
        styles = self._styles(network, target)

        def translate(pictures: Tensor) -> Tensor:
            codes = [next(styles) for _ in pictures] if styles else []
            with autocast:
                translated: Tensor = network(pictures.to(self.device), *([torch.cat(codes)] if codes else []))
            return translated.float()

        return translate


def _read(held_out: Pictures) -> list[Tensor]:
    """The pictures held out of a folder, in batches. Raises ValueError when too few can be read."""
    batches = list(held_out) if len(held_out) else []
    if (number := sum(map(len, batches))) < FEWEST:
        left = f"only {number} of the held-out pictures can be read, and at least {FEWEST} are needed"
        helps = "restore them, or continue without scores (log.evaluate_every: null)"
        raise ValueError(f"{shown(held_out.source.folder)}: {left}: {helps}")
    return batches
