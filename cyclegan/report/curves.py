"""Line charts as inline SVG: what was logged in faint, its trend on top, over the images seen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 300, 180
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 8, 24
"""Room for the numbers at the axes."""
COLOURS = 6
"""In style.css, `--line-0` and on; more lines begin anew."""
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
        """Where the point lies in the SVG, whose y runs downwards."""
        across = (point.images - self.left) / (self.right - self.left)
        up = (point.value - self.low) / (self.high - self.low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def chart(title: str, lines: Mapping[str, Sequence[Point]]) -> str:
    """A figure with one line for each name, its last value in the legend; "" when no line has a finite point."""
    finite = {name: points for name, given in lines.items() if (points := _finite(given))}
    if not finite:
        return ""
    frame = _frame([point for points in finite.values() for point in points])
    trends = {name: smoothed(points) for name, points in finite.items()}
    legend, drawn = [], []
    for i, (name, points) in enumerate(finite.items()):
        colour = f'style="--colour: var(--line-{i % COLOURS})"'
        legend.append(f"<i {colour}>{escape(name)} {short(trends[name][-1].value)}</i>")
        drawn.append(f"<g {colour}>{_line(points, frame, 'raw')}{_line(trends[name], frame, 'trend')}</g>")
    told = "; ".join(f"{name} ends at {short(points[-1].value)}" for name, points in trends.items())
    return f"""\
<figure class="chart"><figcaption><b>{escape(title)}</b><span>{"".join(legend)}</span></figcaption>
<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(f"{title} over images seen: {told}")}</title>
{_axes(frame)}
{"".join(drawn)}
</svg></figure>"""


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


def _axes(frame: Frame) -> str:
    parts = []
    for value in ticks(frame.low, frame.high):
        _, y = frame.place(Point(frame.left, value))
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>')
    for images in ticks(frame.left, frame.right):
        x, _ = frame.place(Point(images, frame.low))
        anchor = "end" if x > WIDTH - 30 else "middle"
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 5}" text-anchor="{anchor}">{short(images)}</text>')
    return "\n".join(parts)


def _line(points: Sequence[Point], frame: Frame, kind: str) -> str:
    places = [frame.place(point) for point in thinned(points)]
    if len(places) == 1:
        [(x, y)] = places
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' if kind == "trend" else ""
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
