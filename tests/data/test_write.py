"""Outputs are what their format can store of the values, and say what their source says and still holds."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import tifffile
from PIL import ExifTags, Image

from cyclegan.data.codecs.icc import profile_of
from cyclegan.data.files import UnwritableImage
from cyclegan.data.picture import Kept
from cyclegan.data.read import read_picture
from cyclegan.data.stores import SUFFIXES, suffix_for
from cyclegan.data.write import Output, encoded
from tests.pictures import dicom


def ramp(kind: str, channels: int, width: int = 32, height: int = 24) -> np.ndarray:
    numbers = np.linspace(0, 1, width * height).reshape(height, width, 1).repeat(channels, axis=2)
    white = 1.0 if kind == "float32" else float(np.iinfo(kind).max)
    return (numbers * white).astype(kind)


def details() -> Kept:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.DateTime] = "Camera", "2020:01:01 00:00:00"
    shot = exif.get_ifd(ExifTags.IFD.Exif)
    shot[ExifTags.Base.ExifImageWidth], shot[ExifTags.Base.ISOSpeedRatings] = 999, 200
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    return Kept(exif=exif.tobytes(), dpi=(300.0, 150.0))


def again(data: bytes, path: Path) -> Any:
    path.write_bytes(data)
    return read_picture(path)


LOSSY = {".jpg": 3, ".webp": 6, ".avif": 6, ".heic": 4}
STORABLE = [
    (suffix, kind, channels)
    for suffix in (".png", ".tif", ".bmp", ".gif", ".ppm", ".jp2", ".tga", ".npy", ".dcm", *LOSSY)
    for kind in ("uint8", "uint16", "int16", "int32", "float32")
    for channels in (1, 3, 4, 9)
    if suffix_for(suffix, kind, channels) == suffix
]


@pytest.mark.parametrize(("suffix", "kind", "channels"), STORABLE)
def test_what_a_format_stores_reads_back(suffix: str, kind: str, channels: int, tmp_path: Path) -> None:
    values = ramp(kind, channels)
    path = tmp_path / f"x{suffix}"
    data = encoded(values, path)
    assert data == encoded(values, path)
    found = again(data, path).values
    if suffix == ".dcm" and kind == "float32":
        np.testing.assert_allclose(found, values, atol=1e-5)
        return
    assert found.dtype == kind
    allowed = LOSSY.get(suffix, 0) * (257 if kind == "uint16" else 1)
    np.testing.assert_allclose(found[..., :channels].astype(float), values, atol=allowed)


@pytest.mark.parametrize(
    ("suffix", "kind", "channels", "expected"),
    [
        (".JPG", "uint8", 3, ".JPG"),
        (".jpg", "uint16", 3, ".png"),
        (".jpg", "float32", 1, ".tif"),
        (".png", "uint8", 4, ".tif"),
        (".heic", "uint16", 3, ".heic"),
        (".dds", "uint8", 3, ".png"),
        (".dcm", "uint8", 3, ".dcm"),
        (".dcm", "int16", 1, ".dcm"),
        (".dcm", "uint16", 3, ".png"),
        (".npy", "float32", 12, ".npy"),
        ("", "uint8", 3, ".png"),
    ],
)
def test_the_suffix_of_the_source_is_kept_where_it_can_be(suffix: str, kind: str, channels: int, expected: str) -> None:
    assert suffix_for(suffix, kind, channels) == expected


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif", ".heic"])
@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_exif_is_kept_with_the_size_of_now(suffix: str, kind: str, tmp_path: Path) -> None:
    if suffix_for(suffix, kind, 3) != suffix:
        pytest.skip("stores 8 bits")
    found = again(encoded(ramp(kind, 3), tmp_path / f"x{suffix}", kept=details()), tmp_path / f"x{suffix}").kept
    exif = Image.Exif()
    exif.load(found.exif)
    shot = exif.get_ifd(ExifTags.IFD.Exif)
    assert exif[ExifTags.Base.Make] == "Camera"
    assert (shot[ExifTags.Base.ExifImageWidth], shot[ExifTags.Base.ISOSpeedRatings]) == (32, 200)
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
    if suffix in (".jpg", ".png", ".tif"):
        np.testing.assert_allclose(found.dpi, (300, 150), rtol=1e-4)


def test_strip_leaves_out_what_the_source_says_but_not_what_colours_mean(tmp_path: Path) -> None:
    values = ramp("uint8", 3)
    data = encoded(values, tmp_path / "x.jpg", kept=details(), space="display_p3", options=Output(strip=True))
    found = again(data, tmp_path / "x.jpg")
    assert (found.kept.exif, found.profile) == (None, profile_of("display_p3"))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif", ".heic", ".jp2"])
def test_outputs_say_which_colours_they_mean(suffix: str, channels: int, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    found = again(encoded(ramp("uint8", channels), path, space="adobe_rgb"), path)
    assert found.profile == profile_of("adobe_rgb", grey=found.kind == "grey")


def test_quality_is_that_of_the_option(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for suffix in (".jpg", ".webp", ".avif", ".heic"):
        usual, low = (encoded(values, tmp_path / f"x{suffix}", options=Output(quality=q)) for q in (None, 20))
        assert len(low) < len(usual) / 2, suffix


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif", ".heic", ".jp2", ".tga"])
@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_is_kept_where_it_can_be(suffix: str, channels: int, tmp_path: Path) -> None:
    alpha, path = np.full((24, 32), 200, np.uint8), tmp_path / f"x{suffix}"
    found = again(encoded(ramp("uint8", channels), path, alpha=alpha), path)
    np.testing.assert_allclose(found.alpha.astype(int), alpha, atol=1)


def test_transparency_takes_the_depth_of_the_values(tmp_path: Path) -> None:
    alpha = np.full((24, 32), 128, np.uint8)
    for name, kind in (("x.png", "uint16"), ("x.tif", "float32"), ("x.tif", "uint16")):
        found = again(encoded(ramp(kind, 3), tmp_path / name, alpha=alpha), tmp_path / name)
        assert found.alpha[0, 0] == 128 * 257
    assert again(encoded(ramp("uint8", 3), tmp_path / "x.jpg", alpha=alpha), tmp_path / "x.jpg").alpha is None


GEO = (
    (33550, 12, 3, (10.0, 10.0, 0.0)),
    (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0)),
    (34735, 3, 8, (1, 1, 0, 1, 1025, 0, 1, 1)),
    (42112, 2, 0, "<GDALMetadata>\n</GDALMetadata>"),
)


def test_pixels_on_the_ground_have_the_size_of_now(tmp_path: Path) -> None:
    kept = Kept(tiff_tags=GEO, size=(64, 96))
    found = again(encoded(ramp("uint16", 4), tmp_path / "x.tif", kept=kept), tmp_path / "x.tif").kept
    tags = {tag[0]: tag[3] for tag in found.tiff_tags}
    assert tags[33550] == (20, 40, 0)
    assert tags[33922] == GEO[1][3]
    assert tags[34735] == GEO[2][3]


def test_coordinates_of_centres_move_with_them(tmp_path: Path) -> None:
    """The centre of the first of two joined pixels lies half a pixel further."""
    tags = (GEO[0], GEO[1], (34735, 3, 8, (1, 1, 0, 1, 1025, 0, 1, 2)))
    kept = Kept(tiff_tags=tags, size=(64, 48))
    found = again(encoded(ramp("uint16", 4), tmp_path / "x.tif", kept=kept), tmp_path / "x.tif").kept
    tie = {tag[0]: tag[3] for tag in found.tiff_tags}[33922]
    np.testing.assert_allclose(tie[:2], -0.25)  # tied: 5e5 there, so 5e5 + 0.25 * 20 at the first centre


def test_a_transformation_is_scaled(tmp_path: Path) -> None:
    matrix = (10.0, 0, 0, 5e5, 0, -10.0, 0, 4e6, 0, 0, 0, 0, 0, 0, 0, 1)
    kept = Kept(tiff_tags=((34264, 12, 16, matrix),), size=(64, 48))
    found = again(encoded(ramp("uint16", 4), tmp_path / "x.tif", kept=kept), tmp_path / "x.tif").kept
    assert found.tiff_tags[0][3] == (20, 0, 0, 5e5, 0, -20, 0, 4e6, 0, 0, 0, 0, 0, 0, 0, 1)


@pytest.mark.parametrize(("kind", "nodata", "expected"), [("int16", -9999, -9999), ("uint8", -9999, 0)])
def test_pixels_without_data_have_the_value_that_says_so(
    kind: str, nodata: float, expected: float, tmp_path: Path
) -> None:
    missing = np.zeros((24, 32), bool)
    missing[:3] = True
    data = encoded(ramp(kind, 1) // 2 + 1, tmp_path / "x.tif", kept=Kept(nodata=nodata), missing=missing)
    found = again(data, tmp_path / "x.tif")
    assert found.kept.nodata == expected
    np.testing.assert_array_equal(found.missing, missing)


def test_floats_without_data_are_nan(tmp_path: Path) -> None:
    missing = np.zeros((24, 32), bool)
    missing[:3] = True
    for name in ("x.tif", "x.npy"):
        found = again(encoded(ramp("float32", 1), tmp_path / name, missing=missing), tmp_path / name)
        np.testing.assert_array_equal(np.isnan(found.values[..., 0]), missing)


def test_a_tiff_tells_neither_the_time_nor_the_program(tmp_path: Path) -> None:
    with tifffile.TiffFile(io.BytesIO(encoded(ramp("uint8", 3), tmp_path / "x.tif"))) as file:
        assert not {305, 306} & {tag.code for tag in file.pages.first.tags}


def scanned(path: Path, **attributes: Any) -> Kept:
    stored = np.arange(48 * 64, dtype=np.int16).reshape(48, 64)
    place = {
        "PixelSpacing": [0.5, 0.5],
        "ImagePositionPatient": [0, 0, 9],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    }
    identity = {"PatientName": "A", "SeriesInstanceUID": "1.2.4", "StudyInstanceUID": "1.2.5"}
    dicom(stored, **place, **identity, WindowCenter=5, WindowWidth=9, **attributes)(path)
    return read_picture(path).kept


def test_a_slice_keeps_its_patient_and_its_place(tmp_path: Path) -> None:
    kept = scanned(tmp_path / "a.dcm")
    derived = pydicom.dcmread(io.BytesIO(encoded(ramp("int16", 1), tmp_path / "x.dcm", kept=kept)))
    assert derived.PatientName == "A"
    assert derived.StudyInstanceUID == "1.2.5"
    assert derived.SOPInstanceUID != "1.2.3"
    assert derived.SeriesInstanceUID != "1.2.4"
    assert derived.ImageType[0] == "DERIVED"
    assert [float(size) for size in derived.PixelSpacing] == [1, 1]
    assert [float(at) for at in derived.ImagePositionPatient] == [0.25, 0.25, 9]
    assert (derived.Rows, derived.Columns) == (24, 32)
    assert "WindowCenter" not in derived


def test_identifiers_follow_from_the_pixels(tmp_path: Path) -> None:
    kept = scanned(tmp_path / "a.dcm")
    other = ramp("int16", 1)
    other[0, 0] += 1
    datasets = [
        pydicom.dcmread(io.BytesIO(encoded(values, tmp_path / "x.dcm", kept=kept)))
        for values in (ramp("int16", 1), ramp("int16", 1), other)
    ]
    first, same, different = (dataset.SOPInstanceUID for dataset in datasets)
    assert first == same != different
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 1


@pytest.mark.parametrize(("slope", "intercept"), [("1", "-1024"), ("0.5", "0"), ("0.0123456789", "-7.25")])
@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_units_of_a_slice_hold(slope: str, intercept: str, kind: str, tmp_path: Path) -> None:
    kept = scanned(tmp_path / "a.dcm", RescaleSlope=slope, RescaleIntercept=intercept)
    values = np.linspace(0, 100, 24 * 32).reshape(24, 32, 1).astype(kind)
    found = again(encoded(values, tmp_path / "x.dcm", kept=kept), tmp_path / "x.dcm")
    np.testing.assert_allclose(found.values.astype(float), values, atol=float(slope) / 2 + 1e-4)


def test_strip_takes_the_patient_out_of_a_slice(tmp_path: Path) -> None:
    kept = scanned(tmp_path / "a.dcm")
    data = encoded(ramp("int16", 1), tmp_path / "x.dcm", kept=kept, options=Output(strip=True))
    stripped = pydicom.dcmread(io.BytesIO(data))
    assert not stripped.PatientName
    assert "PixelSpacing" not in stripped


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("x.jpg", ramp("uint16", 3), "JPEG does not store 3 channels of uint16; choose .png"),
        ("x.png", ramp("uint8", 5), "PNG does not store 5 channels of uint8; choose .tif"),
        ("x.jpg", np.zeros((2, 66_000, 3), np.uint8), "66,000 pixels on a side, JPEG allows 65,500"),
        ("x.webp", np.zeros((2, 17_000, 3), np.uint8), "WEBP allows 16,383"),
    ],
)
def test_what_a_format_cannot_store_is_refused_in_one_line(
    name: str, values: np.ndarray, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UnwritableImage, match=f"{name} cannot be written: ") as caught:
        encoded(values, tmp_path / name)
    assert reason in str(caught.value)


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.xyz has no known suffix; choose one of"):
        encoded(ramp("uint8", 3), tmp_path / "x.xyz")


def test_every_suffix_can_be_written(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        assert encoded(ramp("uint8", 3), tmp_path / f"x{suffix}"), suffix
