"""The contents of a run folder. What is missing or damaged stays empty; damage is described in `problems`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cyclegan.checkpoint import Checkpoint, best_path, read_checkpoint, read_newest
from cyclegan.metrics.result import Evaluation, read_evaluation
from cyclegan.recipe import Recipe, images_in, read_recipe
from cyclegan.report.curves import Point
from cyclegan.training.charts import current
from cyclegan.types import Direction
from cyclegan.util.text import reason, shown

T = TypeVar("T")

_GRID = re.compile(r"[0-9]{10,}_(AtoB|BtoA)\.png")
"""The file name of a sample grid; other pictures in the folder belong to the user."""


class Life(NamedTuple):
    """The provenance that a process recorded when it began or continued the run."""

    images: int
    text: str


@dataclass(kw_only=True)
class Records:
    """The records of one run."""

    run: Path
    recipe: Recipe | None = None
    last: Checkpoint | None = None
    """The newest checkpoint that can be read."""
    best: int | None = None
    """Images that the networks of best.pt had seen."""
    curves: dict[str, list[Point]] = field(default_factory=dict)
    """Scalars by tag."""
    lives: list[Life] = field(default_factory=list)
    written: datetime | None = None
    """Local time of the last event."""
    samples: dict[Direction, list[tuple[int, Path]]] = field(default_factory=dict)
    """Sample grids, and the number of images seen before each."""
    metrics: Evaluation | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions of its method; both if the recipe is unknown."""
        return self.recipe.method.directions if self.recipe else tuple(Direction)

    @property
    def images(self) -> int:
        """Images seen, by the checkpoint or else by the curves."""
        seen = [point.images for points in self.curves.values() for point in points[-1:]]
        return self.last.images if self.last else int(max(seen, default=0))

    @property
    def total(self) -> int | None:
        """Images in the recipe's schedule; None without a checkpoint, which knows the length of an epoch."""
        if not self.last:
            return None
        training, epoch = self.last.recipe.training, self.last.epoch
        return images_in(training.lr_schedule.constant, epoch) + images_in(training.lr_schedule.decay, epoch)

    @property
    def seconds(self) -> float:
        """Time spent on training, without the pauses between interruption and resumption."""
        before, spent = 0.0, 0.0
        for images, speed in self.curves.get("training/images_per_second", []):
            spent += (images - before) / speed if speed > 0 else 0
            before = images
        return spent

    @property
    def speed(self) -> float | None:
        """Images per second over the whole run."""
        speeds = self.curves.get("training/images_per_second")
        return speeds[-1].images / self.seconds if speeds and self.seconds else None


def read_run(run: Path) -> Records:
    """Read a run folder. Raises FileNotFoundError when it is not one."""
    if not any((run / name).exists() for name in ("recipe.yaml", "checkpoints", best_path(run).name, "metrics.json")):
        raise FileNotFoundError(f"{shown(run)}: not a run folder; cyclegan train writes one")
    records = Records(run=run)

    def tried(read: Callable[[Path], T], path: Path) -> T | None:
        try:
            return read(path) if path.exists() else None
        except (ValueError, OSError) as error:
            records.problems.append(str(error))
            return None

    last = tried(read_newest, run)
    records.last = replace(last, optimizers={}) if last else None  # large, and only training needs them
    records.recipe = records.last.recipe if records.last else tried(read_recipe, run / "recipe.yaml")
    best = tried(read_checkpoint, best_path(run))
    records.best = best.images if best else None
    records.metrics = tried(read_evaluation, run / "metrics.json")
    for direction in Direction:
        grids = [path for path in (run / "samples").glob(f"*_{direction}.png") if _GRID.fullmatch(path.name)]
        if numbered := sorted((int(path.name.partition("_")[0]), path) for path in grids):
            records.samples[direction] = numbered
    if any(run.glob("events.out.tfevents.*")):
        _read_events(records)
    return records


def _read_events(records: Records) -> None:
    events = EventAccumulator(str(records.run), size_guidance={"scalars": 0, "tensors": 0, "images": 1})
    try:
        events.Reload()
    except Exception as error:  # a damaged file can raise almost anything
        records.problems.append(f"the events of {shown(records.run)} cannot be read to their end: {reason(error)}")
    times = []
    curves: dict[str, dict[int, float]] = {}
    for tag in events.Tags()["scalars"]:
        found = events.Scalars(tag)
        # By step: a copy of an event file repeats every value, and a run may span two versions.
        curves.setdefault(current(tag), {}).update({event.step: event.value for event in found})
        times += [event.wall_time for event in found]
    records.curves = {tag: [Point(*point) for point in sorted(once.items())] for tag, once in curves.items()}
    records.written = datetime.fromtimestamp(max(times)).astimezone() if times else None
    if (tag := "provenance/text_summary") in events.Tags()["tensors"]:
        for event in events.Tensors(tag):
            text = b"\n".join(event.tensor_proto.string_val).decode(errors="replace")
            if (life := Life(event.step, text)) not in records.lives:
                records.lives.append(life)
