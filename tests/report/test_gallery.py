"""The contact sheet and the page of sliders."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan.data.sheet import CELL, GUTTER, HEADING, write_sheet
from cyclegan.report.gallery import write_gallery

TITLES = ("photo", "translated", "truth")


def picture(colour: str, size: int = 96) -> Image.Image:
    return Image.new("RGB", (size, size), colour)


def page(path: Path, name: str = "cat-1", title: str = "Paintings") -> str:
    row = (name, picture("red", 8), picture("green", 8), picture("blue", 8))
    facts = {"SSIM": "0.71", "trained for": "3 min <on 2 cores>"}
    return write_gallery([row, row], title=title, told=facts, path=path).read_text(encoding="utf-8")


@pytest.mark.parametrize(("size", "side"), [(64, 192), (96, 192), (128, 256), (256, 256)])
def test_sheet_enlarges_by_whole_numbers_and_has_a_gutter_around_each_picture(
    size: int, side: int, tmp_path: Path
) -> None:
    sheet = Image.open(write_sheet([[picture("red", size)] * 3] * 2, TITLES, tmp_path / "sheet.png"))
    assert sheet.size == (GUTTER + 3 * (side + GUTTER), HEADING + 2 * (side + GUTTER))


def test_sheet_shows_each_picture_in_its_place(tmp_path: Path) -> None:
    rows = [[picture("red"), picture("lime")], [picture("blue"), picture("white")]]
    sheet = np.asarray(Image.open(write_sheet(rows, TITLES[:2], tmp_path / "sheet.png")))
    left, top = GUTTER + CELL // 2, HEADING + CELL // 2
    colours = [
        [sheet[top + row * (CELL + GUTTER), left + column * (CELL + GUTTER)] for column in (0, 1)] for row in (0, 1)
    ]
    np.testing.assert_array_equal(colours, [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]])


def test_sheet_has_titles(tmp_path: Path) -> None:
    sheet = np.asarray(Image.open(write_sheet([[picture("red")]], ["photo"], tmp_path / "sheet.png")))
    assert len(np.unique(sheet[:HEADING].reshape(-1, 3), axis=0)) > 2


def test_sheet_names_the_row_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="row 2 has 1 pictures for 3 titles"):
        write_sheet([[picture("red")] * 3, [picture("red")]], TITLES, tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())


def test_gallery_needs_no_other_file_and_no_network(tmp_path: Path) -> None:
    html = page(tmp_path / "gallery.html")
    assert not re.search(r"https?://|//[a-z]|url\(|@import", re.sub(r"base64,[\w+/=]+", "", html))
    assert all(address.startswith("data:") for address in re.findall(r'(?:src|href)="([^"]*)"', html))


def test_gallery_holds_every_picture(tmp_path: Path) -> None:
    found = re.findall(r'src="data:image/webp;base64,([^"]+)"', page(tmp_path / "gallery.html"))
    colours = [np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))[0, 0] for data in found]
    np.testing.assert_allclose(np.stack(colours), [(255, 0, 0), (0, 128, 0), (0, 0, 255)] * 2, atol=3)


def test_gallery_describes_every_picture_and_names_every_slider(tmp_path: Path) -> None:
    html = page(tmp_path / "gallery.html")
    assert re.findall(r'alt="([^"]*)"', html)[:3] == ["cat-1: photo", "cat-1: translated", "cat-1: truth"]
    assert len(re.findall(r'<input type="range"[^>]* aria-label="cat-1: [^"]+"', html)) == 2


def test_gallery_shows_words_as_they_are(tmp_path: Path) -> None:
    html = page(tmp_path / "gallery.html", name='"cat" & <dog>', title="A < B, $5")
    assert "<h1>A &lt; B, $5</h1>" in html
    assert "<dt>trained for</dt><dd>3 min &lt;on 2 cores&gt;</dd>" in html
    assert "<dog>" not in html and '""cat' not in html


def test_files_appear_whole(tmp_path: Path) -> None:
    page(tmp_path / "made" / "gallery.html")
    write_sheet([[picture("red")]], ["photo"], tmp_path / "made" / "sheet.png")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["gallery.html", "sheet.png"]
