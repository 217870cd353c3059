"""A training run from its first step to its last; the same code for every method."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from cyclegan.checkpoint import Checkpoint, checkpoint_path, checkpoints_in, read_newest
from cyclegan.data.config import DataConfig
from cyclegan.data.folder import Folder, open_folders
from cyclegan.data.listing import Listing
from cyclegan.data.loader import Loader
from cyclegan.data.presets import fit_of, size_in_training
from cyclegan.machine.device import choose_device
from cyclegan.machine.memory import memory_told
from cyclegan.machine.memory_used import memory_used
from cyclegan.recipe import Recipe, Span, images_in, write_recipe
from cyclegan.training.changed import changes_told
from cyclegan.training.checkpointer import Checkpointer
from cyclegan.training.distributed import ALONE, Processes, open_processes
from cyclegan.training.formats import known, with_formats
from cyclegan.training.learner import Learner
from cyclegan.training.log import RunLog
from cyclegan.training.mirror import mirrored
from cyclegan.training.nonfinite import Diverged
from cyclegan.training.observer import Observer
from cyclegan.training.optimizer import StepResult
from cyclegan.training.split import Split, split
from cyclegan.training.start import Start, start_with
from cyclegan.training.tuning import blame, tune
from cyclegan.training.validation import Validation
from cyclegan.types import Batch, Domain
from cyclegan.util.signals import Stopped, StopSignals
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched

Check: TypeAlias = Callable[[DataConfig, Mapping[Domain, Listing]], list[str]]
"""A look at the training pictures of both domains that returns lines about what it has found."""

LESS_MEMORY = (
    "a smaller data.size (or crop in data.transforms), a smaller training.batch_size, --speed.checkpoint_activations, "
    "or on a GPU --speed.graph off"
)
"""The advice in the error when training runs out of memory."""


@untouched()
def train(
    recipe: Recipe, run: Path | str, *, resume: bool = False, start: Start | None = None, check: Check | None = None
) -> Path:
    """Train a recipe and write checkpoints and logs to the folder `run`.

    With `resume`, a run that is already in the folder continues from its newest checkpoint; if there is none, training
    starts from the beginning. `start` loads the generators of `training.start`, and `check` looks at the pictures of a
    new run. Under torchrun every process calls this function, and only the first one writes.

    Returns the path of the last checkpoint.

    Raises FileExistsError when `run` already holds a run and `resume` is not set.
    Raises ValueError or FileNotFoundError when the recipe does not fit the data, the device or the checkpoint.
    Raises MemoryError when memory runs out; the message says what needs less.
    Raises `Stopped` after SIGINT, SIGTERM or SIGHUP, once everything is saved.
    Raises `Diverged` after `training.max_nonfinite_steps` steps in a row with non-finite losses or gradients.
    Raises `Unsaved` when the last checkpoint could not be written.
    Raises ConnectionError when another process of the run is lost.
    """
    with open_processes() as processes:
        return Trainer(recipe, Path(run), resume=resume, processes=processes, start=start, check=check).train()


class Trainer:
    """A run: its learner, its data loader, its logs and its checkpoints. `train` is the entry point."""

    def __init__(
        self, recipe: Recipe, run: Path, *, resume: bool = False, processes: Processes = ALONE,
        start: Start | None = None, check: Check | None = None,
    ) -> None:  # fmt: skip
        if (run / "recipe.yaml").exists() and not resume:
            raise FileExistsError(f"{run}: holds a run already; continue it with --resume, or choose another --out")
        if recipe.method.about.paired and not recipe.data.paired:
            raise ValueError(f"data.pairs: {recipe.method.kind} needs paired pictures; set it to stem or side_by_side")
        if recipe.training.lr_schedule.shape == "plateau" and not recipe.log.evaluate_every:
            raise ValueError("training.lr_schedule.shape: plateau needs scores; set log.evaluate_every")
        self.recipe, self.run, self.processes = recipe, run, processes
        self.device = choose_device(recipe.speed.device)
        saved = known(read_newest(run)) if resume and checkpoints_in(run) else None
        told: list[str] = []
        self.loader, self.split = self._open_data(saved, told.append)
        if check and processes.first and not resume:
            told += check(recipe.data, {"a": self.loader.a.files, "b": self.loader.b.files})
        self.total = recipe.training.lr_schedule.length(self.loader.epoch)
        evaluates = processes.first and recipe.log.evaluate_every
        self.features = recipe.features.build() if evaluates else None

        epoch, resumes = self.loader.epoch, saved is not None
        self.learner = Learner(self.recipe, self.device, epoch=epoch, processes=processes, resumes=resumes)
        self.learner.method.expect(self.loader.sizes)
        told += filter(None, [self.learner.method.remark])
        self.best, self.pictures_told = math.inf, False
        if saved:
            told += self._restore(saved)
        elif recipe.training.start:
            start_with(self.learner, recipe.training.start, start)
        elif (run / "recipe.yaml").exists():
            told.append(f"{run}: no checkpoint to resume from; training starts from the beginning")
        seen = (*self.loader.names, self.split.held_out)
        processes.agree("recipes, pictures or checkpoints", (self.recipe, self.learner.images, *seen))
        self.learner.begin_alike()

        self.log = RunLog(run, images=self.learner.images, total=self.total, writes=processes.first)
        period = self._images_in(recipe.log.keep_every) if recipe.log.keep_every else 0
        self.checkpointer = Checkpointer(run, period=period, note=self.log.note)
        for line in told if processes.first else ():
            self.log.note(line)

    def train(self) -> Path:
        """Train until the schedule of the recipe ends or a signal stops it; returns the last checkpoint.

        Raises what the function `train` raises.
        """
        stopped = 0
        mirror = mirrored(self.recipe, self.run) if self.processes.first else nullcontext()
        with StopSignals() as stop, mirror, self.log, memory_told(LESS_MEMORY), ExitStack() as afterwards:
            afterwards.callback(self.learner.release)
            pixels = self._prepare()
            for pixels in self.loader.batches(self.learner.images, self.total):
                before = self.learner.images
                result = self.learner.step(pixels)
                self._record(result, pixels, before)
                if stopped := self.processes.largest(stop.received):
                    break
            self._tell_pictures()
            self._look(pixels)
            self._save()
        self.checkpointer.confirm()
        if self.learner.images < self.total:
            raise Stopped(f"stopped after {self.learner.images:,} images; everything is saved in {self.run}", stopped)
        return checkpoint_path(self.run, self.learner.images)

    def _open_data(self, saved: Checkpoint | None, tell: Callable[[str], None]) -> tuple[Loader, Split]:
        data, training = self.recipe.data, self.recipe.training
        augment, memory = data.build(), int(data.cache_gib * 2**30) // self.processes.on_this_machine
        folders = open_folders(data, augment.prepare, memory=memory, warn=lambda line: self.log.note(line), tell=tell)
        self.recipe = with_formats(self.recipe, folders, saved, tell)
        parts = split(folders, self.recipe, saved, tell)
        pin = self.device.type == "cuda"
        loader = Loader(
            folders["a"], folders["b"], augment, batch_size=training.pairs, seed=training.seed, workers=data.workers,
            rank=self.processes.rank, processes=self.processes.count, pin=pin, paired=data.paired,
            becomes=size_in_training(data),
        )  # fmt: skip
        return loader, parts

    def _prepare(self) -> Batch:
        """Choose the speed options and set up logging and validation, which need a first batch; returns that batch."""
        left, count = self.total - self.learner.images, self.processes.count
        first = next(self.loader.batches(self.learner.images, self.learner.images + 1))
        if self.processes.first:
            write_recipe(self.recipe, self.run / "recipe.yaml")
        steps, sizes = left // (self.loader.batch_size * count), max(self.loader.sizes.values())
        told = tune(self.learner, first, steps, self.run, sizes=sizes)
        if not self.processes.first:
            return first
        data = self.recipe.data
        fit = fit_of(data) if data.transforms is None else self.loader.augment.fit((first.a.shape[2], first.a.shape[3]))
        self.observer = Observer(self.recipe, self.learner, self.log, fit)
        if self.features:
            folders: dict[Domain, Folder] = {"a": self.loader.a, "b": self.loader.b}
            self.validation = Validation(folders, fit, self.features, self.device, paired=self.loader.paired)
            if doubt := self.validation.doubt():
                self.log.note(doubt)
        self.observer.begin()
        each = f" in each of {count} processes" if count > 1 else ""
        pictures = f"{len(self.loader.a):,} + {len(self.loader.b):,} pictures"
        self.log.note(f"{self.run}: {pictures}, {left:,} images to train on, {self.device}{each}\n{told}")
        return first

    def _record(self, result: StepResult, pixels: Batch, before: int) -> None:
        """Log, validate and save what has become due in the step from `before` images to now."""
        log, images, due = self.recipe.log, self.learner.images, partial(self._due, before)
        at_the_end = images >= self.total
        if before == self.log.images:  # the first step since the process started
            self.log.needs(memory_used(self.device))
        if at_the_end:
            self.learner.release()  # frees memory for the last samples and scores
        self.log.advance(images)
        if due("1 epoch"):
            self._tell_pictures()
        if due(log.scalars_every):
            self._look(pixels)
            self.processes.average(list(result.losses.values()))
            if self.processes.first:
                self.observer.numbers(result, pixels)
        if self.processes.first:
            if due(log.samples_every) or before == 0 or at_the_end:
                self.observer.pictures()
            if log.histograms_every and (due(log.histograms_every) or at_the_end):
                self.observer.networks()
        if log.evaluate_every and (due(log.evaluate_every) or at_the_end):
            falls = self._validate() if self.processes.first else False
            if self.processes.largest(int(falls)):
                self.learner.plateau.fall()
        if due(log.checkpoint_every):
            self._look(pixels)
            self._save()

    def _validate(self) -> bool:
        """Score on the held-out pictures, and save best.pt if the score is the best so far.

        Returns whether the learning rate should fall because scores have stopped improving.
        """
        kid = self.validation.score(self.learner, self.log)
        if kid < self.best and self.checkpointer.save_best(replace(self._checkpoint(kid), optimizers={})):
            self.best = kid
        return self.learner.plateau.saw(kid)

    def _look(self, pixels: Batch) -> None:
        """Report skipped steps with their pictures. Raises Diverged after `training.max_nonfinite_steps` in a row."""
        for images in self.learner.nonfinite.new_ones():
            names = ", ".join(shown(path) for path in self.loader.files(images))
            self.log.note(f"skipped the step at image {images:,}: non-finite loss or gradient (pictures: {names})")
        if self.learner.nonfinite.in_a_row >= self.recipe.training.max_nonfinite_steps:
            saved = checkpoints_in(self.run)
            left = f"the last checkpoint, {saved[-1]}, is good" if saved else "no checkpoint was saved before them"
            why = f"{self.learner.nonfinite.in_a_row} steps in a row had non-finite losses or gradients"
            helps = blame(self.learner, pixels)
            raise Diverged(f"{self.run}: {why} and were skipped; {left}; {helps}")

    def _tell_pictures(self) -> None:
        """Report once, after all pictures were read, how many were enlarged and how many have clipped values."""
        if self.pictures_told or not self.processes.first:
            return
        self.pictures_told = True
        for folder in (self.loader.a, self.loader.b):
            for line in filter(None, (folder.enlarged_told(), folder.clipped_told())):
                self.log.note(line)

    def _due(self, before: int, every: Span) -> bool:
        period = self._images_in(every)
        return period > 0 and self.learner.images // period > before // period

    def _images_in(self, span: Span) -> int:
        return images_in(span, self.loader.epoch)

    def _save(self) -> None:
        if not self.processes.first:
            return
        self.log.flush()  # so that a killed run has records up to the checkpoint that it resumes from
        self.checkpointer.save(self._checkpoint(self.best))

    def _checkpoint(self, best: float) -> Checkpoint:
        """Return the state of the learner, with the names of its pictures and of the held-out ones."""
        return replace(self.learner.checkpoint(best), **self.split._asdict())

    def _restore(self, saved: Checkpoint) -> list[str]:
        """Load a checkpoint; returns a line for each thing that differs from when it was saved.

        Raises ValueError when it belongs to a different method.
        """
        try:
            self.learner.restore(saved)
        except ValueError as error:
            raise ValueError(f"{self.run}: {error}") from None
        if saved.recipe.features == self.recipe.features:  # otherwise its KID is not comparable with new ones
            self.best = saved.best
        told = changes_told(saved, self.recipe, self.loader.epoch)
        now = self.processes.count * self.recipe.training.pairs
        before = saved.processes * saved.recipe.training.pairs
        if before != now:
            told.append(f"pairs of pictures in a step: {before} -> {now}")
        return told
