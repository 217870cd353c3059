"""What a run shows of itself: numbers, pictures, and what goes on inside its networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cyclegan.data.files import from_bytes
from cyclegan.data.overlay import overlaid
from cyclegan.machine.memory import free_memory, memory_told
from cyclegan.machine.memory_used import memory_used
from cyclegan.recipe import Recipe
from cyclegan.training.learner import Game
from cyclegan.training.log import Journal
from cyclegan.training.optimizer import Move
from cyclegan.training.samples import Samples, channels, grid, looking
from cyclegan.types import Batch, Direction
from cyclegan.util.provenance import provenance

SETTINGS = ("method", "training")
"""Sections of the recipe that decide what is learned: the columns of TensorBoard's table."""


class Observer:
    """Keeps the pictures that a game is watched by, of `size` (H, W), and writes what it sees into the journal.

    Raises ValueError when `journal.feature_maps` names a stage that its generators do not have.
    """

    def __init__(self, recipe: Recipe, game: Game, journal: Journal, size: Sequence[int]) -> None:
        self.recipe, self.game, self.journal, self.device = recipe, game, journal, game.device
        self.size = size
        self.samples = Samples(recipe.data.root, recipe.journal.samples, size, game.device)
        stages = min(len(network.stages) for network in game.method.translators().values())
        if wrong := [stage for stage in recipe.journal.feature_maps if stage >= stages]:
            raise ValueError(f"journal.feature_maps: the generators have stages 0 to {stages - 1}, not {wrong[0]}")

    def begin(self) -> None:
        """The recipe as text and as settings, where the run comes from and, if asked for, the graph."""
        facts = provenance(self.device)
        table = ["| | |", "|---|---|", *(f"| {name} | {fact} |" for name, fact in facts.items())]
        self.journal.text("recipe", f"```yaml\n{self.recipe.to_yaml()}```")
        self.journal.text("provenance", "\n".join(table))
        learned_by = {name: settings for name, settings in self.recipe.to_dict().items() if name in SETTINGS}
        self.journal.settings(dict(flat(learned_by)), self._scored())
        if self.recipe.journal.graph:
            network = next(iter(self.game.translators.values()))
            with looking([network], self.game.autocast):
                self.journal.graph(network, torch.zeros(1, 3, *self.size, device=self.device))

    def numbers(self, move: Move, pixels: Batch) -> None:
        """Losses, gradient norms, scores, rate, memory, steps left out: here the host waits for the device."""
        names = {network: name for name, network in self.game.method.named_children()}
        seen = {f"loss/{name}": loss for name, loss in move.losses.items()}
        seen |= {f"gradient/{names[network]}": norm for network, norm in move.norms.items()}
        seen |= dict(self._scores(Batch(*(from_bytes(domain.to(self.device)) for domain in pixels))))
        numbers = dict(zip(seen, torch.stack(list(seen.values())).tolist(), strict=True))
        numbers |= {"training/rate": self.game.rate, "training/left_out": self.game.finite.left_out}
        if memory := memory_used(self.device):
            numbers["training/memory"] = memory
        self.journal.numbers(numbers, self.game.images)

    def pictures(self) -> None:
        """Sample grids, and what the judges object to in their fakes; left out where memory does not hold them."""
        try:
            with memory_told("fewer journal.samples"):
                self._pictures()
        except MemoryError as error:
            self.journal.note(f"no samples after {self.game.images:,} images: {error}")
            free_memory()

    def _pictures(self) -> None:
        judges = self.game.method.judges()
        for direction, columns in self.samples.columns(self.game.translators, self.game.autocast):
            self.journal.samples(direction, grid(columns), self.game.images)
            if judge := judges.get(direction):
                with looking([judge.network], self.game.autocast):
                    scores = judge.network(columns[1])
                objections = overlaid(columns[1], torch.tanh(2 * (scores.float() - judge.boundary)))
                self.journal.picture(f"patches/{direction}", grid([columns[1], objections]), self.game.images)

    def networks(self) -> None:
        """Histograms of weights and gradients, and feature maps of the first sample."""
        for name, parameter in self.game.method.named_parameters():
            self.journal.histogram(f"weights/{name}", parameter.detach(), self.game.images)
            if parameter.grad is not None:
                self.journal.histogram(f"gradients/{name}", parameter.grad, self.game.images)
        networks: Mapping[Direction, Any] = self.game.translators
        for direction, network in networks.items():
            first, stages = self.samples.real[direction][:1], sorted(set(self.recipe.journal.feature_maps))
            if not len(first) or not stages:
                continue
            with looking([network], self.game.autocast):
                maps = network.features(first, stages)
            for stage, features in zip(stages, maps, strict=True):
                self.journal.picture(f"features/{direction}/stage_{stage}", channels(features[0]), self.game.images)

    def _scores(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """What each judge thinks of the batch and of its translations, as means over patches; how often it is right."""
        for direction, judge in self.game.method.judges().items():
            source, target = (batch.a, batch.b) if direction == "AtoB" else (batch.b, batch.a)
            translator, domain = self.game.method.translators()[direction], direction[-1].lower()
            with looking([translator, judge.network], self.game.autocast):
                real, fake = judge.network(target).float(), judge.network(translator(source)).float()
            right = (real > judge.boundary).float().mean() + (fake < judge.boundary).float().mean()
            yield f"score/real_{domain}", real.mean()
            yield f"score/fake_{domain}", fake.mean()
            yield f"score/right_{domain}", right / 2

    def _scored(self) -> list[str]:
        """The tags by which runs are compared; those that are never written stay empty."""
        return ["validation/kid"] + [
            f"{split}/{figure}_{direction}"
            for split in ("validation", "test")
            for direction in self.game.translators
            for figure in ("kid", "fid")
        ]


def flat(nested: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """The keys of a recipe with their sections, `method.cycle`, and what TensorBoard's table takes as values."""
    for key, value in nested.items():
        match value:
            case dict():
                yield from flat(value, f"{above}{key}.")
            case bool() | int() | float() | str():
                yield above + key, value
            case None:
                yield above + key, "null"
            case _:
                yield above + key, str(value)
