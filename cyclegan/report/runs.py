"""A table of several runs, and the reasons why their scores may not be comparable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cyclegan.metrics.result import FIGURES
from cyclegan.report.records import Records, read_run
from cyclegan.report.scores import ARROWS, aligned, figure_cell
from cyclegan.types import Direction
from cyclegan.util.text import shown

DIRECTIONS: tuple[Direction, ...] = tuple(Direction)
PROTOCOL = ("features", "size", "data", "split")
"""Keys of the protocol that must agree for scores to be comparable."""

SHOWN = ("kid", "fid")
"""Scores in the table."""


def read_runs(runs: Sequence[Path]) -> dict[str, Records]:
    """Read runs, by unique names: the folder's name, with as many parent folders as are needed to distinguish it.

    Raises ValueError for fewer than two runs or a run given twice, FileNotFoundError for a folder that is not a run.
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
    """Reasons why the scores of these runs are not comparable, or uncertain, or missing; a sentence each."""
    scored = {name: run.metrics for name, run in runs.items() if run.metrics}
    told = []
    for key in PROTOCOL:
        values = {name: metrics.protocol.get(key) for name, metrics in scored.items()}
        if len(set(map(str, values.values()))) > 1:
            said = "; ".join(f"{name}: {value}" for name, value in values.items())
            told.append(f"These scores are not comparable: their protocols differ in {key} ({said}).")
    for way in DIRECTIONS:
        counts = {
            name: sorted({f"{score.images} : {score.real}" for score in metrics.scores if score.what == way})
            for name, metrics in scored.items()
        }
        if len({tuple(count) for count in counts.values() if count}) > 1:
            said = "; ".join(f"{name}: {', '.join(count)}" for name, count in counts.items() if count)
            told.append(f"The scores of {way} are not comparable: they are of different numbers of pictures ({said}).")
    told += [f"{name}: {warning}" for name, metrics in scored.items() for warning in metrics.warnings]
    missing = [run.run for run in runs.values() if not run.metrics]
    return told + [f"No scores yet: run `cyclegan evaluate {shown(run)}`." for run in missing]


def remarks(runs: dict[str, Records]) -> list[str]:
    """Notes above the table: why its scores are not comparable, and what could not be read."""
    return differences(runs) + [problem for run in runs.values() for problem in run.problems]


def comparison(runs: dict[str, Records]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table: a row for each scored set of weights of each run. No column is empty."""
    ways = [way for way in DIRECTIONS if any(way in run.directions for run in runs.values())]
    figures = [
        f"{FIGURES[name].title}{ARROWS[FIGURES[name].better]}\n{direction}" for direction in ways for name in SHOWN
    ]
    rows = [row for name, run in runs.items() for row in _rows(name, run, ways)]
    table = [["run", "weights", *figures, "images seen", "images/s", "features"], *rows]
    heads, *rows = map(list, zip(*(column for column in zip(*table, strict=True) if any(column[1:])), strict=True))
    return heads, rows


def as_table(runs: dict[str, Records]) -> str:
    """The table for a terminal, below the notes about it."""
    heads, rows = comparison(runs)
    titles = [head.replace(" ↓", "").replace("\n", " ") for head in heads]
    lines = aligned([titles, *([re.sub(r"\n(.*)", r" (\1)", cell) for cell in row] for row in rows)])
    return "\n".join([*remarks(runs), lines])


def _rows(name: str, run: Records, ways: Sequence[Direction]) -> Iterator[list[str]]:
    speed, features = f"{run.speed:.3g}" if run.speed else "", run.metrics.features if run.metrics else "not scored"
    scores = [score for score in run.metrics.scores if score.what in DIRECTIONS] if run.metrics else []
    for weights in dict.fromkeys(score.weights for score in scores) or ["last"]:
        found = {score.what: score for score in scores if score.weights == weights}
        seen = (score.images_seen for score in found.values() if score.images_seen is not None)
        known = [found[direction].figures if direction in found else {} for direction in ways]
        figures = [figure_cell(name, each.get(name)) for each in known for name in SHOWN]
        yield [name, weights or "", *figures, f"{next(seen, run.images):,}", speed, features]
