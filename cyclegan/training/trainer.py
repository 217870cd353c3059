"""The loop: it gives each player of a method its turn, and knows no method by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from cyclegan.checkpoint import (
    Checkpoint,
    checkpoint_path,
    has_checkpoint,
    newest_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from cyclegan.images.files import from_bytes
from cyclegan.images.folders import Folder
from cyclegan.images.loader import Loader
from cyclegan.machine import autocast, choose_device
from cyclegan.recipe import Recipe, Span, images_in, write_recipe
from cyclegan.training.average import Average
from cyclegan.training.journal import Journal
from cyclegan.training.samples import Samples
from cyclegan.training.speed import (
    Graphed,
    checkpoint_activations,
    compile_networks,
    has_graphs,
    memory_format,
    memory_told,
)
from cyclegan.training.stop import Stopped, StopSignals
from cyclegan.training.turn import Turn, rate_after
from cyclegan.types import Batch, Losses


def train(recipe: Recipe, run: Path | str, *, resume: bool = False) -> Path:
    """Train by the recipe into the folder `run`; returns the last checkpoint. `resume` continues a run that is there.

    Raises FileExistsError when `run` holds a run already and `resume` is not set, ValueError or FileNotFoundError for
    a recipe that cannot be followed here, and `Stopped` after a signal, once everything is saved.
    """
    return Trainer(recipe, Path(run), resume=resume).train()


class Trainer:
    """Keeps a run's method, its players' optimizers and the count of images seen."""

    def __init__(self, recipe: Recipe, run: Path, *, resume: bool = False) -> None:
        if (run / "recipe.yaml").exists() and not resume:
            raise FileExistsError(f"{run}: holds a run already; continue it with --resume, or choose another --out")
        self.recipe, self.run, self.images = recipe, run, 0
        self.device = choose_device(recipe.speed.device)
        self.loader = self._open_data()
        self.total = self._images_in(recipe.training.constant) + self._images_in(recipe.training.decay)

        self.autocast = autocast(self.device, recipe.speed.precision)
        torch.manual_seed(recipe.training.seed)
        self.method = recipe.method.build().to(self.device).to(memory_format=memory_format(self.device))
        self.turns = [Turn(player, recipe.training) for player in self.method.players]
        half_life = recipe.training.average
        self.average = Average(self.method.translators(), self._images_in(half_life)) if half_life else None
        if resume and has_checkpoint(run):
            self._restore(newest_checkpoint(run))
        self.play = Graphed(self._play) if has_graphs(recipe.speed, self.device) else self._play
        self.journal = Journal(run, images=self.images, total=self.total)

    def train(self) -> Path:
        """Play until every image of the recipe is seen, or a signal asks to stop; returns the last checkpoint."""
        write_recipe(self.recipe, self.run / "recipe.yaml")
        with StopSignals() as stop, self.journal, memory_told():
            self._prepare()
            self._speed_up()
            for pixels in self.loader.batches(self.images, self.total):
                before = self.images
                self._record(self.step(pixels), before)
                if stop.received:
                    break
            self._save()
        if self.images < self.total:
            raise Stopped(f"stopped after {self.images:,} images; everything is saved in {self.run}", stop.received)
        return checkpoint_path(self.run, self.images)

    def step(self, pixels: Batch) -> Losses:
        """One batch, (N, 3, H, W) in 0..255: the method makes its images, then every player moves."""
        torch.manual_seed(self._key())
        for turn in self.turns:
            turn.set_rate(self.rate)
        losses = self.play(Batch(*(domain.to(self.device, non_blocking=True) for domain in pixels)))
        self.images += len(pixels.a)
        if self.average:
            self.average.update(len(pixels.a), self.images)
        return losses

    def _play(self, pixels: Batch) -> Losses:
        """The mathematics of a step: on the device alone, so that a CUDA graph can record it."""
        batch = Batch(*(from_bytes(domain).to(memory_format=memory_format(self.device)) for domain in pixels))
        with self.autocast:
            images = self.method(batch)
        losses: Losses = {}
        for turn in self.turns:
            losses |= turn.move(batch, images, self.autocast)
        return losses

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return rate_after(self.images, self.recipe.training, self.loader.epoch)

    def _key(self) -> int:
        """Seeds dropout and pool for the next step: a function of seed and images seen, so that resume repeats it."""
        return int(np.random.SeedSequence([self.recipe.training.seed, self.images]).generate_state(1)[0])

    def _open_data(self) -> Loader:
        data, training = self.recipe.data, self.recipe.training
        augment, memory = data.build(), int(data.memory * 2**30) // 2
        a, b = (
            Folder(data.root / name, augment.prepare, memory=memory, warn=lambda line: self.journal.note(line))
            for name in ("trainA", "trainB")
        )
        pin = self.device.type == "cuda"
        return Loader(a, b, augment, batch=training.batch, seed=training.seed, threads=data.threads, pin=pin)

    def _prepare(self) -> None:
        """What needs a first batch, or the person's patience, before the first step."""
        first = next(self.loader.batches(self.images, self.images + 1))
        self.samples = Samples(self.recipe.data.root, self.recipe.journal.samples, first.a.shape[2:], self.device)
        self.journal.text("recipe", f"```yaml\n{(self.run / 'recipe.yaml').read_text(encoding='utf-8')}```")
        a, b = len(self.loader.a), len(self.loader.b)
        self.journal.note(
            f"{self.run}: {a:,} + {b:,} pictures, {self.total - self.images:,} images to see, {self.device}"
        )

    def _speed_up(self) -> None:
        """Pull the levers that the recipe names and say what that means for the first step."""
        torch.backends.cudnn.benchmark = True  # batches have one shape, so cuDNN may look for its fastest kernels once
        networks = [network for turn in self.turns for network in turn.player.networks]
        if self.recipe.speed.checkpoint_activations:
            checkpoint_activations(networks)
        steps = (self.total - self.images) // self.recipe.training.batch
        self.journal.note(compile_networks(networks, self.recipe.speed, steps, self.device))

    def _record(self, losses: Losses, before: int) -> None:
        """Write down what the step from `before` images to now makes due."""
        journal = self.recipe.journal
        self.journal.advance(self.images)
        if self._due(journal.log_every, before):
            self.journal.losses(losses, self.rate, self.images)
        if self._due(journal.samples_every, before) or before == 0 or self.images >= self.total:
            translators = self.average.translators if self.average else self.method.translators()
            for direction, grid in self.samples.grids(translators, self.autocast):
                self.journal.samples(direction, grid, self.images)
        if self._due(journal.checkpoint_every, before):
            self._save()

    def _due(self, every: Span, before: int) -> bool:
        period = self._images_in(every)
        return period > 0 and self.images // period > before // period

    def _images_in(self, span: Span) -> int:
        return images_in(span, self.loader.epoch)

    def _save(self) -> None:
        """Write a checkpoint, then remove the ones before it that the recipe does not keep."""
        checkpoint = Checkpoint(
            recipe=self.recipe,
            images=self.images,
            epoch=self.loader.epoch,
            method=self.method.state_dict(),
            average=self.average.state_dict() if self.average else {},
            optimizers={turn.player.name: turn.state_dict() for turn in self.turns},
        )
        path = checkpoint_path(self.run, self.images)
        write_checkpoint(checkpoint, path)
        period = self._images_in(self.recipe.journal.keep_every) if self.recipe.journal.keep_every else 0
        for older in path.parent.glob(f"*{path.suffix}"):
            if older < path and not (period and int(older.stem) % period == 0):
                older.unlink()

    def _restore(self, path: Path) -> None:
        """Continue from a checkpoint as if nothing had happened. Raises ValueError when the methods differ."""
        saved = read_checkpoint(path)
        if saved.recipe.method != self.recipe.method:
            raise ValueError(f"{path}: trained with another `method` than the recipe's; give the recipe it began with")
        self.images = saved.images
        self.method.load_state_dict(saved.method)
        for turn in self.turns:
            turn.load_state_dict(saved.optimizers[turn.player.name])
        if self.average:
            now = {direction: network.state_dict() for direction, network in self.method.translators().items()}
            self.average.load_state_dict(saved.average or now)  # an average asked for only now begins here
