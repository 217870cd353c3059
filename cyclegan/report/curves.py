"""Line charts: the logged values, their trend and the numbers at the axes, as positions in an SVG."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 300, 180
LEFT, RIGHT, TOP, BOTTOM = 54, 8, 8, 26
"""Margins, which hold the numbers at the axes."""
MOST_POINTS = 400
"""Points of one line; a page holds many lines."""
LEAST_RANGE = 0.2
"""Least height of a chart, as a share of its largest value, so that the noise of a constant stays small."""


class Point(NamedTuple):
    """A value, and the number of images seen before it was logged."""

    images: float
    value: float


class Frame(NamedTuple):
    """The range that a chart shows, in images and in values."""

    left: float
    right: float
    low: float
    high: float

    def place(self, point: Point) -> tuple[float, float]:
        """The position of a point in the SVG, to a tenth of a unit; y points down."""
        across = (point.images - self.left) / (self.right - self.left)
        up = (point.value - self.low) / (self.high - self.low)
        x, y = LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(y, 1)


class Tick(NamedTuple):
    """A number at an axis, and its position."""

    x: float
    y: float
    number: str


class Line(NamedTuple):
    """A curve as positions in the SVG, and the last value of its trend."""

    name: str
    end: str
    raw: list[tuple[float, float]]
    trend: list[tuple[float, float]]


class Chart(NamedTuple):
    """What templates/chart.html draws."""

    title: str
    unit: str
    lines: list[Line]
    upwards: list[Tick]
    across: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    right: int = WIDTH - RIGHT


def chart(
    title: str, lines: Mapping[str, Sequence[Point]], *, unit: str = "", includes: Sequence[float] = ()
) -> Chart | None:
    """One line for each name, on an axis that includes the values `includes`.

    None when there is nothing to see: no finite point, or only zeros.
    """
    finite = {name: points for name, given in lines.items() if (points := _finite(given))}
    if not any(point.value for points in finite.values() for point in points):
        return None
    frame = _frame([point for points in finite.values() for point in points], includes)
    drawn = [_line(name, points, frame) for name, points in finite.items()]
    values, images = ticks(frame.low, frame.high), ticks(frame.left, frame.right)
    upwards = [Tick(*frame.place(Point(frame.left, y)), label) for y, label in zip(values, labels(values), strict=True)]
    across = [Tick(*frame.place(Point(x, frame.low)), label) for x, label in zip(images, labels(images), strict=True)]
    return Chart(title, unit, drawn, upwards, across)


def smoothed(points: Sequence[Point]) -> list[Point]:
    """Each point as the mean of its neighbours, a twentieth of the curve on either side; a calm curve unchanged."""
    values = [point.value for point in points]
    travelled = sum(abs(after - before) for before, after in itertools.pairwise(values))
    if travelled <= 2 * (max(values) - min(values)):
        return list(points)
    reach = len(points) // 20
    for _ in range(2):  # the second pass rounds the corners of the first
        sums = [0.0, *itertools.accumulate(values)]
        parts = [(max(0, i - reach), min(len(values), i + reach + 1)) for i in range(len(values))]
        values = [(sums[end] - sums[start]) / (end - start) for start, end in parts]
    return [Point(point.images, value) for point, value in zip(points, values, strict=True)]


def thinned(points: Sequence[Point]) -> list[Point]:
    """About `MOST_POINTS` points at most: the lowest and the highest of each stretch, so that every spike stays."""
    if len(points) <= MOST_POINTS:
        return list(points)
    stretch = math.ceil(2 * len(points) / MOST_POINTS)
    kept = []
    for start in range(0, len(points), stretch):
        part = sorted(points[start : start + stretch], key=lambda point: point.value)
        kept += sorted({part[0], part[-1]})
    return kept


def ticks(low: float, high: float, number: int = 4) -> list[float]:
    """About `number` round numbers between low and high, in steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / number
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def labels(values: Sequence[float]) -> list[str]:
    """Numbers at an axis, with as many digits as it takes to tell each of them exactly."""
    digits = next(n for n in range(3, 13) if n == 12 or all(float(f"{value:.{n}g}") == value for value in values))
    return [short(value, digits) for value in values]


def short(value: float, digits: int = 3) -> str:
    """A number that fits at an axis: 2e-4, 1.25, 50k, 1.2M."""
    for unit, smallest, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e3, 1e4, "k")):
        if abs(value) >= smallest:
            return f"{value / unit:.{max(digits, 4)}g}{letter}"
    if 0 < abs(value) < 1e-3:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:.{max(digits, 4)}g}"


def _finite(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if math.isfinite(point.value)]


def _frame(points: Sequence[Point], includes: Sequence[float]) -> Frame:
    """All points and the values `includes`, with some room above and below, from image 0 on."""
    right = max(point.images for point in points)
    values = [point.value for point in points] + [*includes]
    low, high = min(values), max(values)
    if 0 <= low <= high / 3:
        low = 0
    lacking = LEAST_RANGE * max(abs(low), abs(high)) - (high - low)
    room = max(0.05 * (high - low), lacking / 2)
    bounds = {0, *includes}  # where an axis ends without room: nothing lies beyond
    return Frame(0, right or 1, low if low in bounds else low - room, high if high in includes else high + room)


def _line(name: str, points: Sequence[Point], frame: Frame) -> Line:
    trend = smoothed(points)
    raw, calm = ([frame.place(point) for point in thinned(line)] for line in (points, trend))
    return Line(name, short(trend[-1].value), raw, calm)
