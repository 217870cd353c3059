"""A folder can be iterated in batches more than once, and nothing in it is skipped silently."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from PIL import Image

from cyclegan.data.batches import BATCH, Pictures
from cyclegan.data.fit import Fit
from cyclegan.data.sources import Source
from tests.tiny import write_pictures


def test_a_folder_is_the_same_each_time_and_what_is_broken_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_pictures(tmp_path, BATCH + 3)[1].write_bytes(b"broken")
    pictures = Pictures(Source(tmp_path))
    with caplog.at_level(logging.WARNING):
        first, again = list(pictures), list(pictures)
    assert [len(batch) for batch in first] == [BATCH, 2] and all(map(torch.equal, first, again))
    assert len(caplog.messages) == 1 and "1.png" in caplog.messages[0] and len(pictures) == BATCH + 2


def test_pictures_are_fitted_to_height_and_width(tmp_path: Path) -> None:
    write_pictures(tmp_path, 2)
    [batch] = Pictures(Source(tmp_path), Fit((20, 30)))
    assert batch.shape == (2, 3, 20, 30) and batch.dtype == torch.uint8


def test_another_size_is_named_even_in_a_later_batch(tmp_path: Path) -> None:
    write_pictures(tmp_path, BATCH)
    Image.new("RGB", (50, 30)).save(tmp_path / "odd.png")
    with pytest.raises(ValueError, match=r"size for all, --size .* \(.*odd.png has 50 x 30 pixels, those before 40 x"):
        list(Pictures(Source(tmp_path)))


def test_partners_come_in_the_order_of_the_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", 12)
    write_pictures(tmp_path / "b" / "more", 12)
    (tmp_path / "a" / "3.png").write_bytes(b"broken")
    (tmp_path / "a" / "4.png").rename(tmp_path / "a" / "z.png")
    (tmp_path / "b" / "more" / "4.png").rename(tmp_path / "b" / "more" / "z.tif.png")
    pictures = Pictures(Source(tmp_path / "a"))
    seen = torch.cat(list(pictures))
    with pytest.raises(FileNotFoundError, match=r"b: no partner for .*a/0.png; every picture needs one"):
        pictures.partners(Source(tmp_path / "b"))
    (tmp_path / "b" / "more" / "z.tif.png").rename(tmp_path / "b" / "more" / "z.bmp")
    assert torch.equal(torch.cat(list(pictures.partners(Source(tmp_path / "b" / "more")))), seen)
