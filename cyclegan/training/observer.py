"""What is recorded during training: losses and other scalars, pictures, and the inside of the networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cyclegan.data.convert import normalised
from cyclegan.data.fit import Fit
from cyclegan.data.overlay import overlaid
from cyclegan.data.sources import sources, unseen_split
from cyclegan.losses.adversarial import over_scales
from cyclegan.machine.memory import free_memory, memory_told
from cyclegan.machine.memory_used import memory_used
from cyclegan.networks.base import StyleGenerator
from cyclegan.recipe import Recipe
from cyclegan.training.grids import channels, grid, joined
from cyclegan.training.learner import Learner
from cyclegan.training.log import RunLog
from cyclegan.training.optimizer import StepResult
from cyclegan.training.samples import Samples, looking
from cyclegan.training.style_grids import style_grids
from cyclegan.types import Batch, Direction, Images
from cyclegan.util.provenance import provenance

SETTINGS = ("method", "training")
"""Sections of the recipe that decide what is learned: the columns of TensorBoard's table of hyperparameters."""


class Observer:
    """Keeps the sample pictures, fitted by `fit`, and writes the state of the learner into the log.

    Raises ValueError when `log.feature_maps` names a stage that the generators do not have.
    """

    def __init__(self, recipe: Recipe, learner: Learner, log: RunLog, fit: Fit) -> None:
        self.recipe, self.learner, self.log, self.device = recipe, learner, log, learner.device
        self.samples = Samples(recipe.data, recipe.log.samples, fit, learner.device)
        stages = min(len(network.stages) for network in learner.method.generators().values())
        if wrong := [stage for stage in recipe.log.feature_maps if stage >= stages]:
            raise ValueError(f"log.feature_maps: the generators have stages 0 to {stages - 1}, not {wrong[0]}")

    def begin(self) -> None:
        """Write the recipe (as text and as hyperparameters), the provenance and, if the recipe says so, the graph."""
        facts = provenance(self.device)
        table = ["| | |", "|---|---|", *(f"| {name} | {fact} |" for name, fact in facts.items())]
        self.log.text("recipe", f"```yaml\n{self.recipe.to_yaml()}```")
        self.log.text("provenance", "\n".join(table))
        learned_by = {name: settings for name, settings in self.recipe.to_dict().items() if name in SETTINGS}
        self.log.settings(dict(flat(learned_by)), self._scored())
        if self.recipe.log.graph:
            direction, network = next(iter(self.learner.generators.items()))
            if (first := self.samples.first(direction)) is not None:
                with looking([network], self.learner.autocast):
                    self.log.graph(network, first)

    def numbers(self, result: StepResult, pixels: Batch) -> None:
        """Write the scalars; the host waits for the device here. Skipped steps are written once there are some."""
        seen = {f"loss/{name}": loss for name, loss in result.losses.items()}
        seen |= {f"training/grad_norm_{name}": norm for name, norm in result.grad_norms.items()}
        seen |= dict(self._scores(Batch(*(normalised(domain.to(self.device)) for domain in pixels))))
        numbers = dict(zip(seen, torch.stack(list(seen.values())).tolist(), strict=True))
        numbers["training/lr"] = self.learner.lr
        if skipped := self.learner.nonfinite.skipped:
            numbers["training/skipped_steps"] = skipped
        if memory := memory_used(self.device):
            numbers["training/memory_gib"] = memory
        self.log.numbers(numbers, self.learner.images)

    def pictures(self) -> None:
        """Write sample grids and the patch scores of the discriminators, unless memory is too small for them."""
        try:
            with memory_told("fewer log.samples"):
                self._pictures()
        except MemoryError as error:
            self.log.note(f"Skipped the samples at image {self.learner.images:,}: {error}")
            free_memory()

    def _pictures(self) -> None:
        critics, boundary = self.learner.method.critics(), self.learner.method.boundary
        for direction, parts in self.samples.columns(self.learner):
            shown = [self.samples.as_rgb(direction, columns) for columns in parts]
            self.log.samples(direction, grid(joined(shown)), self.learner.images)
            self._styles(direction)
            if critic := critics.get(direction):
                both: list[Images] = []
                for columns, views in zip(parts, shown, strict=True):
                    with looking([critic], self.learner.autocast):
                        scores = critic.patches(columns["fake"], columns["real"])
                    patches = overlaid(views["fake"], torch.tanh(2 * (scores.float() - boundary)))
                    both.append({"fake": views["fake"], "patches": patches})
                self.log.picture(f"samples/{direction}_patches", grid(joined(both)), self.learner.images)

    def _styles(self, direction: Direction) -> None:
        """Write what the styles of pictures make of the samples, if the generator has styles."""
        network, samples = self.learner.generators[direction], self.samples
        if not isinstance(network, StyleGenerator):
            return
        views = (samples.formats[domain].as_rgb for domain in (direction.source, direction.target))
        with looking([network], self.learner.autocast):
            grids = style_grids(network, samples.pictures[direction.source], samples.pictures[direction.target], *views)
        for name, rows in grids.items():
            self.log.picture(f"samples/{direction}_{name}", grid(joined(rows)), self.learner.images)

    def networks(self) -> None:
        """Write histograms of weights and gradients, and feature maps of the first sample."""
        for name, parameter in self.learner.method.named_parameters():
            self.log.histogram(f"weights/{name}", parameter.detach(), self.learner.images)
            if parameter.grad is not None:
                self.log.histogram(f"weights_grad/{name}", parameter.grad, self.learner.images)
        for direction, network in self.learner.generators.items():
            first, stages = self.samples.first(direction), sorted(set(self.recipe.log.feature_maps))
            if first is None or not stages:
                continue
            with looking([network], self.learner.autocast):
                maps = network.features(first, stages)
            for stage, features in zip(stages, maps, strict=True):
                self.log.picture(f"stages/{direction}/{stage}", channels(features[0]), self.learner.images)

    def _scores(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """The scores that each critic gives to real and to translated images, and how often they are correct.

        Means over patches, then over scales.
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
        """The tags of the scores that the run will have, for the table of hyperparameters."""
        if not self.recipe.log.evaluate_every:
            return []
        tests = sources(self.recipe.data, unseen_split(self.recipe.data)).values()
        splits = ["validation"] + ["test"] * all(source.folder.is_dir() for source in tests)
        return ["validation/kid"] + [
            f"{split}/{figure}_{direction}"
            for split in splits
            for direction in self.learner.generators
            for figure in ("kid", "fid")
        ]


def _mean(scores: Tensor) -> Tensor:
    return scores.float().mean()


def _right(boundary: float, real: Tensor, fake: Tensor) -> Tensor:
    """The share of scores that are on the correct side of the boundary."""
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
