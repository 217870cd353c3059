"""Several runs in one table, and why their figures may not compare."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cyclegan.metrics.result import FIGURES
from cyclegan.report.records import Records, read_run
from cyclegan.report.scores import aligned, figure_cell
from cyclegan.types import Direction
from cyclegan.util.text import shown

DIRECTIONS: tuple[Direction, ...] = tuple(Direction)
PROTOCOL = ("features", "size", "data", "split")
"""What must be the same for figures to compare."""

SHOWN = ("kid", "fid")
"""Of the figures, those in the table."""


def read_runs(runs: Sequence[Path]) -> dict[str, Records]:
    """Each run by a name that is its own: that of its folder, with as many folders above it as tell it apart.

    Raises ValueError for fewer than two runs, or one given twice; FileNotFoundError for a folder that is no run's.
    """
    places = [run.resolve() for run in runs]
    if len(places) < 2:
        raise ValueError("compare: give two runs or more")
    if twice := next((run for i, run in enumerate(runs) if places[i] in places[:i]), None):
        raise ValueError(f"compare: {shown(twice)} is given twice")
    records = [read_run(run) for run in runs]
    depth = next(n for n in range(1, 999) if len({place.parts[-n:] for place in places}) == len(places))
    return {shown(Path(*place.parts[-depth:])): record for place, record in zip(places, records, strict=True)}


def differences(runs: dict[str, Records]) -> list[str]:
    """Why the figures of these runs do not compare or mean little, or which are missing; a sentence each."""
    scored = {name: run.metrics for name, run in runs.items() if run.metrics}
    told = []
    for key in PROTOCOL:
        values = {name: metrics.protocol.get(key) for name, metrics in scored.items()}
        if len(set(map(str, values.values()))) > 1:
            said = "; ".join(f"{name}: {value}" for name, value in values.items())
            told.append(f"These figures do not compare, their protocols differ in {key} ({said}).")
    counts = {
        name: sorted({(s.what, s.images, s.real) for s in metrics.scores if s.what in DIRECTIONS})
        for name, metrics in scored.items()
    }
    if len(set(map(str, counts.values()))) > 1:
        said = "; ".join(f"{name}: " + ", ".join(f"{w} {i} : {r}" for w, i, r in c) for name, c in counts.items())
        told.append(f"These figures do not compare, they are of different numbers of pictures ({said}).")
    told += [f"{name}: {warning}" for name, metrics in scored.items() for warning in metrics.warnings]
    missing = [run.run for run in runs.values() if not run.metrics]
    return told + [f"Not scored yet; `cyclegan evaluate {shown(run)}` does it." for run in missing]


def remarks(runs: dict[str, Records]) -> list[str]:
    """What has to be said about the table: why its figures do not compare, and what could not be read."""
    return differences(runs) + [problem for run in runs.values() for problem in run.problems]


def comparison(runs: dict[str, Records]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table: a row for each run, and each of its weights that was scored."""
    ways = [way for way in DIRECTIONS if any(way in run.directions for run in runs.values())]
    figures = [f"{FIGURES[name].title} {direction}" for direction in ways for name in SHOWN]
    rows = [row for name, run in runs.items() for row in _rows(name, run, ways)]
    return ["run", "weights", "images seen", "images/s", *figures, "features"], rows


def as_table(runs: dict[str, Records]) -> str:
    """The table for a terminal, below what has to be said about it."""
    heads, rows = comparison(runs)
    lines = aligned([heads, *([re.sub(r"\n(.*)", r" (\1)", cell) for cell in row] for row in rows)])
    return "\n".join([*remarks(runs), lines])


def _rows(name: str, run: Records, ways: Sequence[Direction]) -> Iterator[list[str]]:
    speed, features = f"{run.speed:.3g}" if run.speed else "", run.metrics.features if run.metrics else "not scored"
    scores = [score for score in run.metrics.scores if score.what in DIRECTIONS] if run.metrics else []
    for weights in dict.fromkeys(score.weights for score in scores) or ["last"]:
        found = {score.what: score for score in scores if score.weights == weights}
        told = (score.images_seen for score in found.values() if score.images_seen is not None)
        known = [found[direction].figures if direction in found else {} for direction in ways]
        figures = [figure_cell(name, each.get(name)) for each in known for name in SHOWN]
        yield [name, weights or "", f"{next(told, run.images):,}", speed, *figures, features]
