"""The figures of a run's metrics.json, checked, and those that tell of given weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from cyclegan.types import Direction
from cyclegan.words import key_of, mistake

LARGEST_FILE = 2**24
"""Bytes of a metrics.json."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**12)]


@dataclass(frozen=True)
class Interval:
    """A figure, and between what it lies."""

    value: Number
    low: Number
    high: Number


@dataclass(frozen=True)
class Row:
    """The figures of one set of pictures against the real ones."""

    what: str
    """`AtoB`, `BtoA`, `A untranslated` or `B untranslated`."""
    images: Count
    real: Count
    fid: Interval
    kid: Interval
    kid_std: Number
    precision: Interval
    recall: Interval
    weights: str | None = None
    """`last` or `best` of a run folder; None for another file."""
    images_seen: Count | None = None
    structure: Number | None = None
    cycle: dict[str, Number] | None = None
    """How close there and back comes: `ssim`, `psnr`, `perceptual`."""
    truth: dict[str, Number] | None = None
    """How close it comes to the true translation, where there is one."""


@dataclass(frozen=True)
class Metrics:
    """What `cyclegan evaluate` found, and how."""

    protocol: dict[str, Any]
    scores: list[Row]


def read_metrics(path: Path) -> Metrics:
    """The figures in a file. Raises FileNotFoundError, or ValueError, in one line, for a file that holds none."""
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path.name}: more than {LARGEST_FILE:,} bytes")
    try:
        return TypeAdapter(Metrics).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{path.name}: {mistake(key_of(first['loc']) or 'the file', first)}") from None


def rows_of(metrics: Metrics, direction: Direction, belongs: Callable[[Row], bool]) -> list[Row]:
    """The row of a direction that belongs to the weights, and of the pictures untranslated; none without the first."""
    translated = [row for row in metrics.scores if row.what == direction and belongs(row)]
    before = [row for row in metrics.scores if row.what == f"{direction[0]} untranslated"]
    return [*translated[:1], *before[:1]] if translated else []
