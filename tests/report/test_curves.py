"""The line charts of a report."""

import math
import re
from collections.abc import Mapping, Sequence

import pytest

from cyclegan.report.curves import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MOST_POINTS,
    RIGHT,
    TOP,
    WIDTH,
    Frame,
    Point,
    chart,
    labels,
    short,
    smoothed,
    thinned,
    ticks,
)
from cyclegan.report.page import TEMPLATES


def svg_of(title: str, lines: Mapping[str, Sequence[Point]]) -> str:
    template = TEMPLATES.from_string('{% from "chart.html" import chart %}{{ chart(drawn) }}')
    return template.render(drawn=chart(title, lines))


def lines_of(svg: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'<polyline class="trend" points="([^"]+)"', svg)
    return [[(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())] for line in found]


def test_a_frame_puts_its_corners_on_the_corners() -> None:
    frame = Frame(0, 200, 1.0, 3.0)
    assert frame.place(Point(0, 1.0)) == (LEFT, HEIGHT - BOTTOM)
    assert frame.place(Point(200, 3.0)) == (WIDTH - RIGHT, TOP)
    assert frame.place(Point(100, 2.0)) == pytest.approx(((LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2))


def test_lines_begin_and_end_where_their_points_are() -> None:
    rising, falling = [Point(0, 0.0), Point(10, 1.0)], [Point(5, 1.0), Point(10, 0.0)]
    [up, down] = lines_of(svg_of("loss", {"a": rising, "b": falling}))
    assert up[0][0] == LEFT and up[1][0] == down[1][0] == WIDTH - RIGHT
    assert up[0][1] == down[1][1] == HEIGHT - BOTTOM and up[1][1] == down[0][1]
    assert down[0][0] == pytest.approx((LEFT + WIDTH - RIGHT) / 2, abs=0.1)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.5, 1]),
        (0, 240, [0, 100, 200]),
        (0.13, 0.31, [0.15, 0.2, 0.25, 0.3]),
        (-3, 2.2, [-2, 0, 2]),
        (0, 3e-4, [0, 1e-4, 2e-4, 3e-4]),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (0.0002, "2e-4"),
        (0.001, "0.001"),
        (1.25, "1.25"),
        (5000, "5000"),
        (50_000, "50k"),
        (1.2e6, "1.2M"),
        (-3e9, "-3G"),
    ],
)
def test_numbers_are_short(value: float, expected: str) -> None:
    assert short(value) == expected


def test_what_is_not_finite_is_left_out() -> None:
    holes = [Point(0, 1.0), Point(1, math.nan), Point(2, math.inf), Point(3, 2.0)]
    [line] = lines_of(svg_of("loss", {"a": holes, "b": [Point(0, math.nan)]}))
    assert len(line) == 2
    assert chart("loss", {"a": [Point(0, math.nan)], "b": []}) is None


def test_a_single_point_is_a_dot_in_the_middle() -> None:
    svg = svg_of("kid", {"": [Point(100, 0.2)]})
    assert svg.count("<circle") == 1 and "<polyline" not in svg
    assert f'cx="{WIDTH - RIGHT:.1f}"' in svg and "nan" not in svg


@pytest.mark.parametrize("value", [1.2, -5.0, 1e-30, 1e30])
def test_a_flat_line_has_room_around_it(value: float) -> None:
    [line] = lines_of(svg_of("flat", {"": [Point(0, value), Point(9, value)]}))
    assert all(TOP <= y <= HEIGHT - BOTTOM for _, y in line)


def test_nothing_but_zeros_is_no_chart() -> None:
    assert chart("skipped steps", {"": [Point(0, 0.0), Point(9, 0.0)]}) is None


@pytest.mark.parametrize("values", [(1.136, 1.138), (0.9921, 0.9938), (12_341, 12_349), (2e-4, 3e-4), (523.0, 545.0)])
def test_the_numbers_at_an_axis_differ_and_are_exact(values: tuple[float, float]) -> None:
    steps = ticks(*values)
    told = labels(steps)
    assert len(set(told)) == len(told) > 1
    assert [float(label.replace("k", "e3")) for label in told] == steps


def test_noise_of_a_constant_stays_small() -> None:
    noisy = [Point(i, 1.14 + 0.001 * (-1) ** i) for i in range(9)]
    drawn = chart("memory", {"": noisy})
    assert drawn
    heights = [y for _, y in drawn.lines[0].raw]
    assert max(heights) - min(heights) < 0.02 * HEIGHT


def test_an_axis_ends_at_the_values_that_it_has_to_include() -> None:
    drawn = chart("accuracy", {"": [Point(0, 0.4), Point(9, 0.6)]}, unit="share", includes=(0, 1))
    assert drawn and drawn.unit == "share"
    assert [(tick.number, tick.y) for tick in drawn.upwards] == [("0", HEIGHT - BOTTOM), ("0.5", 81.0), ("1", TOP)]


def test_a_trend_is_calmer_than_its_points_and_keeps_their_mean() -> None:
    noisy = [Point(i, 1.0 + (-1) ** i) for i in range(200)]
    assert all(abs(point.value - 1) < 0.1 for point in smoothed(noisy))


def test_a_calm_curve_stays_as_it_is() -> None:
    rate = [Point(i, min(1.0, 2 - i / 50)) for i in range(100)]
    assert smoothed(rate) == rate


def test_thinning_keeps_every_spike_and_the_order() -> None:
    points = [Point(i, 100.0 if i in (777, 4321) else i % 7 / 7) for i in range(10_000)]
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS + 2 and kept == sorted(kept)
    assert sum(point.value == 100 for point in kept) == 2


def test_a_chart_tells_in_words_what_it_shows() -> None:
    svg = svg_of("<cycle>", {"a & b": [Point(0, 2.0), Point(9, 1.0)]})
    assert "<title>&lt;cycle&gt; over images seen: a &amp; b ends at 1</title>" in svg
    assert "<cycle>" not in svg
