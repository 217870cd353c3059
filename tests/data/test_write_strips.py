from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from cyclegan.data.codecs import stream_tiff
from cyclegan.data.files import UnwritableImage
from cyclegan.data.picture import FilePicture, Kept
from cyclegan.data.read import read_picture
from cyclegan.data.write import Output, encoded
from cyclegan.data.write_strips import streamed, strips_of
from cyclegan.util.atomic import write_whole
from tests.data.little import in_little_memory
from tests.data.test_strips import noise, same
from tests.deep import FORMATS, GEO, waves

SMALL = 3 * 40 * 8
"""Samples of a strip: eight rows of the pictures of the tests."""


def kept() -> Kept:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.DateTime] = "Camera", "2024:01:02 03:04:05"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.5
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    tags = tuple((code, 12, len(numbers), numbers) for code, numbers in GEO.items())
    return Kept(exif=exif.tobytes(), dpi=(300, 300), tiff_tags=tags, nodata=3, size=(20, 20))


def cut(values: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    return (values[top : top + rows] for top in range(0, len(values), rows))


@pytest.fixture(autouse=True)
def small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stream_jpeg", "stream_png"):
        monkeypatch.setattr(f"cyclegan.data.codecs.{name}.SAMPLES", SMALL)
    monkeypatch.setattr(stream_tiff, "TILE", 16)


def check_same(values: np.ndarray, path: Path, **said: Any) -> None:
    """Check that the file that is written by strips reads as the one that is encoded as a whole."""
    path.write_bytes(encoded(values, path, **said))
    whole = read_picture(path)
    write_whole(path, streamed(cut(values, 13), path, shape=values.shape, dtype=values.dtype, **said))
    found = read_picture(path)
    names = [field.name for field in fields(FilePicture)]
    assert {name for name in names if not same(getattr(found, name), getattr(whole, name))} == set()


@pytest.mark.parametrize("size", [(61, 40), (1, 1), (8, 8), (65, 3), (7, 90)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_every_size_reads_as_if_it_was_written_as_a_whole(
    suffix: str, channels: int, size: tuple[int, int], tmp_path: Path
) -> None:
    check_same(noise(*size, channels), tmp_path / f"x{suffix}")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("options", [Output(), Output(quality=60), Output(strip=True)], ids=str)
def test_all_that_is_said_is_kept(suffix: str, options: Output, tmp_path: Path) -> None:
    values, alpha = noise(50, 40, 3), noise(50, 40, 1, seed=1)[..., 0]
    missing = np.zeros((50, 40), np.bool_)
    missing[20:30] = True
    path = tmp_path / f"x{suffix}"
    check_same(values, path, kept=kept(), alpha=alpha, missing=missing, space="display_p3", options=options)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_and_alpha_are_written(suffix: str, channels: int, tmp_path: Path) -> None:
    values, alpha = noise(50, 40, channels, "uint16"), noise(50, 40, 1, seed=1)[..., 0]
    check_same(values, tmp_path / f"x{suffix}", alpha=alpha, space="srgb", kept=kept())


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_every_type_and_number_of_bands_is_written_as_tiff(dtype: str, tmp_path: Path) -> None:
    values = waves(0, -100, 100, channels=5, size=50).astype(dtype)
    check_same(values, tmp_path / "x.tif", kept=kept())


def test_a_bigtiff_keeps_exif_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_tiff, "MOST_BYTES", 100)
    path = tmp_path / "x.tif"
    values = noise(50, 40, 3)
    write_whole(path, streamed(cut(values, 13), path, shape=values.shape, dtype=np.uint8, kept=kept()))
    assert np.array_equal(read_picture(path).values, values)
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        assert file.is_bigtiff
        assert tags[34665].value["ExposureTime"] in (0.5, (1, 2))
        assert tags[33550].value == (5, 4, 0)  # metres of a pixel, of which there are more now
        assert tags[34853].value["GPSLatitudeRef"] == "N"


def test_a_jpeg_has_all_its_strips_in_other_decoders_too(tmp_path: Path) -> None:
    import imagecodecs

    values, file = noise(200, 40, 3), io.BytesIO()
    content = streamed(cut(values, 50), tmp_path / "x.jpg", shape=values.shape, dtype=np.uint8)
    assert not isinstance(content, bytes)
    content(file)
    data = file.getvalue()
    assert sum(data.count(bytes((0xFF, marker))) for marker in range(0xD0, 0xD8)) == 200 // 8 - 1
    assert np.array_equal(imagecodecs.jpeg8_decode(data), np.asarray(Image.open(file)))


@pytest.mark.parametrize("name", FORMATS)
def test_pixels_are_written_in_the_units_of_their_format(name: str, tmp_path: Path) -> None:
    from cyclegan.data.convert import values_of

    of, path = FORMATS[name], tmp_path / "x.tif"
    pixels: Any = np.random.default_rng(0).random((50, 40, of.channels)).astype(np.float32)
    pixels = (pixels * 255).round().astype(np.uint8) if of.in_bytes else pixels
    write_whole(path, streamed(strips_of(pixels, of), path, shape=pixels.shape, dtype=of.depth))
    assert np.array_equal(read_picture(path).values, values_of(pixels, of))


def test_other_formats_are_made_in_memory(tmp_path: Path) -> None:
    values, path = noise(50, 40, 3), tmp_path / "x.bmp"
    assert streamed(cut(values, 7), path, shape=values.shape, dtype=np.uint8) == encoded(values, path)


def test_what_a_format_does_not_store_is_refused_before_a_strip_is_taken(tmp_path: Path) -> None:
    strips: Iterator[np.ndarray] = iter([])
    with pytest.raises(UnwritableImage, match=r"x.jpg cannot be written: JPEG does not store 3 channels of uint16"):
        streamed(strips, tmp_path / "x.jpg", shape=(10, 10, 3), dtype=np.uint16)
    with pytest.raises(UnwritableImage, match="66,000 pixels on a side, JPEG allows 65,500"):
        streamed(strips, tmp_path / "x.jpg", shape=(10, 66_000, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="no known suffix"):
        streamed(strips, tmp_path / "x.xyz", shape=(10, 10, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_missing_rows_leave_no_file(suffix: str, tmp_path: Path) -> None:
    values, path = noise(50, 40, 3), tmp_path / f"x{suffix}"
    with pytest.raises(ValueError, match=r"rows .* to 49 are|there are .* rows"):
        write_whole(path, streamed(cut(values[:-1], 7), path, shape=values.shape, dtype=np.uint8))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="limits what Linux counts")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_large_picture_is_written_in_little_memory(suffix: str, tmp_path: Path) -> None:
    program = f"""
import numpy as np
from cyclegan.data.codecs import stream_tiff
from cyclegan.data.format import RGB_PICTURES
from cyclegan.data.mapped import mapped
from cyclegan.data.write_strips import streamed, strips_of
from cyclegan.util.atomic import write_whole
pixels = mapped((5000, 8000, 3), np.uint8, folder)
pixels[:, :, 0] = np.arange(8000) // 32
limit(110)
path = folder / "x{suffix}"
write_whole(path, streamed(strips_of(pixels, RGB_PICTURES), path, shape=pixels.shape, dtype="uint8"))
"""
    in_little_memory(program, tmp_path)
    with Image.open(tmp_path / f"x{suffix}") as image:
        assert image.size == (8000, 5000)
