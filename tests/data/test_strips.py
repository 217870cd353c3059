from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from cyclegan.data.codecs.icc import profile_of
from cyclegan.data.codecs.limits import at_most
from cyclegan.data.convert import convert
from cyclegan.data.files import UnreadableImage
from cyclegan.data.format import PictureFormat
from cyclegan.data.mapped import NoRoom
from cyclegan.data.picture import FilePicture
from cyclegan.data.read import read_picture
from cyclegan.data.strips import Large, read_large
from tests.deep import GEO, waves
from tests.pictures import COLOURS, DAMAGE, DEEP, FORMATS, FRAMES, SIZES, Kind, turned

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")

RGB, GREY = PictureFormat(), PictureFormat.of(1)
DEEP_RGB = PictureFormat(depth="uint16", range=(0, 65_535))
FLOATS = PictureFormat(channels=2, depth="float32", range=(-0.5, 1.5), colour="stored", view=(1,))
TILES = PictureFormat(channels=4, depth="uint16", range=(0, 10_000), colour="stored", view=(4, 3, 2))
STRIP = 3 * 8 * 3
"""Samples of a strip: three rows of the small pictures of the tests."""

KINDS = COLOURS | DEEP | FRAMES | SIZES | DAMAGE | FORMATS


def noise(height: int, width: int, channels: int, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return one is not None and other is not None and one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)


def check_same(path: Path, to: PictureFormat, folder: Path, strip: int = STRIP) -> Large:
    """Check that a file read by strips is what it is as a whole."""
    large = read_large(path, to, folder, strip=strip)
    assert large is not None
    whole = read_picture(path)
    pixels, clipped = convert(whole, to)
    assert same(np.asarray(large.pixels), pixels)
    assert large.clipped == pytest.approx(clipped)
    others = {field.name for field in fields(FilePicture)} - {"values", "profile"}
    assert {name for name in others if not same(getattr(large.picture, name), getattr(whole, name))} == set()
    return large


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("to", [RGB, DEEP_RGB], ids=["8 bits", "16 bits"])
def test_every_kind_is_read_by_strips_as_a_whole_or_not_at_all(name: str, to: PictureFormat, tmp_path: Path) -> None:
    kind: Kind = KINDS[name]
    path = tmp_path / kind.name
    kind.make(path)
    try:
        whole, problem = convert(read_picture(path), to), ""
    except ValueError as error:
        whole, problem = None, str(error)
    if whole is None:
        try:
            assert read_large(path, to, tmp_path, strip=STRIP) is None
        except ValueError as error:
            assert path.name in str(error) or str(error) == problem
    elif read_large(path, to, tmp_path) is not None:
        check_same(path, to, tmp_path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_picture_is_upright(turn: int, suffix: str, tmp_path: Path) -> None:
    turned(turn)(path := tmp_path / f"x{suffix}")
    large = check_same(path, RGB, tmp_path, strip=7 * 48 * 3)
    assert large.pixels.shape == (32, 48, 3)
    assert large.picture.turned == (turn != 1)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2, "quality": 60}], ids=str)
def test_every_kind_of_jpeg_is_read_by_strips(mode: str, options: dict[str, Any], tmp_path: Path) -> None:
    values = noise(45, 61, len(Image.new(mode, (1, 1)).getbands()))
    Image.fromarray(values.squeeze(), mode).save(path := tmp_path / "x.jpg", **options)
    check_same(path, RGB, tmp_path, strip=61 * 3 * 4)


def test_a_profile_is_applied_and_everything_that_is_kept_is_there(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    path = tmp_path / "x.jpg"
    profile = profile_of("display_p3")
    Image.fromarray(noise(40, 30, 3)).save(path, exif=exif, dpi=(300, 300), icc_profile=profile, quality=95)
    large = check_same(path, RGB, tmp_path, strip=400)
    assert large.picture.kept.dpi == (300, 300)
    assert large.picture.kept.exif is not None
    assert check_same(path, PictureFormat(colour="display_p3"), tmp_path, strip=400).pixels.shape == (30, 40, 3)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_alpha_and_profile_are_read_by_strips(suffix: str, tmp_path: Path) -> None:
    import imagecodecs

    values, path = noise(37, 23, 4, "uint16"), tmp_path / f"x{suffix}"
    if suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(values))
    else:
        profile = profile_of("display_p3")
        tifffile.imwrite(path, values, photometric="rgb", extrasamples=["unassalpha"], iccprofile=profile)
    for to in (RGB, DEEP_RGB, GREY):
        assert check_same(path, to, tmp_path, strip=23 * 4 * 5).picture.alpha is not None


