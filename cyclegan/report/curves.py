"""What a line chart shows: what was logged, its trend, and numbers beside the axes, each in its place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 300, 180
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 8, 24
"""Room for the numbers at the axes."""
MOST_POINTS = 400
"""That a line is drawn with; a page holds many lines."""


class Point(NamedTuple):
    """A number as it was after so many images."""

    images: float
    value: float


class Frame(NamedTuple):
    """The part of the plane that a chart shows: from and to, in images and in values."""

    left: float
    right: float
    low: float
    high: float

    def place(self, point: Point) -> tuple[float, float]:
        """Where the point lies in the SVG, to a tenth; its y runs downwards."""
        across = (point.images - self.left) / (self.right - self.left)
        up = (point.value - self.low) / (self.high - self.low)
        x, y = LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(y, 1)


class Tick(NamedTuple):
    """A number beside an axis, and the place on the axis that it is for."""

    x: float
    y: float
    number: str


class Line(NamedTuple):
    """A curve as places in the SVG, and the number that its trend ends with."""

    name: str
    end: str
    raw: list[tuple[float, float]]
    trend: list[tuple[float, float]]


class Chart(NamedTuple):
    """What templates/chart.html draws."""

    title: str
    lines: list[Line]
    upwards: list[Tick]
    across: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    right: int = WIDTH - RIGHT


def chart(title: str, lines: Mapping[str, Sequence[Point]]) -> Chart | None:
    """One line for each name; None when no line has a finite point."""
    finite = {name: points for name, given in lines.items() if (points := _finite(given))}
    if not finite:
        return None
    frame = _frame([point for points in finite.values() for point in points])
    drawn = [_line(name, points, frame) for name, points in finite.items()]
    upwards = [Tick(*frame.place(Point(frame.left, value)), short(value)) for value in ticks(frame.low, frame.high)]
    across = [Tick(*frame.place(Point(images, frame.low)), short(images)) for images in ticks(frame.left, frame.right)]
    return Chart(title, drawn, upwards, across)


def smoothed(points: Sequence[Point]) -> list[Point]:
    """Each point as the mean of those around it, a twentieth of the curve to either side; a calm curve as it is."""
    values = [point.value for point in points]
    travelled = sum(abs(after - before) for before, after in itertools.pairwise(values))
    if travelled <= 2 * (max(values) - min(values)):
        return list(points)
    reach = len(points) // 20
    for _ in range(2):  # the second time rounds off the corners of the first
        sums = [0.0, *itertools.accumulate(values)]
        parts = [(max(0, i - reach), min(len(values), i + reach + 1)) for i in range(len(values))]
        values = [(sums[end] - sums[start]) / (end - start) for start, end in parts]
    return [Point(point.images, value) for point, value in zip(points, values, strict=True)]


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most about `MOST_POINTS` of them: the lowest and the highest of each stretch, so that no spike is lost."""
    if len(points) <= MOST_POINTS:
        return list(points)
    stretch = math.ceil(2 * len(points) / MOST_POINTS)
    kept = []
    for start in range(0, len(points), stretch):
        part = sorted(points[start : start + stretch], key=lambda point: point.value)
        kept += sorted({part[0], part[-1]})
    return kept


def ticks(low: float, high: float, number: int = 4) -> list[float]:
    """Round numbers between low and high, about so many: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / number
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def short(value: float) -> str:
    """A number as it fits beside an axis: 0.0002, 1.25, 50k, 1.2M."""
    for unit, smallest, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e3, 1e4, "k")):
        if abs(value) >= smallest:
            return f"{value / unit:.4g}{letter}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _finite(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if math.isfinite(point.value)]


def _frame(points: Sequence[Point]) -> Frame:
    """From the first image; a flat line gets room above and below."""
    right = max(point.images for point in points)
    low, high = min(point.value for point in points), max(point.value for point in points)
    room = 0.05 * (high - low) or 0.5 * abs(high) or 1.0
    return Frame(0, right or 1, 0 if 0 <= low <= high / 3 else low - room, high + room)


def _line(name: str, points: Sequence[Point], frame: Frame) -> Line:
    trend = smoothed(points)
    raw, calm = ([frame.place(point) for point in thinned(line)] for line in (points, trend))
    return Line(name, short(trend[-1].value), raw, calm)
