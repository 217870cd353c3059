"""The facts about the pictures of a folder: one row of numbers for each file, collected while files are decoded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from cyclegan.check.finding import EXAMPLES, Example
from cyclegan.check.layout import Place
from cyclegan.check.look import DEPTHS, KINDS, ROW, Look, Marks, look
from cyclegan.data.listing import split_suffix
from cyclegan.util.evenly import evenly
from cyclegan.util.prefetch import prefetch
from cyclegan.util.text import shown

CLOSELY = 500
"""Number of pictures of a folder, evenly spaced, whose detail and values are measured."""

QUICK = 200
"""Number of pictures of a folder, evenly spaced, that a quick check decodes."""

REASONS = 100
"""Number of unreadable files whose reasons are kept."""

FLAT = 0.01
"""Share of the range of values below whose standard deviation a picture is flat."""

PERCENTILES = (0.1, 50.0, 99.9)

Rows: TypeAlias = npt.NDArray[Any]
"""An array of `ROW`."""


class Spread(NamedTuple):
    """The distribution of a number over pictures."""

    lowest: float
    median: float
    highest: float


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The pictures of a folder that were looked at, a row for each."""

    place: Place
    rows: Rows
    looked_at: npt.NDArray[np.int64]
    """The index of the file of each row."""
    reasons: dict[int, str]
    """Why files cannot be read, by row; of the first ones only."""
    values: npt.NDArray[np.float32]
    """Values of some of the pictures, in the units of the files."""
    window: tuple[float, float] | None
    """The values that all of these declare as black and white; None if they do not, or differ."""

    @cached_property
    def readable(self) -> npt.NDArray[np.bool_]:
        """Whether each row is that of a picture."""
        return ~self.marked(Marks.UNREADABLE)

    @cached_property
    def pictures(self) -> Rows:
        """The rows of pictures that can be read."""
        return self.rows[self.readable]

    @property
    def unreadable(self) -> int:
        """The number of files that were looked at and cannot be read."""
        return int((~self.readable).sum())

    @property
    def usual_depth(self) -> str:
        """The type of the values of most pictures."""
        return max(self.depths, key=self.depths.__getitem__)

    @property
    def depths(self) -> dict[str, int]:
        """The number of pictures of each type of values."""
        return _counted(self.pictures["depth"], DEPTHS)

    @property
    def kinds(self) -> dict[str, int]:
        """The number of pictures of each kind: grey, rgb, ..."""
        return _counted(self.pictures["kind"], KINDS)

    @property
    def channels(self) -> dict[int, int]:
        """The number of pictures with each number of channels."""
        return {int(value): number for value, number in Counter(self.pictures["channels"].tolist()).most_common()}

    @property
    def sizes(self) -> int:
        """The number of different sizes."""
        return len(np.unique(self.pictures[["width", "height"]]))

    @property
    def suffixes(self) -> dict[str, int]:
        """The number of files of each suffix."""
        return dict(Counter(split_suffix(name)[1].lower() for name in self.place.files.names).most_common())

    @cached_property
    def shorter(self) -> npt.NDArray[np.uint32]:
        """The shorter side of each picture, in pixels."""
        shorter: npt.NDArray[np.uint32] = np.minimum(self.pictures["width"], self.pictures["height"])
        return shorter

    @property
    def aspects(self) -> npt.NDArray[np.float64]:
        """Width divided by height, of each picture."""
        aspects: npt.NDArray[np.float64] = self.pictures["width"] / self.pictures["height"].astype(np.float64)
        return aspects

    @cached_property
    def details(self) -> npt.NDArray[np.float32]:
        """The finest detail of the pictures for which it is known."""
        details: npt.NDArray[np.float32] = self.pictures["detail"][np.isfinite(self.pictures["detail"])]
        return details

    @property
    def percentiles(self) -> tuple[float, ...]:
        """The `PERCENTILES` of the values."""
        return tuple(float(value) for value in np.percentile(self.values, PERCENTILES))

    @cached_property
    def flat(self) -> npt.NDArray[np.bool_]:
        """Whether each row is that of a picture of one colour."""
        if not len(self.pictures):
            return self.readable
        low, _, high = self.percentiles if self.usual_depth != "uint8" else (0.0, 127.5, 255.0)
        flat: npt.NDArray[np.bool_] = self.readable & (self.rows["spread"] <= FLAT * (high - low))
        return flat

    def marked(self, mark: Marks) -> npt.NDArray[np.bool_]:
        """Return whether each row has a mark."""
        return (self.rows["marks"] & np.uint8(mark)) > 0

    def examples(self, rows: npt.NDArray[Any]) -> tuple[Example, ...]:
        """Return the first files of some rows, given as indices or as booleans."""
        chosen = np.flatnonzero(rows) if rows.dtype == bool else rows
        return tuple(Example(told=self.name(row), files=(str(self.path(row)),)) for row in chosen[:EXAMPLES].tolist())

    def path(self, row: int) -> Path:
        """Return the file of a row."""
        return self.place.files[int(self.looked_at[row])]

    def name(self, row: int) -> str:
        """Return the folder and the name of the file of a row."""
        return f"{self.place.name}/{shown(self.path(row).relative_to(self.place.source.folder))}"


def gather(place: Place, *, quick: bool = False, report: Callable[[int], None] = lambda done: None) -> Facts:
    """Look at all files of a folder, or at `QUICK` of them, in threads; `report` is called with the number done."""
    total = len(place.files)
    looked_at = np.array(evenly(range(total), QUICK) if quick else range(total), np.int64)
    closely = set(evenly(looked_at.tolist(), CLOSELY))
    rows, reasons, values = np.zeros(len(looked_at), ROW), dict[int, str](), list[npt.NDArray[np.float32]]()
    windows = set[tuple[float, float] | None]()
    work = partial(_look_at, place, quick, closely)
    for row, found in enumerate(prefetch(work, looked_at, min(8, os.cpu_count() or 1))):
        if found.reason:
            rows[row]["marks"] = Marks.UNREADABLE
            if len(reasons) < REASONS:
                reasons[row] = found.reason
        else:
            rows[row] = found.row
        if found.values is not None:
            values.append(found.values)
            windows.add(found.window)
        report(row + 1)
    some = np.concatenate(values) if values else np.zeros(0, np.float32)
    window = windows.pop() if len(windows) == 1 else None
    return Facts(place=place, rows=rows, looked_at=looked_at, reasons=reasons, values=some, window=window)


def spread(values: npt.NDArray[Any]) -> Spread:
    """Return the lowest, the median and the highest of some numbers."""
    return Spread(*(round(float(value), 4) for value in (values.min(), np.median(values), values.max())))


def _look_at(place: Place, quick: bool, closely: set[int], index: int) -> Look:
    return look(place.source, place.files[index], near=not quick, closely=index in closely)


def _counted(codes: npt.NDArray[np.uint8], words: tuple[str, ...]) -> dict[str, int]:
    return {words[code]: number for code, number in Counter(codes.tolist()).most_common()}
