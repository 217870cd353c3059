"""Translations are written in a format that can hold them, with what their source says and still holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from cyclegan.data.write import Output
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.options import Options
from cyclegan.inference.translator import Translator
from tests.deep import FORMATS, waves, write_slices
from tests.tiny import write_pictures


def test_what_is_beyond_the_range_is_clipped_and_told(tmp_path: Path) -> None:
    write_slices(tmp_path / "in", 2)
    format_ = FORMATS["grey of 12 bits in 16"]
    translator = Translator(
        nn.Identity(), replace(format_, range=(0, 1000)), format_, device="cpu", precision="float32"
    )
    notes: list[str] = []
    translate_directory(translator, tmp_path / "in", tmp_path / "out", note=notes.append)
    told = "2 pictures have values outside the 0 to 1000 of the training, which were clipped"
    assert notes == [f"{told}: {tmp_path}/in/0.png, ..."]


def test_pixels_that_are_not_a_number_have_no_data(tmp_path: Path) -> None:
    values = waves(1, 0, 1).astype(np.float32)
    values[3, 4] = np.nan
    np.save(tmp_path / "x.npy", values)
    format_ = replace(FORMATS["floats"], channels=1)
    translator = Translator(nn.Identity(), format_, format_, device="cpu", precision="float32")
    translate_directory(translator, tmp_path / "x.npy", tmp_path / "out")
    np.testing.assert_array_equal(np.isnan(np.load(tmp_path / "out" / "x.npy")), np.isnan(values[..., 0]))


def test_transparency_and_metadata_of_the_source_are_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 6
    pixels = np.dstack([np.full((8, 12, 3), 99, np.uint8), np.tile(np.arange(0, 240, 20).astype(np.uint8), (8, 1))])
    Image.fromarray(pixels).save(tmp_path / "in" / "x.png", exif=exif, dpi=(300, 300))
    translator = Translator(nn.Identity(), device="cpu", precision="float32")
    for name, strip in (("kept", False), ("stripped", True)):
        translate_directory(translator, tmp_path / "in", tmp_path / name, options=Options(output=Output(strip=strip)))
        with Image.open(tmp_path / name / "x.png") as image:
            assert image.size == (8, 12) and image.mode == "RGBA"
            np.testing.assert_array_equal(np.asarray(image)[..., 3], np.rot90(pixels[..., 3], -1))
            made = image.getexif()
            assert (made.get(0x010F), made.get(0x0112, 1)) == (None if strip else "maker", 1)
            assert (round(image.info.get("dpi", (0, 0))[0]) == 300) is not strip


@pytest.mark.parametrize(
    ("suffix", "told"),
    [
        ("jpg", r"--output_format: \.jpg does not store 7 channels, uint16.*; \.tif does"),
        ("xyz", r"--output_format: expected one of .*, not xyz"),
    ],
)
def test_an_output_format_that_cannot_store_the_translations_is_refused(suffix: str, told: str, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 1)
    translator = Translator(nn.Identity(), target=FORMATS["seven bands"], device="cpu", precision="float32")
    with pytest.raises(ValueError, match=told):
        translate_directory(
            translator, tmp_path / "in", tmp_path / "out", options=Options(output=Output(format=suffix))
        )


def test_two_sources_of_one_output_are_refused(tmp_path: Path) -> None:

    (tmp_path / "in").mkdir()
    for suffix in ("png", "jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / "in" / f"x.{suffix}")
    translator = Translator(nn.Identity(), device="cpu", precision="float32")
    with pytest.raises(ValueError, match=r"x\.jpg and x\.png would both be written to x\.webp; rename one of them"):
        translate_directory(
            translator, tmp_path / "in", tmp_path / "out", options=Options(output=Output(format="webp"))
        )


def test_files_that_are_not_read_are_named(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 1)
    for name in ("a.DNG", "b.svg", "notes.txt", "Thumbs.db"):
        (tmp_path / "in" / name).write_bytes(b"?")
    translator, notes = Translator(nn.Identity(), device="cpu", precision="float32"), list[str]()
    translate_directory(translator, tmp_path / "in", tmp_path / "out", note=notes.append)
    assert notes == [
        f"{tmp_path}/in: 2 files are not read: 1 Adobe raw (.dng), develop them to TIFF; "
        "1 drawing (.svg), export them as PNG or TIFF"
    ]
    with pytest.raises(ValueError, match=r"a\.DNG: Adobe raw is not read; develop them to TIFF"):
        translate_directory(translator, tmp_path / "in" / "a.DNG", tmp_path / "out")
