"""metrics.json, read back: scores and the protocol that made them, as tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cyclegan.words import shown

UNTRANSLATED = " untranslated"


@dataclass(frozen=True)
class Interval:
    """A figure and where 95 % of its resamples lie."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Score:
    """Of one set of pictures; what was not measured is None."""

    what: str
    """`AtoB`, `A untranslated`, or a folder."""
    weights: str | None = None
    """`last`, `best`, or None where nothing was translated."""
    images_seen: int | None = None
    images: int
    real: int
    fid: Interval | None = None
    kid: Interval | None = None
    kid_std: float | None = None
    precision: Interval | None = None
    recall: Interval | None = None
    structure: float | None = None
    cycle: dict[str, float | None] | None = None
    truth: dict[str, float | None] | None = None

    @property
    def source(self) -> str:
        """Which pictures these are or were made of: `A` of AtoB and of `A untranslated`."""
        return self.what[0] if self.what in ("AtoB", "BtoA") or self.what.endswith(UNTRANSLATED) else self.what


@dataclass(frozen=True)
class Metrics:
    """What `cyclegan evaluate` wrote."""

    protocol: dict[str, Any]
    scores: list[Score]

    @property
    def features(self) -> str:
        """The network by whose eyes."""
        return str(self.protocol.get("features", "a network without a name"))

    def of(self, what: str, weights: str | None) -> Score | None:
        """The score of one direction by some weights."""
        return next((score for score in self.scores if (score.what, score.weights) == (what, weights)), None)


def read_metrics(path: Path) -> Metrics:
    """The figures in a file. Raises ValueError, in one line, when it is damaged or of another program."""
    try:
        return TypeAdapter(Metrics).validate_json(path.read_bytes())
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "its text"
        hint = f"it is not what `cyclegan evaluate` writes ({where})"
        raise ValueError(f"{shown(path)} is left out: {hint}; run `cyclegan evaluate {shown(path.parent)}`") from None


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
    usual = f"{value:{form}}"
    return usual if len(usual) <= 7 else f"{value:.4g}"


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


def _cells(score: Score) -> Iterator[tuple[str, str]]:
    for head, (name, part, form) in COLUMNS.items():
        value = getattr(score, name)
        if isinstance(value, dict):
            value = value.get(part)
        if isinstance(value, Interval):
            yield head, with_interval(value, form)
        elif value is not None:
            yield head, f"{value:,}" if isinstance(value, int) else _number(value, form)


def _name(score: Score) -> str:
    if score.what.endswith(UNTRANSLATED):
        return "untranslated"
    if score.weights is None:
        return score.what
    seen = f"after {score.images_seen:,} images" if score.images_seen is not None else ""
    return f"{score.weights}\n{seen}"
