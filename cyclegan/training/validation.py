"""Scores while a run learns: on pictures held out of its training folders, never on the test split."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from cyclegan.images.batches import Pictures
from cyclegan.images.files import from_bytes
from cyclegan.images.folders import Folder
from cyclegan.memory import memory_told
from cyclegan.metrics.distances import FEWEST
from cyclegan.metrics.features import Features
from cyclegan.metrics.figures import figures
from cyclegan.metrics.scores import Score, score_translation
from cyclegan.training.game import Game
from cyclegan.training.journal import Journal
from cyclegan.training.samples import looking
from cyclegan.types import OPPOSITE, Direction
from cyclegan.words import shown


class Validation:
    """Keeps the pictures held out of A and B, fitted to `size` (H, W), and how they look to the network that compares.

    Raises ValueError when too few of them can be read.
    """

    def __init__(
        self, folders: Mapping[str, Folder], size: Sequence[int], features: Features, device: torch.device
    ) -> None:
        self.features, self.device = features.to(device), device
        self.pictures = {name: list(Pictures(each.path, size, each.held_out)) for name, each in folders.items()}
        self.seen = {name: features.of(map(self._floats, batches)) for name, batches in self.pictures.items()}
        for name, seen in self.seen.items():
            if len(seen) < FEWEST:
                left = f"only {len(seen)} of the pictures held out can be read; {FEWEST} are needed"
                raise ValueError(f"{shown(folders[name].path)}: {left}")

    def score(self, game: Game, journal: Journal) -> float:
        """Write the scores of a game's translators into the journal; returns the mean KID of the directions.

        Networks that give NaN have none, and count as infinitely bad.
        """
        translators, images = game.translators, game.images
        try:
            with memory_told(), looking(translators.values(), game.autocast):
                scores = {way: self._score(way, translators) for way in translators}
        except (ValueError, MemoryError) as error:
            journal.note(f"no scores after {images:,} images: {error}")
            return math.inf
        kid = sum(score.distances.kid.value for score in scores.values()) / len(scores)
        curves = {f"{name}_{way}": value for way, score in scores.items() for name, value in figures(score).items()}
        journal.scalars({f"validation/{name}": value for name, value in ({"kid": kid} | curves).items()}, images)
        told = ", ".join(f"{way} {score.distances.kid.value:.4g}" for way, score in scores.items())
        journal.note(f"KID ({self.features.name}) of held-out pictures after {images:,} images: {told}")
        return kid

    def _score(self, direction: Direction, translators: Mapping[Direction, nn.Module]) -> Score:
        there, back = translators[direction], translators.get(OPPOSITE[direction])
        return score_translation(
            self.pictures[direction[0]],
            self.seen[direction[-1]],
            self.features,
            translate=self._in_float(there),
            back=self._in_float(back) if back else None,
        )

    def _floats(self, batch: Tensor) -> Tensor:
        return from_bytes(batch.to(self.device))

    def _in_float(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        return lambda pictures: network(pictures.to(self.device)).float()
