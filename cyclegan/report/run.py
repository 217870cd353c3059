"""The report of a run: scores, sample grids, curves, and translations of its test pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from cyclegan.data.files import UnreadableImage
from cyclegan.data.read import read_image
from cyclegan.machine.memory import memory_told
from cyclegan.report.curves import Chart, chart
from cyclegan.report.page import write_page
from cyclegan.report.parts import Figure, figure
from cyclegan.report.records import Records, read_run
from cyclegan.report.scores import score_table
from cyclegan.report.showcase import Report, Showcase, showcase
from cyclegan.training.charts import charts
from cyclegan.types import Device, Direction
from cyclegan.util.evenly import evenly
from cyclegan.util.progress import duration
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched

STEPS = 12
"""Largest number of sample grids of a direction on the page."""
GRID = 800
"""Largest width of a sample grid on the page, in pixels."""


@untouched()
def write_report(
    run: Path, *, pictures: int = 8, device: Device = "auto", report: Report = lambda done, total: None
) -> Path:
    """Write RUN/report.html, whole or not at all, and return its path; sections without content are left out.

    `pictures` is the number of test pictures shown for each direction. `report` is called with (done, total) pictures.
    Raises FileNotFoundError when the folder is not a run folder.
    """
    records = read_run(run)
    shows, left_out = _showcase(records, pictures, device, report)
    return write_page(
        run / "report.html",
        "run.html",
        title=shown(Path(run.resolve().name)),
        records=records,
        headline=headline(records),
        scores=score_table(records.metrics) if records.metrics else None,
        evolution=_evolution(records),
        curves=_curves(records),
        showcase=shows,
        left_out=left_out,
        lives=[(life.images, _entries(life.text)) for life in records.lives],
    )


def headline(records: Records) -> dict[str, str]:
    """The facts at the top of the page."""
    recipe, last = records.recipe, records.last
    seen = f"{records.images:,}" + (f" of {records.total:,}" if records.total else "")
    epochs = f", {records.images / last.epoch:.3g} epochs" if last else ""
    entries = {
        "method": recipe.method.kind if recipe else "",
        "data": shown(Path(recipe.data.root.resolve().name)) if recipe else "",
        "pictures of A": recipe.data.a.format.described if recipe else "",
        "pictures of B": recipe.data.b.format.described if recipe else "",
        "images seen": seen + epochs,
        "trained for": duration(records.seconds) if records.seconds else "",
        "speed": f"{records.speed:.3g} images/s" if records.speed else "",
        "lowest KID": f"after {records.best:,} images" if records.best is not None else "",
        "last record": f"{records.written.day} {records.written:%B %Y, %H:%M}" if records.written else "",
    }
    return {name: entry for name, entry in entries.items() if entry}


def _evolution(records: Records) -> dict[Direction, list[Figure]]:
    """Sample grids of each direction that has some, evenly spaced over the run."""
    shows = {
        direction: [figure(f"after {images:,} images", grid) for images, grid in _grids(evenly(grids, STEPS))]
        for direction, grids in records.samples.items()
    }
    return {direction: figures for direction, figures in shows.items() if figures}


def _grids(grids: Iterable[tuple[int, Path]]) -> Iterator[tuple[int, Image.Image]]:
    for images, path in grids:
        try:
            grid = read_image(path)
        except UnreadableImage:
            continue
        grid = grid.crop((0, 0, grid.width, min(grid.height, 2 * grid.width)))
        grid.thumbnail((GRID, 2 * GRID), Image.Resampling.LANCZOS)
        yield images, grid


def _curves(records: Records) -> dict[str, list[Chart]]:
    """Charts by the heading of their group."""
    groups: dict[str, list[Chart]] = {}
    for one in charts(tag for tag in records.curves if not tag.startswith("test")):  # those are in the table of scores
        lines = {name: records.curves[tag] for tag, name in one.tags.items()}
        if drawn := chart(one.title, lines, unit=one.unit, includes=one.includes):
            groups.setdefault(one.group, []).append(drawn)
    return groups


def _showcase(records: Records, pictures: int, device: Device, report: Report) -> tuple[Showcase | None, str]:
    """Test pictures translated by the newest weights, or the reason why there are none."""
    if not records.last:
        return None, ""
    try:
        with memory_told():
            return showcase(records.run, records.last, pictures, device=device, report=report), ""
    except (ValueError, MemoryError) as error:
        return None, str(error)


def _entries(table: str) -> dict[str, str]:
    """The rows of a Markdown table of two columns."""
    rows = (line.strip().strip("|").partition("|") for line in table.splitlines() if set(line) - set("|-: "))
    return {name.strip(): value.strip() for name, _, value in rows}
