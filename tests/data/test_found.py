"""The format of a folder is found from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cyclegan.data.config import DomainConfig
from cyclegan.data.format import PictureFormat
from cyclegan.data.found import find_format
from cyclegan.data.sources import Source
from tests.deep import write_grey, write_tiles
from tests.pictures import dicom
from tests.tiny import write_pictures


def test_a_view_may_be_set_before_the_channels_are_known(tmp_path: Path) -> None:
    write_tiles(tmp_path / "tiles", 1)
    source = Source(tmp_path / "tiles")
    config = DomainConfig(view=(3, 2, 1))
    assert config.format.channels == 3 and find_format(config, source, source.find()).view == (3, 2, 1)


def write_float(path: Path, values: Any, **options: Any) -> None:
    tifffile.imwrite(path, np.asarray(values), metadata=None, **options)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (DomainConfig(), (-100.0, 1000.0)),
        (DomainConfig(range=(0, 500)), (0.0, 500.0)),
        (DomainConfig(range="percentiles"), (0.0, 10.0)),
    ],
)
def test_a_range_is_that_of_the_folder_unless_it_is_set(config: DomainConfig, expected: Any, tmp_path: Path) -> None:
    """One value in a thousand is odd: the percentiles leave it out."""
    values = np.tile(np.linspace(0, 10, 5000, dtype=np.float32), 4)
    values[:2] = -100, 1000
    write_float(tmp_path / "x.tif", values.reshape(100, 200))
    source = Source(tmp_path)
    found = find_format(config, source, source.find())
    assert found.depth == "float32" and found.range == pytest.approx(expected, abs=0.05)


def test_what_files_say_should_be_shown_is_shown(tmp_path: Path) -> None:
    """A slice in Hounsfield units, with the window for soft tissue: the range is that of its values."""
    values = np.linspace(-1000, 2000, 64, dtype=np.int16).reshape(8, 8)
    dicom(values, WindowCenter="40", WindowWidth="400")(tmp_path / "x.dcm")
    source = Source(tmp_path)
    found = find_format(DomainConfig(), source, source.find())
    assert (found.depth, found.range) == ("int16", (-1000, 2000))
    assert found.view_range == pytest.approx((-160, 240), abs=1)


def test_a_folder_of_grey_files_and_one_in_colour_is_in_colour(tmp_path: Path) -> None:
    write_grey(tmp_path / "grey", 3)
    write_pictures(tmp_path / "more", 1)
    source = Source(tmp_path)
    assert find_format(DomainConfig(), source, source.find()) == PictureFormat()


def test_a_folder_of_several_numbers_of_bands_is_refused_by_name(tmp_path: Path) -> None:
    write_tiles(tmp_path / "tiles", 3)
    tifffile.imwrite(tmp_path / "tiles" / "odd.tif", np.zeros((8, 8, 7), np.uint16), planarconfig="contig")
    source = Source(tmp_path / "tiles")
    with pytest.raises(ValueError, match=r"tiles: its pictures differ in channels: odd\.tif has 7, most have 4"):
        find_format(DomainConfig(), source, source.find())
