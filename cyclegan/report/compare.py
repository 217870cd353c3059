"""The page that shows runs side by side: their scores, the same pictures by each, their curves on one chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.batches import training_size
from cyclegan.inference.model import model_of
from cyclegan.inference.translator import plain_translators
from cyclegan.machine.memory import memory_told
from cyclegan.report.curves import chart
from cyclegan.report.page import write_page
from cyclegan.report.parts import Figure, box, note, section, side_by_side, subsection, table, warning
from cyclegan.report.pictures import Translated, evenly, find_tests, translated
from cyclegan.report.records import Records
from cyclegan.report.runs import DIRECTIONS, comparison, remarks
from cyclegan.report.showcase import Progress
from cyclegan.training.charts import charts
from cyclegan.types import Device, Direction
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched

CHARTS = ("loss/cycle", "validation/kid")
LEAD = "Lower is better for KID and FID. Below each figure stands its 95 % interval, below each run by whose features."


@untouched()
def write_comparison(
    runs: dict[str, Records],
    path: Path,
    *,
    pictures: int = 6,
    device: Device = "auto",
    report: Progress = lambda done, total: None,
) -> Path:
    """Write a page of the table, `pictures` of each direction by every run, and curves, whole or not at all.

    Returns `path`. `report` is told (done, total) in runs.
    """
    heads, rows = comparison(runs)
    scored = [[f"{name}\n{features}", *figures] for name, *figures, features in rows]
    warnings = map(warning, remarks(runs))
    scores = section("Scores", *warnings, table("Scores", heads[:-1], scored))
    parts = [scores, _side_by_side(runs, pictures, device, report), _curves(runs)]
    return write_page(path, " and ".join(runs) if len(runs) < 3 else f"{len(runs)} runs", LEAD, filter(None, parts))


def _side_by_side(runs: dict[str, Records], number: int, device: Device, report: Progress) -> str:
    """The same test pictures by every run, each at the size that it learned at."""
    name, first = next((name, run) for name, run in runs.items())
    if first.recipe is None:
        return section("Test pictures", note(f"Left out: {name} does not say which data set it learned from."))
    root = first.recipe.data.root
    told = [note(f"Of {shown(root)}, the data set of {name}.")]
    paths = {direction: evenly(find_tests(first.recipe, direction), number) for direction in DIRECTIONS}
    if not any(paths.values()):
        return section("Test pictures", note(f"{shown(root)} holds no test pictures, or is not here any more."))
    made: dict[str, dict[Path, Translated]] = {}
    for done, (name, run) in enumerate(runs.items()):
        report(done, len(runs))
        if run.recipe and run.recipe.data.root.resolve() != root.resolve():
            told.append(warning(f"{name} learned from another data set: {shown(run.recipe.data.root)}."))
        if run.last is None:
            told.append(warning(f"{name} is left out: it has no checkpoint that can be read."))
            continue
        try:
            with memory_told():
                made[name] = _translations(run.run, run.last, paths, device)
        except (ValueError, FileNotFoundError, MemoryError) as error:
            told.append(warning(f"{name} is left out: {error}"))
    report(len(runs), len(runs))
    shows = [subsection(direction, *rows) for direction in DIRECTIONS if (rows := _rows_of(paths[direction], made))]
    return section("Test pictures", *told, *shows)


def _translations(
    run: Path, checkpoint: Checkpoint, paths: Mapping[Direction, Sequence[Path]], device: Device
) -> dict[Path, Translated]:
    made: dict[Path, Translated] = {}
    for direction, translator in plain_translators(model_of(checkpoint, run), device=device).items():
        if paths[direction]:
            size = training_size(checkpoint.recipe.data, paths[direction])
            made |= {one.path: one for one in translated(paths[direction], size, translator, None) if one}
    return made


def _rows_of(paths: Sequence[Path], made: Mapping[str, Mapping[Path, Translated]]) -> list[str]:
    rows = []
    for path in paths:
        if known := {name: pictures[path] for name, pictures in made.items() if path in pictures}:
            real = next(iter(known.values())).real
            fakes = (Figure(name, one.fake) for name, one in known.items())
            rows.append(side_by_side(path.name, Figure("input", real), *fakes))
    return rows


def _curves(runs: dict[str, Records]) -> str:
    """A chart for each tag that belongs to `CHARTS`, a line for each run."""
    tags = charts(dict.fromkeys(tag for run in runs.values() for tag in run.curves))
    drawn = [
        chart(tag, {name: run.curves[tag] for name, run in runs.items() if tag in run.curves})
        for shared in CHARTS
        for tag in tags.get(shared, [])
    ]
    return section("Curves", box("charts", drawn)) if any(drawn) else ""
