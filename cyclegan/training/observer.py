"""What a run shows of itself: numbers, pictures, and what goes on inside its networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cyclegan.data.files import from_bytes
from cyclegan.data.overlay import overlaid
from cyclegan.losses.adversarial import over_scales
from cyclegan.machine.memory import free_memory, memory_told
from cyclegan.machine.memory_used import memory_used
from cyclegan.recipe import Recipe
from cyclegan.training.learner import Learner
from cyclegan.training.log import RunLog
from cyclegan.training.optimizer import StepResult
from cyclegan.training.samples import Samples, channels, grid, looking
from cyclegan.types import Batch
from cyclegan.util.provenance import provenance

SETTINGS = ("method", "training")
"""Sections of the recipe that decide what is learned: the columns of TensorBoard's table."""


class Observer:
    """Keeps the pictures that a learner is watched by, of `size` (H, W), and writes what it sees into the log.

    Raises ValueError when `log.feature_maps` names a stage that its generators do not have.
    """

    def __init__(self, recipe: Recipe, learner: Learner, log: RunLog, size: Sequence[int]) -> None:
        self.recipe, self.learner, self.log, self.device = recipe, learner, log, learner.device
        self.size = size
        self.samples = Samples(recipe.data, recipe.log.samples, size, learner.device)
        stages = min(len(network.stages) for network in learner.method.generators().values())
        if wrong := [stage for stage in recipe.log.feature_maps if stage >= stages]:
            raise ValueError(f"log.feature_maps: the generators have stages 0 to {stages - 1}, not {wrong[0]}")

    def begin(self) -> None:
        """The recipe as text and as settings, where the run comes from and, if asked for, the graph."""
        facts = provenance(self.device)
        table = ["| | |", "|---|---|", *(f"| {name} | {fact} |" for name, fact in facts.items())]
        self.log.text("recipe", f"```yaml\n{self.recipe.to_yaml()}```")
        self.log.text("provenance", "\n".join(table))
        learned_by = {name: settings for name, settings in self.recipe.to_dict().items() if name in SETTINGS}
        self.log.settings(dict(flat(learned_by)), self._scored())
        if self.recipe.log.graph:
            network = next(iter(self.learner.generators.values()))
            with looking([network], self.learner.autocast):
                self.log.graph(network, torch.zeros(1, 3, *self.size, device=self.device))

    def numbers(self, result: StepResult, pixels: Batch) -> None:
        """Losses, gradient norms, scores, learning rate, memory, steps skipped: here the host waits for the device."""
        seen = {f"loss/{name}": loss for name, loss in result.losses.items()}
        seen |= {f"gradient/{name}": norm for name, norm in result.grad_norms.items()}
        seen |= dict(self._scores(Batch(*(from_bytes(domain.to(self.device)) for domain in pixels))))
        numbers = dict(zip(seen, torch.stack(list(seen.values())).tolist(), strict=True))
        numbers |= {"training/lr": self.learner.lr, "training/skipped_steps": self.learner.nonfinite.skipped}
        if memory := memory_used(self.device):
            numbers["training/memory"] = memory
        self.log.numbers(numbers, self.learner.images)

    def pictures(self) -> None:
        """Sample grids, and what the critics object to in their fakes; left out where memory does not hold them."""
        try:
            with memory_told("fewer log.samples"):
                self._pictures()
        except MemoryError as error:
            self.log.note(f"no samples after {self.learner.images:,} images: {error}")
            free_memory()

    def _pictures(self) -> None:
        critics, boundary = self.learner.method.critics(), self.learner.method.boundary
        for direction, columns in self.samples.columns(self.learner):
            self.log.samples(direction, grid(list(columns.values())), self.learner.images)
            if critic := critics.get(direction):
                real, fake = columns["real"], columns["fake"]
                with looking([critic], self.learner.autocast):
                    scores = critic.patches(fake, real)
                objections = overlaid(fake, torch.tanh(2 * (scores.float() - boundary)))
                self.log.picture(f"patches/{direction}", grid([fake, objections]), self.learner.images)

    def networks(self) -> None:
        """Histograms of weights and gradients, and feature maps of the first sample."""
        for name, parameter in self.learner.method.named_parameters():
            self.log.histogram(f"weights/{name}", parameter.detach(), self.learner.images)
            if parameter.grad is not None:
                self.log.histogram(f"gradients/{name}", parameter.grad, self.learner.images)
        for direction, network in self.learner.generators.items():
            first, stages = self.samples.batch.of(direction.source)[:1], sorted(set(self.recipe.log.feature_maps))
            if not len(first) or not stages:
                continue
            with looking([network], self.learner.autocast):
                maps = network.features(first, stages)
            for stage, features in zip(stages, maps, strict=True):
                self.log.picture(f"features/{direction}/stage_{stage}", channels(features[0]), self.learner.images)

    def _scores(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """What each critic thinks of the batch and of its translations, means over patches and then over scales.

        And how often it is right.
        """
        method = self.learner.method
        for direction, critic in method.critics().items():
            source, target, generator = (
                batch.of(direction.source),
                batch.of(direction.target),
                method.generators()[direction],
            )
            with looking([generator, critic], self.learner.autocast):
                real, fake = critic.score(target, source), critic.score(generator(source), source)
            yield f"score/real_{direction.target}", over_scales(_mean, real)
            yield f"score/fake_{direction.target}", over_scales(_mean, fake)
            yield f"score/right_{direction.target}", over_scales(partial(_right, method.boundary), real, fake)

    def _scored(self) -> list[str]:
        """The tags by which runs are compared; those that are never written stay empty."""
        return ["validation/kid"] + [
            f"{split}/{figure}_{direction}"
            for split in ("validation", "test")
            for direction in self.learner.generators
            for figure in ("kid", "fid")
        ]


def _mean(scores: Tensor) -> Tensor:
    return scores.float().mean()


def _right(boundary: float, real: Tensor, fake: Tensor) -> Tensor:
    """The share of scores on the side where they belong."""
    return ((real > boundary).float().mean() + (fake < boundary).float().mean()) / 2


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
