"""Which sizes a picture is painted at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cyclegan.painting.levels import SMALLEST, levels_of
from cyclegan.painting.settings import Settings


def test_sizes_double_up_to_the_full_one_and_iterations_fall() -> None:
    levels = levels_of((768, 1024), replace(Settings(), iterations=300))
    assert [level.size for level in levels] == [(96, 128), (192, 256), (384, 512), (768, 1024)]
    counts = [level.iterations for level in levels]
    assert counts == sorted(counts, reverse=True) and sum(counts) == pytest.approx(300, abs=2)


def test_small_pictures_have_one_size() -> None:
    assert [level.size for level in levels_of((2 * SMALLEST - 1, 900), Settings())] == [(2 * SMALLEST - 1, 900)]


def test_the_number_of_sizes_can_be_limited() -> None:
    sizes = [level.size for level in levels_of((800, 801), replace(Settings(), levels=2))]
    assert sizes == [(400, 400), (800, 801)]
    assert len(levels_of((800, 801), replace(Settings(), levels=1))) == 1


def test_every_size_has_an_iteration() -> None:
    assert all(level.iterations for level in levels_of((3000, 4000), replace(Settings(), iterations=1)))