def test_exif_data_at_the_end_of_a_png_is_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(9, 5, 3)).save(path := tmp_path / "x.png", exif=exif)
    data = path.read_bytes()
    at = data.index(b"eXIf") - 4
    size = 12 + int.from_bytes(data[at : at + 4], "big")
    path.write_bytes(data[:at] + data[at + size : -12] + data[at : at + size] + data[-12:])
    assert check_same(path, RGB, tmp_path, strip=30).picture.turned


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"rowsperstrip": 7, "compression": "zlib", "predictor": True},
        {"tile": (16, 32), "compression": "zstd"},
        {"tile": (16, 16), "planarconfig": "separate", "compression": "lzw"},
        {"bigtiff": True, "byteorder": ">"},
    ],
    ids=["one strip", "strips", "tiles", "planes", "BigTIFF"],
)
def test_every_layout_of_tiff_is_read_by_strips(layout: dict[str, Any], tmp_path: Path) -> None:
    values, path = waves(0, 200, 9000, channels=4, size=50).round().astype(np.uint16), tmp_path / "x.tif"
    options: dict[str, Any] = {"photometric": "minisblack", "planarconfig": "contig"} | layout
    given = np.moveaxis(values, 2, 0) if options["planarconfig"] == "separate" else values
    tags = [(code, 12, len(numbers), numbers, True) for code, numbers in GEO.items()]
    tifffile.imwrite(path, given, extratags=[*tags, (42113, 2, 0, str(values[20, 20, 0]), True)], **options)
    kept = check_same(path, TILES, tmp_path, strip=50 * 4 * 7).picture.kept
    assert [code for code, *_ in kept.tiff_tags] == [33550, 33922, 42113]
    assert kept.size == (50, 50)


def jpeg_inside(path: Path, values: np.ndarray, **options: Any) -> None:
    tags = [(code, 12, len(numbers), numbers, True) for code, numbers in GEO.items()]
    tifffile.imwrite(path, values, compression="jpeg", metadata=None, extratags=tags, **options)


@pytest.mark.parametrize("layout", [{"tile": (16, 32)}, {"rowsperstrip": 16}, {}], ids=str)
@pytest.mark.parametrize("colours", ["rgb", "ycbcr", "minisblack"])
def test_jpeg_inside_tiff_is_read_by_strips(colours: str, layout: dict[str, Any], tmp_path: Path) -> None:
    values, path = waves(0, 0, 255, channels=3, size=50).astype(np.uint8), tmp_path / "x.tif"
    jpeg_inside(path, values if colours != "minisblack" else values[..., 0], photometric=colours, **layout)
    large = check_same(path, RGB, tmp_path, strip=50 * 3 * 7)
    assert [code for code, *_ in large.picture.kept.tiff_tags] == list(GEO)


def test_damaged_jpeg_inside_tiff_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    jpeg_inside(path, noise(50, 50, 3), photometric="rgb", tile=(16, 32))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\xff\xd9", b"\0\0"))
    with pytest.raises(UnreadableImage, match="truncated: JPEG data have no end"):
        read_large(path, RGB, tmp_path)
    frame = data.index(b"\xff\xc0") + 5
    path.write_bytes(data[:frame] + b"\xff\x00\xff\x00" + data[frame + 4 :])
    with pytest.raises(UnreadableImage, match="its JPEG data are 65,280 x 65,280 pixels in 32 x 16"):
        read_large(path, RGB, tmp_path)


