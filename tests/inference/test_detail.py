"""Tests of bringing translations back to full size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cyclegan.data.fit import scaled
from cyclegan.data.picture import Pixels
from cyclegan.inference.detail import with_detail

SMALL = (20, 16)


def photograph(channels: int = 3, height: int = 80, width: int = 64) -> Pixels:
    """A picture of shapes with sharp edges and a fine texture, in bytes."""
    random = np.random.default_rng(0)
    blocks = random.uniform(0.2, 0.8, (height // 8, width // 8, channels)).repeat(8, 0).repeat(8, 1)
    return ((blocks + random.normal(0, 0.03, (height, width, 1))).clip(0, 1) * 255).round().astype(np.uint8)


def in_shares(pixels: Pixels) -> Pixels:
    return pixels.astype(np.float32) / np.float32(255)


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(np.float64) - other).mean())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_translation_that_changes_nothing_gives_nearly_the_source(channels: int) -> None:
    source = photograph(channels)
    small = scaled(source, SMALL)
    made = with_detail(source, small, small)
    assert difference(made, source) < 0.4 * difference(scaled(small, (80, 64)), source)


@pytest.mark.parametrize(
    "translate",
    [
        lambda small: 255 - small,
        lambda small: (small * 0.3).astype(np.uint8),
        lambda small: np.ascontiguousarray(small[..., [1, 2, 0]]),
    ],
    ids=["negative", "night", "other colours"],
)
def test_detail_follows_what_the_translation_does_to_colours(translate: Callable[[Pixels], Pixels]) -> None:
    source = photograph()
    small = scaled(source, SMALL)
    made, wanted = with_detail(source, small, translate(small)), translate(source)
    assert difference(made, wanted) < 0.4 * difference(scaled(translate(small), (80, 64)), wanted)


def test_the_source_does_not_show_through_an_unrelated_translation() -> None:
    source = photograph()
    small = scaled(source, SMALL)
    other = np.full_like(small, 99)
    assert difference(with_detail(source, small, other), np.full_like(source, 99)) < 0.01


def test_reduced_again_it_is_the_translation() -> None:
    source, random = photograph(), np.random.default_rng(1)
    small = scaled(source, SMALL)
    strokes = (small * 0.7 + random.uniform(0, 60, small.shape)).astype(np.uint8)
    assert difference(scaled(with_detail(source, small, strokes), SMALL), strokes) < 6


@pytest.mark.parametrize("shape", [(20, 16), (7, 5), (60, 48), (1, 1)])
def test_strips_equal_the_whole(shape: tuple[int, int]) -> None:
    source = photograph()
    small = scaled(source, shape)
    translated = in_shares(255 - small)
    whole = with_detail(source, small, translated, rows=10**6)
    for rows in (1, 7, 79, None):
        assert np.array_equal(with_detail(source, small, translated, rows=rows), whole)


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (6, 2), (3, 3)])
@pytest.mark.parametrize("floats", [False, True])
def test_the_result_has_the_type_and_channels_of_the_translation(before: int, after: int, floats: bool) -> None:
    source, translated = photograph(before), scaled(photograph(after), SMALL)
    translated = in_shares(translated) if floats else translated
    made = with_detail(source, scaled(source, SMALL), translated)
    assert made.shape == (80, 64, after)
    assert made.dtype == translated.dtype


def test_a_translation_at_full_size_stays_as_it_is() -> None:
    source = photograph()
    assert np.array_equal(with_detail(source, source, 255 - source), 255 - source)


def test_the_result_may_be_a_mapped_file(tmp_path: Path) -> None:
    source = photograph()
    small = scaled(source, SMALL)
    mapped = np.lib.format.open_memmap(tmp_path / "made.npy", "w+", source.dtype, source.shape)
    assert with_detail(source, small, 255 - small, out=mapped) is mapped
    assert np.array_equal(mapped, with_detail(source, small, 255 - small))
