"""The report of a run: what it scored, how it got there, and what it makes of pictures it never saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml
from PIL import Image

from cyclegan.data.files import UnreadableImage, read_image
from cyclegan.machine.memory import memory_told
from cyclegan.report.curves import chart
from cyclegan.report.page import write_page
from cyclegan.report.parts import Figure, box, details, facts, note, section, steps, subsection, table, warning
from cyclegan.report.pictures import evenly
from cyclegan.report.records import Records, read_run
from cyclegan.report.scores import score_table
from cyclegan.report.showcase import Progress, showcase
from cyclegan.training.charts import charts
from cyclegan.types import Device
from cyclegan.util.progress import duration
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched

STEPS = 12
"""Sample grids of a direction that the page steps through."""
GRID = 800
"""Pixels that a sample grid is wide on the page."""


@untouched()
def write_report(
    run: Path, *, pictures: int = 8, device: Device = "auto", report: Progress = lambda done, total: None
) -> Path:
    """Write RUN/report.html, whole or not at all, and return its path; what the run lacks is left out of it.

    `pictures` of each direction are shown beside their translations. `report` is told (done, total) in pictures.
    Raises FileNotFoundError when the folder is no run's.
    """
    records = read_run(run)
    parts = [
        facts(headline(records)),
        *(warning(problem) for problem in records.problems),
        _scores(records),
        _evolution(records),
        _curves(records),
        *_showcase(records, pictures, device, report),
        _origin(records),
    ]
    name = shown(Path(run.resolve().name))
    return write_page(run / "report.html", name, f"Report of {shown(run)}", filter(None, parts))


def headline(records: Records) -> dict[str, str]:
    """The few facts to know first."""
    recipe, last = records.recipe, records.last
    seen = f"{records.images:,}" + (f" of {records.total:,}" if records.total else "")
    epochs = f", {records.images / last.epoch:.3g} epochs" if last else ""
    entries = {
        "method": recipe.method.kind if recipe else "",
        "data": shown(Path(recipe.data.root.resolve().name)) if recipe else "",
        "images seen": seen + epochs,
        "trained for": duration(records.seconds) if records.seconds else "",
        "speed": f"{records.speed:.3g} images per second" if records.speed else "",
        "best by KID": f"after {records.best:,} images" if records.best is not None else "",
        "last record": f"{records.written.day} {records.written:%B %Y, %H:%M}" if records.written else "",
    }
    return {name: entry for name, entry in entries.items() if entry}


def _scores(records: Records) -> str:
    metrics = records.metrics
    if metrics is None:
        return section("Scores", note(f"None yet; `cyclegan evaluate {shown(records.run)}` makes them."))
    heads, rows = score_table(metrics)
    by = f"By the features of {metrics.features}, on {metrics.pictures}."
    other = [] if metrics.own else [warning(f"These are of {metrics.pictures}, not of the run's own test pictures.")]
    return section(
        "Scores",
        note(f"{by} Below each figure its 95 % interval. Untranslated: the pictures as they were, what to improve on."),
        note("Last: the newest weights. Best: those with the lowest KID on the validation split."),
        *other,
        *map(warning, metrics.warnings),
        table("Scores", heads, rows),
        details("Protocol", yaml.safe_dump(metrics.protocol, sort_keys=False, allow_unicode=True)),
    )


def _evolution(records: Records) -> str:
    shows = []
    for direction, grids in records.samples.items():
        figures = [Figure(f"after {images:,} images", grid) for images, grid in _grids(evenly(grids, STEPS))]
        if figures:
            shows.append(steps(direction, figures))
    if not shows:
        return ""
    told = "Each row is one held-out picture: real, fake and, where the way back is learned too, cycle and identity."
    return section("Evolution", note(told), box("pair", shows))


def _grids(grids: Iterable[tuple[int, Path]]) -> Iterator[tuple[int, Image.Image]]:
    for images, path in grids:
        try:
            grid = read_image(path)
        except UnreadableImage:
            continue
        grid = grid.crop((0, 0, grid.width, min(grid.height, 2 * grid.width)))
        grid.thumbnail((GRID, 2 * GRID), Image.Resampling.LANCZOS)
        yield images, grid


def _curves(records: Records) -> str:
    sections: dict[str, list[str]] = {}
    for name, tags in charts(tag for tag in records.curves if not tag.startswith("test")).items():  # they are scores
        group = name.partition("/")[0]
        title = name.removeprefix(f"{group}/")
        twins = len(tags) > 1
        lines = {tag.removeprefix(name).strip("_/") or title * twins: records.curves[tag] for tag in tags}
        if drawn := chart(title, lines):
            sections.setdefault(group, []).append(drawn)
    if not sections:
        return ""
    told = "What was logged in faint, its trend on top. The number in a legend is where the trend ends."
    groups = (subsection(group, box("charts", drawn)) for group, drawn in sections.items())
    return section("Curves", note(told), *groups)


def _showcase(records: Records, pictures: int, device: Device, report: Progress) -> list[str]:
    if not records.last:
        return [section("Test pictures", note("Left out: this run has no checkpoint that can be read."))]
    try:
        with memory_told():
            return showcase(records.run, records.last, pictures, device=device, report=report)
    except (ValueError, MemoryError) as error:
        return [section("Test pictures", warning(f"Left out: {error}"))]


def _origin(records: Records) -> str:
    """The recipe, and the machines that followed it."""
    recipe = records.recipe
    parts = [details("Recipe", yaml.safe_dump(recipe.to_dict(), sort_keys=False))] if recipe else []
    for life in records.lives:
        parts.append(subsection(f"Begun at image {life.images:,}", facts(_entries(life.text))))
    return section("How it was made", *parts) if parts else ""


def _entries(table: str) -> dict[str, str]:
    """The rows of a Markdown table of two columns."""
    rows = (line.strip().strip("|").partition("|") for line in table.splitlines() if set(line) - set("|-: "))
    return {name.strip(): value.strip() for name, _, value in rows}
