"""Tests of scaling in strips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan.data.fit import scaled
from cyclegan.data.picture import Pixels
from cyclegan.data.resample import BILINEAR, scaled_rows, scaled_strips, strips

SIZES = [
    ((64, 48), (131, 97)),
    ((200, 150), (20, 15)),
    ((201, 133), (31, 21)),
    ((7, 5), (70, 50)),
    ((1, 9), (5, 45)),
    ((500, 10), (1, 1)),
    ((40, 30), (40, 60)),
    ((40, 30), (40, 30)),
    ((30, 20), (90, 10)),
]
"""Sizes (H, W) before and after."""


def noise(size: tuple[int, int], channels: int, floats: bool) -> Pixels:
    """The hardest picture: the filter overshoots everywhere."""
    values = np.random.default_rng(0).random((*size, channels), np.float32)
    return values if floats else (values * 255).round().astype(np.uint8)


@pytest.mark.parametrize("floats", [False, True], ids=["bytes", "floats"])
@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_strips_equal_the_whole(before: tuple[int, int], after: tuple[int, int], channels: int, floats: bool) -> None:
    pixels = noise(before, channels, floats)
    whole = scaled_strips(pixels, after, rows=10**6)
    for rows in (1, 3, 16, None):
        assert np.array_equal(scaled_strips(pixels, after, rows=rows), whole)


@pytest.mark.parametrize("floats", [False, True], ids=["bytes", "floats"])
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_the_values_are_those_of_pillow(before: tuple[int, int], after: tuple[int, int], floats: bool) -> None:
    # First across, then down: Pillow 13 chooses the order by the shape, and rounds between both.
    plane = noise(before, 1, floats)
    across = Image.fromarray(plane[..., 0]).resize((after[1], before[0]), Image.Resampling.BICUBIC)
    down = np.asarray(across.resize(after[::-1], Image.Resampling.BICUBIC))
    made = scaled_strips(plane, after)[..., 0]
    assert np.abs(made - (down.clip(0, 1) if floats else down.astype(float))).max() < 1e-6


def test_a_smooth_picture_is_scaled_as_by_fit() -> None:
    y, x = np.meshgrid(range(90), range(60), indexing="ij")
    pixels = (np.stack([y + x, 2 * x, 200 - y], axis=2) % 256).astype(np.uint8)
    assert np.abs(scaled_strips(pixels, (31, 22)).astype(int) - scaled(pixels, (31, 22))).max() <= 1


def test_bilinear_is_pillows_too() -> None:
    plane = noise((33, 20), 1, False)
    wanted = Image.fromarray(plane[..., 0]).resize((20, 90), Image.Resampling.BILINEAR)
    assert np.array_equal(scaled_rows(plane, (90, 20), slice(0, 90), BILINEAR)[..., 0], np.asarray(wanted))


def test_a_mapped_file_is_scaled_into_a_mapped_file_and_only_near_rows_are_read(tmp_path: Path) -> None:
    pixels = noise((200, 30), 3, False)
    np.save(tmp_path / "whole.npy", pixels)
    out = np.lib.format.open_memmap(tmp_path / "made.npy", "w+", np.uint8, (50, 8, 3))
    assert scaled_strips(np.load(tmp_path / "whole.npy", mmap_mode="r"), (50, 8), out=out) is out
    assert np.array_equal(out, scaled_strips(pixels, (50, 8)))
    asked = list[slice]()

    class Watched:
        shape = pixels.shape

        def __getitem__(self, part: slice) -> Pixels:
            asked.append(part)
            return pixels[part]

    scaled_rows(Watched(), (50, 8), slice(20, 22))
    assert [(part.start, part.stop) for part in asked] == [(74, 94)]


def test_strips_cover_a_picture_once() -> None:
    assert [(part.start, part.stop) for part in strips((10, 5), 4)] == [(0, 4), (4, 8), (8, 10)]
    assert [(part.start, part.stop) for part in strips((3, 10**7))] == [(0, 1), (1, 2), (2, 3)]
