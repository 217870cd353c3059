"""Values of files become those that networks see, and the reverse, for any number of channels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from cyclegan.data.config import DataConfig
from cyclegan.data.convert import Converted, convert, normalised
from cyclegan.data.enlarge import enlarging
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import FilePicture
from cyclegan.data.read import read_picture
from cyclegan.data.transforms import Augment
from cyclegan.data.write import encoded
from tests.deep import waves


def test_many_bands_are_scaled_cropped_and_enlarged() -> None:
    pixels = np.random.default_rng(0).random((40, 60, 13), np.float32)
    augment = DataConfig(size=16).build()
    made, _ = enlarging(partial(augment, key=0), augment.prepare(pixels))
    assert made.shape == (16, 16, 13) and 0 <= made.min() < made.max() <= 1
    larger, enlarged = enlarging(Augment([{"CenterCrop": {"height": 80, "width": 80}}]).prepare, pixels)
    assert enlarged and larger.shape == (80, 80, 13)


@pytest.mark.parametrize("space", ["srgb", "adobe_rgb"])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_2000_of_16_bits_keeps_values_and_profile(space: Any, channels: int, tmp_path: Path) -> None:
    values = waves(3, 0, 65_535, channels).astype(np.uint16)
    (tmp_path / "x.jp2").write_bytes(encoded(values, tmp_path / "x.jp2", space=space))
    np.testing.assert_array_equal(read_picture(tmp_path / "x.jp2").values, values)


@pytest.mark.parametrize("options", [{"ome": True}, {"imagej": True}, {}])
def test_what_describes_the_layout_of_a_tiff_is_not_kept(options: dict[str, Any], tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", waves(1, 0, 4000).astype(np.uint16)[..., 0], software="another", **options)
    picture = read_picture(tmp_path / "x.tif")
    (tmp_path / "y.tif").write_bytes(encoded(picture.values, tmp_path / "y.tif", kept=picture.kept))
    with tifffile.TiffFile(tmp_path / "y.tif") as written:
        assert not (written.is_ome or written.is_imagej or written.is_shaped)
        assert 305 not in written.pages.first.tags


GREY = FilePicture(values=np.full((2, 2, 1), 100, np.uint8), kind="grey")
COLOUR = FilePicture(values=np.full((2, 2, 3), (200, 100, 0), np.uint8), kind="rgb")
BANDS = FilePicture(values=np.arange(16, dtype=np.uint8).reshape(2, 2, 4), kind="bands")


def pixel(converted: Converted) -> list[float]:
    return [float(value) for value in converted.pixels[0, 0]]


def test_grey_and_colour_become_each_other() -> None:
    assert pixel(convert(GREY, PictureFormat())) == [100, 100, 100]
    assert pixel(convert(COLOUR, PictureFormat.of(1))) == [118]  # 0.299 x 200 + 0.587 x 100


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_bands_become_nothing_else(channels: int) -> None:
    with pytest.raises(ValueError, match=f"it has 4 channels, not the {channels} of its domain"):
        convert(BANDS, PictureFormat.of(channels))


def test_colour_with_more_bands_is_colour_where_that_is_wanted() -> None:
    assert pixel(convert(replace(BANDS, begins_with_rgb=True), PictureFormat())) == [0, 1, 2]


def test_parts_without_data_are_the_lowest_value() -> None:
    hole = replace(GREY, missing=np.array([[True, False], [False, False]]))
    assert convert(hole, replace(PictureFormat.of(1), depth="float32", range=(-5, 105))).pixels[..., 0].tolist() == [
        [0, pytest.approx(105 / 110)],
        [pytest.approx(105 / 110)] * 2,
    ]


def test_a_view_takes_three_bands_and_stretches_them() -> None:
    format_ = PictureFormat(channels=4, range=(0, 200), view=(4, 3, 2), view_range=(50, 150), colour="stored")
    images = normalised(torch.tensor([0.0, 0.25, 0.5, 0.75]).view(1, 4, 1, 1))  # 0, 50, 100, 150
    assert format_.as_rgb(images).flatten().tolist() == [1, 0, -1]
    assert format_.shown == "bands 4, 3, 2 as RGB, 50 to 150"
