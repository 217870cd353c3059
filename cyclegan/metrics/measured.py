"""metrics.json, read back and checked: scores, and the protocol that made them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from cyclegan.util.text import key_of, mistake, one_line, shown

LARGEST_FILE = 2**24
"""Bytes of a metrics.json."""

UNTRANSLATED = " untranslated"

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**12)]


@dataclass(frozen=True)
class Interval:
    """A figure, and where 95 % of its resamples lie."""

    value: Number
    low: Number
    high: Number


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The figures of one set of pictures against the real ones; what was not measured is None."""

    what: str
    """`AtoB`, `BtoA`, `A untranslated`, `B untranslated`, or a folder."""
    weights: str | None = None
    """`last` or `best` of a run folder; None for another file, and where nothing was translated."""
    images_seen: Count | None = None
    images: Count
    real: Count
    fid: Interval
    kid: Interval
    kid_std: Number
    precision: Interval
    recall: Interval
    structure: Number | None = None
    cycle: dict[str, Number] | None = None
    """How close there and back comes: `ssim`, `psnr`, `perceptual`."""
    truth: dict[str, Number] | None = None
    """How close it comes to the true translation: `ssim`, `psnr`."""
    warnings: list[str] = field(default_factory=list)
    """Why these figures mean little, a sentence each."""

    @property
    def source(self) -> str:
        """Which pictures these are or were made of: `A` of AtoB and of `A untranslated`."""
        return self.what[0] if self.what in ("AtoB", "BtoA") or self.what.endswith(UNTRANSLATED) else self.what


@dataclass(frozen=True)
class Metrics:
    """What `cyclegan evaluate` found, and how."""

    protocol: dict[str, Any]
    scores: list[Measured]

    @property
    def warnings(self) -> list[str]:
        """Why some of the figures mean little, a line each."""
        return warnings_of((score.what, score.warnings) for score in self.scores)

    @property
    def own(self) -> bool:
        """Whether these are of the run's own test pictures, at the size that it was trained at."""
        return self.protocol.get("own_test_pictures") is True

    @property
    def pictures(self) -> str:
        """What was scored: `the test pictures of horse2zebra at 256 x 256`."""
        split, data, size = (self.protocol.get(key) for key in ("split", "data", "size"))
        return (
            f"the {split or 'given'} pictures of {data or 'the folders in the protocol'} at {size or 'their own size'}"
        )

    @property
    def features(self) -> str:
        """The network by whose eyes."""
        return str(self.protocol.get("features", "a network without a name"))


def warnings_of(rows: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """A line for each warning, of any origin, that begins with all that it is about: `AtoB, BtoA: 9 pictures ...`."""
    about: dict[str, dict[str, None]] = {}
    for what, warnings in rows:
        for warning in warnings:
            about.setdefault(warning, {})[what] = None
    return [one_line(f"{', '.join(whats)}: {warning}") for warning, whats in about.items()]


def read_metrics(path: Path) -> Metrics:
    """The figures in a file. Raises ValueError, in one line, when it is damaged or of another program."""
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{shown(path)} is left out: more than {LARGEST_FILE:,} bytes")
    try:
        return TypeAdapter(Metrics).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        what = f"it is not what `cyclegan evaluate` writes ({mistake(key_of(first['loc']) or 'its text', first)})"
        again = f"run `cyclegan evaluate {shown(path.parent)}`"
        raise ValueError(f"{shown(path)} is left out: {what}; {again}") from None
