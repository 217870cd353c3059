"""Scores as tables: for a page, and for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from cyclegan.metrics.result import FIGURES, UNTRANSLATED, Estimate, Evaluation, Score, measured

TABLES = (("real",), ("input",), ("truth",), ("style", "other styles"))
"""What the scores of each table of a terminal are against."""

ARROWS = {"lower": " ↓", "higher": " ↑", None: ""}
"""After the name of a score: the direction that is better."""


def score_table(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """Heads and rows. No column is empty. A row of one cell is the heading of a direction."""
    names = measured(evaluation.scores)
    rows: dict[str, dict[str, list[str]]] = {}
    for score in evaluation.scores:
        figures = [figure_cell(name, score.figures.get(name)) for name in names]
        cells = [*figures, f"{score.images:,}", f"{score.real:,}"]
        rows.setdefault(score.source, {}).setdefault(_name(score), cells)
    table: list[list[str]] = []
    for source, group in rows.items():
        table.append([{"A": "AtoB", "B": "BtoA"}.get(source, source)])
        table += [[name, *cells] for name, cells in group.items()]
    return ["", *map(_head, names), "images", "real"], table


def figure_cell(name: str, estimate: Estimate | None) -> str:
    """The score and, on a second line, its interval; empty if it was not measured."""
    if estimate is None:
        return ""
    figure = FIGURES[name]
    return "\n".join(filter(None, [figure.value(estimate), figure.interval(estimate)]))


def evaluation_table(evaluation: Evaluation) -> str:
    """The scores for a terminal: against real pictures, against inputs, the truth, styles; then warnings."""
    about = f"features: {evaluation.features}; size: {evaluation.protocol['size']}; 95 % intervals in brackets"
    tables = [_terminal_table(evaluation.scores, against) for against in TABLES]
    warnings = "\n".join(f"warning: {line}" for line in evaluation.warnings)
    return "\n\n".join(filter(None, [about, *tables, warnings]))


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines of columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _terminal_table(scores: Sequence[Score], against: Sequence[str]) -> str:
    """The scores against some kinds of pictures; empty if there are none."""
    names = [name for name in measured(scores) if FIGURES[name].against in against]
    rows = [["weights", "", "images", *(FIGURES[name].heading for name in names)]]
    for score in scores:
        if found := [name for name in names if name in score.figures]:
            cells = [FIGURES[name].told(score.figures[name]) if name in found else "" for name in names]
            images = f"{score.images} : {score.real}" if "real" in against else ""
            rows.append([_whose(score), score.what, images, *cells])
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]  # no empty column
    return aligned(list(zip(*columns, strict=True)))


def _head(name: str) -> str:
    figure = FIGURES[name]
    below = ", ".join(filter(None, [figure.of, figure.unit]))
    return "\n".join(filter(None, [figure.title + ARROWS[figure.better], below]))


def _whose(score: Score) -> str:
    if score.images_seen is None:
        return ""
    return f"{f'{score.weights}, ' if score.weights else ''}after {score.images_seen:,} images"


def _name(score: Score) -> str:
    if score.what.endswith(UNTRANSLATED):
        return "untranslated"
    if score.weights is None:
        return score.what
    seen = f"after {score.images_seen:,} images" if score.images_seen is not None else ""
    return f"{score.weights}\n{seen}"
