"""The page that compares runs: a table of scores, the same pictures translated by each run, shared charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.batches import training_fit
from cyclegan.data.config import DataConfig
from cyclegan.inference.model import model_of
from cyclegan.inference.translator import plain_translators
from cyclegan.machine.memory import memory_told
from cyclegan.recipe import Recipe
from cyclegan.report.curves import Chart, chart
from cyclegan.report.page import write_page
from cyclegan.report.parts import Figure, figure
from cyclegan.report.pictures import Translated, find_tests, translated, unseen_source
from cyclegan.report.records import Records
from cyclegan.report.runs import DIRECTIONS, comparison, remarks
from cyclegan.report.showcase import Report
from cyclegan.training.charts import MEAN, charts
from cyclegan.types import Device, Direction
from cyclegan.util.evenly import evenly
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched

CHARTS = ("validation/kid", "loss/cycle", "loss/nce", "loss/l1")
"""Charts on the page, one for each domain or direction."""

Made: TypeAlias = dict[tuple[Direction, Path], Translated]
"""The test pictures of a run and their translations."""


class SideBySide(NamedTuple):
    """The test pictures of one data set, translated by every run that can."""

    rows: dict[Direction, list[tuple[str, list[Figure]]]]
    warnings: list[str]


@untouched()
def write_comparison(
    runs: dict[str, Records],
    path: Path,
    *,
    pictures: int = 6,
    device: Device = "auto",
    report: Report = lambda done, total: None,
) -> Path:
    """Write the page, whole or not at all, with `pictures` test pictures of each direction; returns `path`.

    `report` is called with (done, total) runs.
    """
    heads, rows = comparison(runs)
    *others, features = dict.fromkeys(row[-1] for row in rows)
    scored = [[f"{name}\n{by}" if others else name, *figures] for name, *figures, by in rows]
    name, first = next(iter(runs.items()))
    return write_page(
        path,
        "compare.html",
        title=" and ".join(runs) if len(runs) < 3 else f"{len(runs)} runs",
        remarks=remarks(runs),
        features="" if others else features,
        heads=heads[:-1],
        scores=scored,
        first=name,
        root=first.recipe.data.root if first.recipe else None,
        pictures=_side_by_side(runs, first.recipe, pictures, device, report) if first.recipe else None,
        curves=_curves(runs),
    )


def _side_by_side(
    runs: dict[str, Records], recipe: Recipe, number: int, device: Device, report: Report
) -> SideBySide | None:
    """The test pictures of a recipe, translated by each run at its training size; None if there are none."""
    paths = {direction: evenly(find_tests(recipe.data, direction), number) for direction in DIRECTIONS}
    if not any(paths.values()):
        return None
    warnings = []
    made: dict[str, Made] = {}
    for done, (name, run) in enumerate(runs.items()):
        report(done, len(runs))
        if run.recipe and run.recipe.data.root.resolve() != recipe.data.root.resolve():
            warnings.append(f"{name} was trained on another data set: {shown(run.recipe.data.root)}.")
        if run.last is None:
            warnings.append(f"{name} is not shown: it has no readable checkpoint.")
            continue
        try:
            with memory_told():
                made[name] = _translations(run.run, run.last, recipe.data, paths, device)
        except (ValueError, FileNotFoundError, MemoryError) as error:
            warnings.append(f"{name} is not shown: {error}")
    report(len(runs), len(runs))
    return SideBySide({direction: _rows_of(direction, paths[direction], made) for direction in DIRECTIONS}, warnings)


def _translations(
    run: Path, checkpoint: Checkpoint, data: DataConfig, paths: Mapping[Direction, Sequence[Path]], device: Device
) -> Made:
    made: Made = {}
    for direction, translator in plain_translators(model_of(checkpoint, run), device=device).items():
        if paths[direction]:
            source = unseen_source(data, direction)
            fit = training_fit(checkpoint.recipe.data, source, paths[direction])
            each = translated(source, paths[direction], fit, translator, None)
            made |= {(direction, one.path): one for one in each if one}
    return made


def _rows_of(direction: Direction, paths: Sequence[Path], made: Mapping[str, Made]) -> list[tuple[str, list[Figure]]]:
    """Each picture that any run translated, by file name: the input, then the translation of each run."""
    rows = []
    for path in paths:
        if known := {name: each[direction, path] for name, each in made.items() if (direction, path) in each}:
            real = next(iter(known.values())).real
            rows.append((path.name, [figure("input", real), *(figure(name, one.fake) for name, one in known.items())]))
    return rows


def _curves(runs: dict[str, Records]) -> list[Chart]:
    """A chart for each tag that belongs to `CHARTS`, with a line for each run."""
    found = {one.name: one for one in charts(dict.fromkeys(tag for run in runs.values() for tag in run.curves))}
    drawn = [
        chart(
            " ".join(filter(None, [shared.title, side])),
            {name: run.curves[tag] for name, run in runs.items() if tag in run.curves},
            unit=shared.unit,
            includes=shared.includes,
        )
        for shared in map(found.get, CHARTS) if shared
        for tag, side in shared.tags.items() if side != MEAN
    ]  # fmt: skip
    return [one for one in drawn if one]