def test_parts_without_data_are_missing(tmp_path: Path) -> None:
    values = waves(0, 10, 20, channels=2).astype(np.float32)
    values[30:] = -1
    values[5, 5] = np.nan
    path, plain = tmp_path / "x.tif", tmp_path / "plain.tif"
    tags = [(42113, 2, 0, "-1", True)]
    tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig", extratags=tags)
    tifffile.imwrite(plain, values, photometric="minisblack", planarconfig="contig")
    missing = check_same(path, FLOATS, tmp_path, strip=400).picture.missing
    assert missing is not None and missing.sum() == 400  # where a file says what has no data, NaN is a value
    missing = check_same(plain, FLOATS, tmp_path, strip=400).picture.missing
    assert missing is not None and missing.sum() == 1
    tifffile.imwrite(plain, np.full_like(values, np.nan), photometric="minisblack", planarconfig="contig")
    with pytest.raises(UnreadableImage, match=r"plain.tif cannot be read: it contains no finite value"):
        read_large(plain, FLOATS, tmp_path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(suffix: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    Image.fromarray(noise(64, 64, 3)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UnreadableImage, match=f"x{suffix} cannot be read: .*"):
        read_large(path, RGB, tmp_path)


def test_a_jpeg_without_its_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    thumbnail = b"Exif\0\0\xff\xd8\xff\xd9"  # its end is not that of the picture
    Image.fromarray(noise(64, 64, 3)).save(path, exif=thumbnail)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(UnreadableImage, match="truncated"):
        read_large(path, RGB, tmp_path)


def test_other_formats_and_unknown_levels_are_left_to_reading_as_a_whole(tmp_path: Path) -> None:
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "x.webp")
    tifffile.imwrite(tmp_path / "x.tif", np.ones((8, 8), np.float32))
    tifffile.imwrite(tmp_path / "y.tif", np.ones((8, 8), np.uint32))
    assert [read_large(path, RGB, tmp_path) for path in tmp_path.iterdir()] == [None] * 3


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(noise(8, 8, 3)).save(path := tmp_path / "x.png")
    monkeypatch.setattr("cyclegan.data.codecs.stored.size_of_file", lambda path: path.stat().st_size + 10)
    with pytest.raises(UnreadableImage, match="truncated while it is read"):
        read_large(path, RGB, tmp_path)


def test_colours_as_they_are_stay_where_they_were_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(noise(20, 20, 3)).save(path := tmp_path / "x.png")
    made: list[np.ndarray] = []

    def make(shape: tuple[int, ...], kind: np.dtype, folder: Path) -> np.ndarray:
        made.append(np.zeros(shape, kind))
        return made[-1]

    monkeypatch.setattr("cyclegan.data.strips.mapped", make)
    large = read_large(path, RGB, tmp_path)
    assert large is not None
    assert len(made) == 2  # the samples, and the file
    assert np.may_share_memory(large.pixels, made[0])


def test_another_number_of_channels_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64, 3)).save(path := tmp_path / "x.png")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="it has 3 channels, not the 4 of its domain"):
        read_large(path, TILES, tmp_path)


def test_a_bomb_is_refused_before_it_takes_memory_or_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyclegan.data.strips.mapped", None)
    Image.new("L", (300, 300)).save(path := tmp_path / "x.png")
    with at_most(80_000), pytest.raises(UnreadableImage, match="90,000 pixels exceed the limit of 80,000"):
        read_large(path, RGB, tmp_path)


def test_a_full_disk_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (30, 30)).save(path := tmp_path / "x.png")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 0}))
    with pytest.raises(NoRoom, match="no room for"):
        read_large(path, RGB, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="limits what Linux counts")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_large_picture_takes_little_memory(suffix: str, tmp_path: Path) -> None:
    from tests.data.little import in_little_memory

    rows = np.arange(4000, dtype=np.uint32)
    values = (rows[:, None] * rows[None] >> 8).astype(np.uint8)
    options: dict[str, Any] = {".tif": {"compression": "tiff_adobe_deflate"}, ".png": {"compress_level": 1}}
    Image.fromarray(np.repeat(values[..., None], 3, axis=2)).save(tmp_path / f"x{suffix}", **options.get(suffix, {}))
    program = f"""
from cyclegan.data.codecs import map_tiff
from cyclegan.data.format import PictureFormat
from cyclegan.data.strips import read_large
limit(80)
large = read_large(folder / "x{suffix}", PictureFormat(colour="adobe_rgb"), folder)
assert large.pixels.shape == (4000, 4000, 3)
"""
    in_little_memory(program, tmp_path)
