"""Scores as tables."""

from __future__ import annotations

from collections.abc import Iterator

from cyclegan.metrics.measured import UNTRANSLATED, Interval, Measured, Metrics


def score_table(metrics: Metrics) -> tuple[list[str], list[list[str]]]:
    """Heads and rows; columns that nobody measured are left out. A row of one cell is the heading of a direction."""
    rows: dict[str, dict[str, dict[str, str]]] = {}
    for score in metrics.scores:
        rows.setdefault(score.source, {}).setdefault(_name(score), dict(_cells(score)))
    measured = {head for group in rows.values() for row in group.values() for head in row}
    heads = [head for head in COLUMNS if head in measured]
    table: list[list[str]] = []
    for source, group in rows.items():
        table.append([{"A": "AtoB", "B": "BtoA"}.get(source, source)])
        table += [[name, *(row.get(head, "") for head in heads)] for name, row in group.items()]
    return ["", *heads], table


def with_interval(interval: Interval | None, form: str) -> str:
    """The figure, and on a second line its interval."""
    if interval is None:
        return ""
    value, low, high = (_number(number, form) for number in (interval.value, interval.low, interval.high))
    return f"{value}\n{low} to {high}"


def _number(value: float, form: str) -> str:
    """In the form that suits Inception's features; those of others can be thousands of times as large."""
    return f"{value:{form}}" if form == ".1f" or abs(value) < 10 else f"{value:.4g}"


COLUMNS = {
    "FID ↓": ("fid", "", ".1f"),
    "KID ↓": ("kid", "", ".4f"),
    "KID\nstd": ("kid_std", "", ".4f"),
    "precision ↑": ("precision", "", ".2f"),
    "recall ↑": ("recall", "", ".2f"),
    "structure ↓": ("structure", "", ".4f"),
    "SSIM ↑\ncycle": ("cycle", "ssim", ".3f"),
    "PSNR ↑\ncycle, dB": ("cycle", "psnr", ".1f"),
    "perceptual ↓\ncycle": ("cycle", "perceptual", ".3f"),
    "SSIM ↑\ntruth": ("truth", "ssim", ".3f"),
    "PSNR ↑\ntruth, dB": ("truth", "psnr", ".1f"),
    "images": ("images", "", ""),
    "real": ("real", "", ""),
}
"""Head of a column: field of a score, what of it, and how it is printed. Arrows point to the better."""


def _cells(score: Measured) -> Iterator[tuple[str, str]]:
    for head, (name, part, form) in COLUMNS.items():
        value = getattr(score, name)
        if isinstance(value, dict):
            value = value.get(part)
        if isinstance(value, Interval):
            yield head, with_interval(value, form)
        elif value is not None:
            yield head, f"{value:,}" if isinstance(value, int) else _number(value, form)


def _name(score: Measured) -> str:
    if score.what.endswith(UNTRANSLATED):
        return "untranslated"
    if score.weights is None:
        return score.what
    seen = f"after {score.images_seen:,} images" if score.images_seen is not None else ""
    return f"{score.weights}\n{seen}"
