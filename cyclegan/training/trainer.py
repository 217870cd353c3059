"""A run from its first step to its last: pictures in, records and checkpoints out. It knows no method by name."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from cyclegan.checkpoint import Checkpoint, checkpoint_path, checkpoints_in, read_newest
from cyclegan.images.folders import Folder
from cyclegan.images.loader import Loader
from cyclegan.machine import choose_device
from cyclegan.recipe import Recipe, Span, images_in, write_recipe
from cyclegan.stop import Stopped, StopSignals
from cyclegan.training.finite import Diverged
from cyclegan.training.game import Game
from cyclegan.training.journal import Journal
from cyclegan.training.keeper import Keeper
from cyclegan.training.memory import memory_told, memory_used
from cyclegan.training.mirror import mirrored
from cyclegan.training.observer import Observer
from cyclegan.training.processes import ALONE, Processes, open_processes
from cyclegan.training.turn import Move
from cyclegan.training.validation import Validation
from cyclegan.types import Batch
from cyclegan.untouched import untouched
from cyclegan.words import shown


@untouched()
def train(recipe: Recipe, run: Path | str, *, resume: bool = False) -> Path:
    """Train by the recipe into the folder `run`; returns the last checkpoint. `resume` continues a run that is there.

    Under torchrun every process calls it, and the first one writes. Raises FileExistsError when `run` holds a run
    already and `resume` is not set, ValueError or FileNotFoundError for a recipe that cannot be followed here,
    `Stopped` after a signal, once everything is saved, `Diverged` when numbers stay not finite, `Unsaved` when the last
    state could not be saved, and ConnectionError when another process is gone.
    """
    with open_processes() as processes:
        return Trainer(recipe, Path(run), resume=resume, processes=processes).train()


class Trainer:
    """Keeps a run: its game, its pictures, its records and its checkpoints."""

    def __init__(self, recipe: Recipe, run: Path, *, resume: bool = False, processes: Processes = ALONE) -> None:
        if (run / "recipe.yaml").exists() and not resume:
            raise FileExistsError(f"{run}: holds a run already; continue it with --resume, or choose another --out")
        self.recipe, self.run, self.processes = recipe, run, processes
        self.device = choose_device(recipe.speed.device)
        self.loader = self._open_data()
        self.total = self._images_in(recipe.training.constant) + self._images_in(recipe.training.decay)
        evaluates = processes.first and recipe.journal.evaluate_every
        self.features = recipe.features.build() if evaluates else None

        self.game = Game(recipe, self.device, epoch=self.loader.epoch, processes=processes)
        self.best = math.inf
        changes = self._restore(read_newest(run)) if resume and checkpoints_in(run) else ""
        processes.agree("recipes, pictures or checkpoints", (recipe, self.game.images, *self.loader.names))
        self.game.begin_alike()

        self.journal = Journal(run, images=self.game.images, total=self.total, writes=processes.first)
        period = self._images_in(recipe.journal.keep_every) if recipe.journal.keep_every else 0
        self.keeper = Keeper(run, period=period, note=self.journal.note)
        if changes:
            self.journal.note(changes)

    def train(self) -> Path:
        """Play until every image of the recipe is seen, or a signal asks to stop; returns the last checkpoint."""
        stopped = 0
        mirror = mirrored(self.recipe, self.run) if self.processes.first else nullcontext()
        with StopSignals() as stop, mirror, self.journal, memory_told():
            self._prepare()
            for pixels in self.loader.batches(self.game.images, self.total):
                before = self.game.images
                move = self.game.step(pixels)
                self._record(move, pixels, before)
                if stopped := self.processes.largest(stop.received):
                    break
            self._look()
            self._save()
        self.keeper.confirm()
        if self.game.images < self.total:
            raise Stopped(f"stopped after {self.game.images:,} images; everything is saved in {self.run}", stopped)
        return checkpoint_path(self.run, self.game.images)

    def _open_data(self) -> Loader:
        data, training = self.recipe.data, self.recipe.training
        augment, memory = data.build(), int(data.memory * 2**30) // (2 * self.processes.on_this_machine)
        validation, seed = _held_out(self.recipe)
        a, b = (
            Folder(
                data.root / name, augment.prepare, memory=memory, warn=lambda line: self.journal.note(line),
                validation=validation, seed=seed,
            )
            for name in ("trainA", "trainB")
        )  # fmt: skip
        pin = self.device.type == "cuda"
        return Loader(
            a, b, augment, batch=training.batch, seed=training.seed, threads=data.threads,
            rank=self.processes.rank, processes=self.processes.count, pin=pin,
        )  # fmt: skip

    def _prepare(self) -> None:
        """What needs a first batch, or the person's patience, before the first step."""
        left, count = self.total - self.game.images, self.processes.count
        first = next(self.loader.batches(self.game.images, self.game.images + 1))
        told = self.game.speed_up(left // (self.recipe.training.batch * count))
        if not self.processes.first:
            return
        size = first.a.shape[2:]
        self.observer = Observer(self.recipe, self.game, self.journal, size)
        if self.features:
            folders = {"A": self.loader.a, "B": self.loader.b}
            self.validation = Validation(folders, size, self.features, self.device)
        write_recipe(self.recipe, self.run / "recipe.yaml")
        self.observer.begin()
        each = f" in each of {count} processes" if count > 1 else ""
        pictures = f"{len(self.loader.a):,} + {len(self.loader.b):,} pictures"
        self.journal.note(f"{self.run}: {pictures}, {left:,} images to see, {self.device}{each}\n{told}")

    def _record(self, move: Move, pixels: Batch, before: int) -> None:
        """Write down what the step from `before` images to now makes due."""
        journal, images, due = self.recipe.journal, self.game.images, partial(self._due, before)
        at_the_end = images >= self.total
        if before == self.journal.images:  # the first step of this life
            self.journal.needs(memory_used(self.device))
        self.journal.advance(images)
        if due(journal.log_every):
            self._look()
            self.processes.average(list(move.losses.values()))
            if self.processes.first:
                self.observer.numbers(move, pixels)
        if self.processes.first:
            if due(journal.samples_every) or before == 0 or at_the_end:
                self.observer.pictures()
            if journal.histograms_every and (due(journal.histograms_every) or at_the_end):
                self.observer.networks()
            if journal.evaluate_every and (due(journal.evaluate_every) or at_the_end):
                self._validate()
        if due(journal.checkpoint_every):
            self._look()
            self._save()

    def _validate(self) -> None:
        """Score the pictures held out, and keep the networks aside if they are the best so far."""
        kid = self.validation.score(self.game, self.journal)
        if kid < self.best and self.keeper.save_best(replace(self.game.checkpoint(kid), optimizers={})):
            self.best = kid

    def _look(self) -> None:
        """Name the pictures of steps that were left out. Raises Diverged when the recipe tolerates no more of them."""
        for images in self.game.finite.news():
            names = ", ".join(shown(path) for path in self.loader.files(images))
            self.journal.note(f"left out the step from image {images:,} on, its numbers are not finite: {names}")
        if self.game.finite.in_a_row >= self.recipe.training.tolerate:
            helps = "try a lower training.rate, or a training.clip of 1"
            raise Diverged(
                f"{self.run}: {self.game.finite.in_a_row} steps in a row had losses or gradients that are not finite; "
                f"none of them moved the weights, and the checkpoints are good; {helps}"
            )

    def _due(self, before: int, every: Span) -> bool:
        period = self._images_in(every)
        return period > 0 and self.game.images // period > before // period

    def _images_in(self, span: Span) -> int:
        return images_in(span, self.loader.epoch)

    def _save(self) -> None:
        if not self.processes.first:
            return
        self.journal.flush()  # so that a killed run has records up to the checkpoint it goes on from
        self.keeper.save(self.game.checkpoint(self.best))

    def _restore(self, saved: Checkpoint) -> str:
        """Go on from a checkpoint; returns what is different all the same, in a line.

        Raises ValueError when it belongs to another method, or learned from pictures that are to be held out now.
        """
        if _held_out(saved.recipe) != _held_out(self.recipe):
            raise ValueError(
                f"{self.run}: journal.evaluate_every, data.validation and training.seed decide on which pictures to "
                f"learn from; leave them as the run began ({_held_out(saved.recipe)[0]} of each folder held out)"
            )
        try:
            self.game.restore(saved)
        except ValueError as error:
            raise ValueError(f"{self.run}: {error}") from None
        if saved.recipe.features == self.recipe.features:  # or else its KID compares with none to come
            self.best = saved.best
        now = self.processes.count * self.recipe.training.batch
        before = saved.processes * saved.recipe.training.batch
        return "" if before == now else f"pairs of pictures in a step: {now} from now on, {before} until here"


def _held_out(recipe: Recipe) -> tuple[int, int]:
    """How many pictures of each folder are for validation, and the seed that draws them."""
    return (recipe.data.validation, recipe.training.seed) if recipe.journal.evaluate_every else (0, 0)
