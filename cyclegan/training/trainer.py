"""The loop: it gives each player of a method its turn, and knows no method by name."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cyclegan.checkpoint import Checkpoint, checkpoint_path, checkpoints_in, read_newest
from cyclegan.images.files import from_bytes
from cyclegan.images.folders import Folder
from cyclegan.images.loader import Loader
from cyclegan.machine import autocast, choose_device
from cyclegan.recipe import Recipe, Span, images_in, write_recipe
from cyclegan.training.average import Average
from cyclegan.training.finite import Diverged, Finite
from cyclegan.training.journal import Journal
from cyclegan.training.keeper import Keeper
from cyclegan.training.observer import Observer
from cyclegan.training.processes import ALONE, Processes, open_processes
from cyclegan.training.speed import (
    Graphed,
    checkpoint_activations,
    compile_networks,
    has_graphs,
    memory_format,
    memory_told,
    set_determinism,
)
from cyclegan.training.stop import Stopped, StopSignals
from cyclegan.training.turn import Move, Turn, rate_after
from cyclegan.training.validation import Validation
from cyclegan.types import Batch
from cyclegan.words import shown


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
    """Keeps a run's method, its players' optimizers and the count of images seen."""

    def __init__(self, recipe: Recipe, run: Path, *, resume: bool = False, processes: Processes = ALONE) -> None:
        if (run / "recipe.yaml").exists() and not resume:
            raise FileExistsError(f"{run}: holds a run already; continue it with --resume, or choose another --out")
        self.recipe, self.run, self.processes = recipe, run, processes
        self.images, self.best = 0, math.inf
        self.device = choose_device(recipe.speed.device)
        self.loader = self._open_data()
        self.total = self._images_in(recipe.training.constant) + self._images_in(recipe.training.decay)

        evaluates = processes.first and recipe.journal.evaluate_every
        self.features = recipe.features.build() if evaluates else None

        set_determinism(recipe.speed.deterministic)
        self.autocast = autocast(self.device, recipe.speed.precision)
        torch.manual_seed(recipe.training.seed)
        self.method = recipe.method.build().to(self.device).to(memory_format=memory_format(self.device))
        self.method.share(processes.gather)
        self.turns = [Turn(player, recipe.training, processes) for player in self.method.players]
        half_life = recipe.training.average
        self.average = Average(self.method.translators(), self._images_in(half_life)) if half_life else None
        self.translators = self.average.translators if self.average else self.method.translators()
        changes = self._restore(read_newest(run)) if resume and checkpoints_in(run) else ""
        processes.agree("recipes, pictures or checkpoints", (recipe, self.images, *self.loader.names))

        self.play = Graphed(self._play) if has_graphs(recipe.speed, self.device, processes.count) else self._play
        self.finite = Finite()
        self.journal = Journal(run, images=self.images, total=self.total, writes=processes.first)
        period = self._images_in(recipe.journal.keep_every) if recipe.journal.keep_every else 0
        self.keeper = Keeper(run, period=period, note=self.journal.note)
        if changes:
            self.journal.note(changes)

    def train(self) -> Path:
        """Play until every image of the recipe is seen, or a signal asks to stop; returns the last checkpoint."""
        if self.processes.first:
            write_recipe(self.recipe, self.run / "recipe.yaml")
        stopped = 0
        with StopSignals() as stop, self.journal, memory_told():
            self._prepare()
            self._speed_up()
            for pixels in self.loader.batches(self.images, self.total):
                before = self.images
                self._record(self.step(pixels), pixels, before)
                if stopped := self.processes.largest(stop.received):
                    break
            self._look()
            self._save()
        self.keeper.confirm()
        if self.images < self.total:
            raise Stopped(f"stopped after {self.images:,} images; everything is saved in {self.run}", stopped)
        return checkpoint_path(self.run, self.images)

    def step(self, pixels: Batch) -> Move:
        """One batch, (N, 3, H, W) in 0..255: the method makes its images, then every player moves."""
        torch.manual_seed(self._key())
        for turn in self.turns:
            turn.set_rate(self.rate)
        move = self.play(Batch(*(domain.to(self.device, non_blocking=True) for domain in pixels)))
        self.finite.saw(self.images, move.finite)
        seen = len(pixels.a) * self.processes.count
        self.images += seen
        if self.average:
            self.average.update(seen, self.images)
        return move

    def _play(self, pixels: Batch) -> Move:
        """The mathematics of a step: on the device alone, so that a CUDA graph can record it."""
        batch = Batch(*(from_bytes(domain).to(memory_format=memory_format(self.device)) for domain in pixels))
        with self.autocast:
            images = self.method(batch)
        moves = [turn.move(batch, images, self.autocast) for turn in self.turns]
        losses = {name: loss for move in moves for name, loss in move.losses.items()}
        norms = {network: norm for move in moves for network, norm in move.norms.items()}
        return Move(losses, norms, torch.stack([move.finite for move in moves]).all())

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return rate_after(self.images, self.recipe.training, self.loader.epoch)

    def _key(self) -> int:
        """Seeds dropout and pool for the next step: a function of seed and images seen, so that resume repeats it."""
        return int(np.random.SeedSequence([self.recipe.training.seed, self.images]).generate_state(1)[0])

    def _open_data(self) -> Loader:
        data, training = self.recipe.data, self.recipe.training
        augment, memory = data.build(), int(data.memory * 2**30) // (2 * self.processes.on_this_machine)
        a, b = (
            Folder(
                data.root / name, augment.prepare, memory=memory, warn=lambda line: self.journal.note(line),
                validation=_held_out(self.recipe), seed=training.seed,
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
        first = next(self.loader.batches(self.images, self.images + 1))
        if not self.processes.first:
            return
        size = first.a.shape[2:]
        self.observer = Observer(
            self.recipe, self.method, self.translators, self.journal,
            size=size, device=self.device, autocast=self.autocast,
        )  # fmt: skip
        self.observer.begin()
        if self.features:
            held_out = {"A": self.loader.a.held_out, "B": self.loader.b.held_out}
            self.validation = Validation(held_out, size, self.features, self.device, self.journal.note)
        a, b, count = len(self.loader.a), len(self.loader.b), self.processes.count
        self.journal.note(
            f"{self.run}: {a:,} + {b:,} pictures, {self.total - self.images:,} images to see, {self.device}"
            + (f" in each of {count} processes" if count > 1 else "")
        )

    def _speed_up(self) -> None:
        """Pull the levers that the recipe names and say what that means for the first step."""
        networks = [network for turn in self.turns for network in turn.player.networks]
        if self.recipe.speed.checkpoint_activations:
            checkpoint_activations(networks)
        steps = (self.total - self.images) // (self.recipe.training.batch * self.processes.count)
        told = compile_networks(networks, self.recipe.speed, steps, self.device)
        if self.processes.first:
            self.journal.note(told)

    def _record(self, move: Move, pixels: Batch, before: int) -> None:
        """Write down what the step from `before` images to now makes due."""
        journal, log = self.recipe.journal, self._due(self.recipe.journal.log_every, before)
        at_the_end = self.images >= self.total
        self.journal.advance(self.images)
        if log:
            self._look()
            self.processes.average(list(move.losses.values()))
        if self.processes.first:
            if log:
                self.observer.numbers(move, pixels, self.rate, self.finite, self.images)
            if self._due(journal.samples_every, before) or before == 0 or at_the_end:
                self.observer.pictures(self.images)
            if journal.histograms_every and (self._due(journal.histograms_every, before) or at_the_end):
                self.observer.networks(self.images)
            if journal.evaluate_every and (self._due(journal.evaluate_every, before) or at_the_end):
                self._validate()
        if self._due(journal.checkpoint_every, before):
            self._look()
            self._save()

    def _validate(self) -> None:
        """Score the pictures held out, and keep the networks aside if they are the best so far."""
        kid = self.validation.score(self.translators, self.autocast, self.journal, self.images)
        if kid < self.best:
            self.best = kid
            self.keeper.save_best(replace(self._checkpoint(), optimizers={}))

    def _look(self) -> None:
        """Name the pictures of steps that were left out. Raises Diverged when the recipe tolerates no more of them."""
        for images in self.finite.news():
            names = ", ".join(shown(path) for path in self.loader.files(images))
            self.journal.note(f"left out the step from image {images:,} on, its numbers are not finite: {names}")
        if self.finite.in_a_row >= self.recipe.training.tolerate:
            helps = "try a lower training.rate, or a training.clip of 1"
            raise Diverged(
                f"{self.run}: {self.finite.in_a_row} steps in a row had losses or gradients that are not finite; "
                f"none of them moved the weights, and the checkpoints are good; {helps}"
            )

    def _due(self, every: Span, before: int) -> bool:
        period = self._images_in(every)
        return period > 0 and self.images // period > before // period

    def _images_in(self, span: Span) -> int:
        return images_in(span, self.loader.epoch)

    def _save(self) -> None:
        if not self.processes.first:
            return
        self.journal.flush()  # so that a killed run has records up to the checkpoint it goes on from
        self.keeper.save(self._checkpoint())

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(
            recipe=self.recipe,
            images=self.images,
            epoch=self.loader.epoch,
            processes=self.processes.count,
            best=self.best,
            method=self.method.state_dict(),
            average=self.average.state_dict() if self.average else {},
            optimizers={turn.player.name: turn.state_dict() for turn in self.turns},
        )

    def _restore(self, saved: Checkpoint) -> str:
        """Continue from a checkpoint as if nothing had happened; returns what is different all the same, in a line.

        Raises ValueError when the methods differ, or the checkpoint holds something else than it says.
        """
        if saved.recipe.method != self.recipe.method:
            raise ValueError(
                f"{self.run}: trained with another `method` than the recipe's; give the recipe it began with"
            )
        if _held_out(saved.recipe) != _held_out(self.recipe):
            raise ValueError(
                f"{self.run}: journal.evaluate_every and data.validation decide on which pictures to learn from; "
                f"leave them as the run began ({_held_out(saved.recipe)} of each folder held out)"
            )
        try:
            self._load(saved)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:  # torch raises them all
            raise ValueError(f"{self.run}: its checkpoint does not fit: {' '.join(str(error).split())}") from None
        now = self.processes.count * self.recipe.training.batch
        before = saved.processes * saved.recipe.training.batch
        return "" if before == now else f"pairs of pictures in a step: {now} from now on, {before} until here"

    def _load(self, saved: Checkpoint) -> None:
        self.images = saved.images
        if saved.recipe.features == self.recipe.features:
            self.best = saved.best
        self.method.load_state_dict(saved.method)
        for turn in self.turns:
            turn.load_state_dict(saved.optimizers[turn.player.name])
        if self.average:
            now = {direction: network.state_dict() for direction, network in self.method.translators().items()}
            self.average.load_state_dict(saved.average or now)  # an average asked for only now begins here


def _held_out(recipe: Recipe) -> int:
    """How many pictures of each folder are for validation."""
    return recipe.data.validation if recipe.journal.evaluate_every else 0
