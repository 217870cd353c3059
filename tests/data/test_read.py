"""Every kind of picture is read upright, with all its bits and bands, in its own units, and with what it says."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import ExifTags, Image
from pydicom.data import get_testdata_file

from cyclegan.data.codecs.icc import profile_of
from cyclegan.data.files import UnreadableImage
from cyclegan.data.picture import FilePicture
from cyclegan.data.read import read_picture
from tests.pictures import DAMAGE, FORMATS, SUPERUSER, Kind, dicom, png, tiff, turned, upright


def ramp(kind: str, channels: int, width: int = 24, height: int = 16) -> np.ndarray:
    """Values of every size that a type has, different in each pixel and channel."""
    numbers = np.linspace(0, 1, width * height * channels).reshape(height, width, channels)
    limits = np.iinfo(kind) if np.dtype(kind).kind in "iu" else None
    return (numbers if limits is None else limits.min + numbers * (float(limits.max) - limits.min)).astype(kind)


def as_tiff(path: Path, values: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, values, metadata=None, **options)
    return path


def slice_of(path: Path, stored: np.ndarray, **attributes: Any) -> Path:
    dicom(stored, **attributes)(path)
    return path


@pytest.mark.parametrize("name", [name for name, kind in FORMATS.items() if not isinstance(kind.outcome, str)])
def test_every_new_kind_is_read(name: str, tmp_path: Path) -> None:
    FORMATS[name].make(tmp_path / FORMATS[name].name)
    picture = read_picture(tmp_path / FORMATS[name].name)
    assert picture.values.shape[1::-1] == FORMATS[name].size


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, kind in (DAMAGE | FORMATS).items()
        if isinstance(kind.outcome, str) and "of its domain" not in kind.outcome
    ],
)
def test_what_cannot_be_read_says_so_in_one_line(name: str, tmp_path: Path) -> None:
    kind: Kind = (DAMAGE | FORMATS)[name]
    if "named" in name and "2000" in name:
        pytest.skip("is read now")
    kind.make(tmp_path / kind.name)
    with pytest.raises(UnreadableImage) as caught:
        read_picture(tmp_path / kind.name)
    assert str(kind.outcome) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("kind", ["u1", "u2", "i1", "i2", "i4", "u4", "f2", "f4", "f8"])
def test_a_tiff_of_any_type_and_number_of_bands_keeps_its_values(kind: str, channels: int, tmp_path: Path) -> None:
    values = ramp(kind, channels)
    photometric = "rgb" if channels == 3 else "minisblack"
    layers = values if channels > 1 else values[..., 0]
    as_tiff(tmp_path / "x.tif", layers, photometric=photometric, planarconfig="contig" if channels > 1 else None)
    picture = read_picture(tmp_path / "x.tif")
    expected = {"i1": "int16", "u4": "float32", "f2": "float32", "f8": "float32"}.get(kind, np.dtype(kind).name)
    assert picture.values.dtype == expected
    np.testing.assert_allclose(picture.values, values, rtol=1e-7)
    assert picture.kind == {1: "grey", 3: "rgb"}.get(channels, "bands")


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw"},
        {"compression": "zlib", "predictor": True},
        {"compression": "zstd", "tile": (16, 16)},
        {"compression": "packbits"},
        {"compression": "lzma", "byteorder": ">"},
        {"bigtiff": True},
    ],
)
def test_every_way_to_store_a_tiff_is_read(options: dict[str, Any], tmp_path: Path) -> None:
    for values, config in ((ramp("u2", 3), "contig"), (np.moveaxis(ramp("u2", 3), 2, 0).copy(), "separate")):
        as_tiff(tmp_path / "x.tif", values, photometric="rgb", planarconfig=config, **options)
        np.testing.assert_array_equal(read_picture(tmp_path / "x.tif").values, ramp("u2", 3))


def test_near_infrared_is_a_band_and_transparency_is_not(tmp_path: Path) -> None:
    values = ramp("u1", 4)
    nir = read_picture(as_tiff(tmp_path / "nir.tif", values, photometric="rgb", extrasamples=["unspecified"]))
    alpha = read_picture(as_tiff(tmp_path / "alpha.tif", values, photometric="rgb", extrasamples=["unassalpha"]))
    assert (nir.kind, nir.values.shape[2], nir.alpha) == ("bands", 4, None)
    assert (alpha.kind, alpha.values.shape[2]) == ("rgb", 3)
    np.testing.assert_array_equal(alpha.alpha, values[..., 3])


@pytest.mark.parametrize("options", [{"ome": True}, {"imagej": True}], ids=["ome", "imagej"])
@pytest.mark.parametrize(("axes", "channels"), [("CYX", 5), ("ZYX", 1)])
def test_pages_are_channels_only_where_the_file_says_so(
    options: dict[str, bool], axes: str, channels: int, tmp_path: Path
) -> None:
    values = ramp("u2", 5)
    pages = np.moveaxis(values, 2, 0).copy()
    tifffile.imwrite(tmp_path / "x.tif", pages, photometric="minisblack", metadata={"axes": axes}, **options)
    np.testing.assert_array_equal(read_picture(tmp_path / "x.tif").values, values[..., :channels])


def test_colours_that_were_multiplied_with_alpha_are_divided_again(tmp_path: Path) -> None:
    values = np.full((4, 4, 4), (100, 50, 0, 128), np.uint8)
    picture = read_picture(as_tiff(tmp_path / "x.tif", values, photometric="rgb", extrasamples=["assocalpha"]))
    assert picture.values[0, 0].tolist() == [199, 100, 0]


@pytest.mark.parametrize(("kind", "white"), [("<u2", 65535), ("<u1", 255)])
def test_a_tiff_whose_zero_is_white_is_inverted(kind: str, white: int, tmp_path: Path) -> None:
    tiff(kind, 7, photometric=0)(tmp_path / "x.tif")
    assert read_picture(tmp_path / "x.tif").values[0, 0, 0] == white - 7


def test_pixels_without_data_are_missing(tmp_path: Path) -> None:
    values = ramp("f4", 1)[..., 0]
    values[:4] = -9999
    picture = read_picture(as_tiff(tmp_path / "x.tif", values, extratags=[(42113, 2, 0, "-9999", True)]))
    assert picture.kept.nodata == -9999
    assert picture.missing is not None
    assert picture.missing.sum() == 4 * 24


def test_what_a_geotiff_says_is_kept_but_not_its_statistics(tmp_path: Path) -> None:
    metadata = (
        '<GDALMetadata>\n  <Item name="STATISTICS_MEAN" sample="0">7</Item>\n  <Item name="A">b</Item>\n</GDALMetadata>'
    )
    tags = [(33550, 12, 3, (10.0, 10.0, 0.0), True), (33922, 12, 6, (0.0, 0, 0, 5e5, 4e6, 0), True)]
    as_tiff(
        tmp_path / "x.tif", ramp("u2", 4), photometric="minisblack", extratags=[*tags, (42112, 2, 0, metadata, True)]
    )
    kept = {tag[0]: tag[3] for tag in read_picture(tmp_path / "x.tif").kept.tiff_tags}
    assert kept[33550] == (10.0, 10.0, 0.0)
    assert kept[33922][3:5] == (5e5, 4e6)
    assert "STATISTICS" not in kept[42112]
    assert '<Item name="A">b</Item>' in kept[42112]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "encode",
    [
        imagecodecs.png_encode,
        lambda values: imagecodecs.jpeg2k_encode(values, level=0, codecformat="jp2"),
        lambda values: f"P{6 if values.ndim == 3 else 5} 24 16 65535\n".encode() + values.astype(">u2").tobytes(),
    ],
    ids=["png", "jp2", "ppm"],
)
def test_all_sixteen_bits_are_read(encode: Callable[[np.ndarray], bytes], channels: int, tmp_path: Path) -> None:
    values = ramp("u2", channels)
    (tmp_path / "x").write_bytes(encode(values if channels == 3 else values[..., 0].copy()))
    np.testing.assert_array_equal(read_picture(tmp_path / "x").values, values)


def test_white_of_ten_and_twelve_bits_is_white_in_colours(tmp_path: Path) -> None:
    white = np.full((16, 16, 3), 1023, np.uint16)
    (tmp_path / "x.avif").write_bytes(imagecodecs.avif_encode(white, level=100, bitspersample=10))
    (tmp_path / "x.ppm").write_bytes(b"P6 16 16 1023\n" + white.astype(">u2").tobytes())
    twelve = white * 4 + 3
    (tmp_path / "x.jp2").write_bytes(imagecodecs.jpeg2k_encode(twelve, level=0, bitspersample=12, codecformat="jp2"))
    pillow_heif.encode("RGB;16", (16, 16), (white * 64 + 63).tobytes(), tmp_path / "x.heic", quality=-1, chroma=444)
    for name in ("x.avif", "x.ppm", "x.jp2", "x.heic"):
        values = read_picture(tmp_path / name).values
        assert values.dtype == np.uint16, name
        assert values.min() >= 65400, name


def test_grey_of_twelve_bits_is_a_measurement_whose_white_is_told(tmp_path: Path) -> None:
    grey = np.full((16, 16), 4095, np.uint16)
    (tmp_path / "x.jp2").write_bytes(imagecodecs.jpeg2k_encode(grey, level=0, bitspersample=12, codecformat="jp2"))
    picture = read_picture(tmp_path / "x.jp2")
    assert (picture.values.max(), picture.window) == (4095, (0, 4095))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif", "x.avif"])
def test_orientation_is_applied_and_reset(orientation: int, name: str, tmp_path: Path) -> None:
    turned(orientation)(tmp_path / name)
    picture = read_picture(tmp_path / name)
    np.testing.assert_allclose(np.broadcast_to(picture.values, (32, 48, 3)).astype(int), upright(), atol=12)
    if picture.kept.exif is not None:
        exif = Image.Exif()
        exif.load(picture.kept.exif)
        assert exif[ExifTags.Base.Orientation] == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_heic_is_turned_once(orientation: int, tmp_path: Path) -> None:
    """Phones state the rotation twice, for libheif and in EXIF."""
    turned(orientation)(tmp_path / "x.png")
    stored = Image.open(tmp_path / "x.png")
    said, pixels = stored.getexif().tobytes(), stored.convert("RGB").tobytes()
    pillow_heif.encode("RGB", stored.size, pixels, tmp_path / "x.heic", quality=-1, chroma=444, exif=said)
    picture = read_picture(tmp_path / "x.heic")
    np.testing.assert_allclose(picture.values.astype(int), upright(), atol=12)


def test_exif_is_kept_without_its_thumbnail(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = (1, 60)
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    Image.new("RGB", (8, 8)).save(tmp_path / "x.jpg", exif=exif, dpi=(300, 150))
    kept = read_picture(tmp_path / "x.jpg").kept
    found = Image.Exif()
    found.load(kept.exif or b"")
    assert (found[ExifTags.Base.Make], found.get_ifd(ExifTags.IFD.GPSInfo)[1]) == ("Camera", "N")
    assert ExifTags.Base.ExposureTime in found.get_ifd(ExifTags.IFD.Exif)
    assert kept.dpi == (300, 150)


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif", "x.avif"])
def test_the_embedded_profile_is_returned(name: str, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / name, icc_profile=profile_of("display_p3"))
    assert read_picture(tmp_path / name).profile == profile_of("display_p3")


def test_a_camera_that_writes_adobe_rgb_without_a_profile_is_understood(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: "R03"}
    Image.new("RGB", (8, 8)).save(tmp_path / "x.jpg", exif=exif)
    assert read_picture(tmp_path / "x.jpg").profile == profile_of("adobe_rgb")


@pytest.mark.parametrize(("at_least", "size"), [(None, 512), (256, 256), (129, 256), (128, 128), (10, 64), (600, 512)])
def test_large_jpegs_are_reduced_while_they_are_decoded(at_least: int | None, size: int, tmp_path: Path) -> None:
    Image.new("RGB", (1024, 512)).save(tmp_path / "x.jpg")
    assert min(read_picture(tmp_path / "x.jpg", at_least=at_least).values.shape[:2]) == size


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "i4", "f4", "f8", ">u2", "?"])
def test_arrays_keep_their_values(kind: str, tmp_path: Path) -> None:
    values = ramp("u1", 5) > 100 if kind == "?" else ramp(kind, 5)
    np.save(tmp_path / "x.npy", values)
    picture = read_picture(tmp_path / "x.npy")
    np.testing.assert_allclose(picture.values, values * 255 if kind == "?" else values, rtol=1e-7)
    assert picture.kind == "bands"


@pytest.mark.parametrize(("shape", "kind"), [((8, 8), "grey"), ((8, 8, 1), "grey"), ((8, 8, 3), "rgb")])
def test_arrays_of_one_and_three_channels_are_grey_and_colours(
    shape: tuple[int, ...], kind: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape, np.uint8))
    assert read_picture(tmp_path / "x.npy").kind == kind


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((3, 100, 100)), "move the channels to the end"),
        (np.zeros(9), "is not (height, width)"),
        (np.zeros((0, 9)), "no pixels"),
        (np.array([[None]]), "Python objects"),
        (np.zeros((4, 4), complex), "not real numbers"),
        (np.full((4, 4), np.nan), "no finite value"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, reason: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(UnreadableImage) as caught:
        read_picture(tmp_path / "x.npy")
    assert reason in str(caught.value)


def test_a_forged_array_takes_no_memory(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
    (tmp_path / "x.npy").write_bytes(file.getvalue())
    with pytest.raises(UnreadableImage, match="1,000,000,000,000 pixels"):
        read_picture(tmp_path / "x.npy")


def test_a_slice_is_read_in_hounsfield_units(tmp_path: Path) -> None:
    stored = np.array([[0, 1024], [3071, 4095]], np.uint16)
    scale = {"RescaleSlope": 1, "RescaleIntercept": -1024, "BitsStored": 12, "HighBit": 11}
    picture = read_picture(slice_of(tmp_path / "x", stored, **scale, WindowCenter=40, WindowWidth=400))
    assert picture.values.dtype == np.int16
    assert picture.values[..., 0].tolist() == [[-1024, 0], [2047, 3071]]
    assert picture.window == (-160, 239)


def test_a_fractional_slope_gives_floats(tmp_path: Path) -> None:
    picture = read_picture(
        slice_of(tmp_path / "x", np.array([[3]], np.uint16), RescaleSlope="0.5", RescaleIntercept="1")
    )
    assert picture.values.dtype == np.float32
    assert picture.values.item() == 2.5


def test_larger_is_brighter_in_every_slice(tmp_path: Path) -> None:
    attributes = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "WindowCenter": 100, "WindowWidth": 201}
    picture = read_picture(slice_of(tmp_path / "x", np.array([[0, 4095]], np.uint16), **attributes))
    assert picture.values[..., 0].tolist() == [[4095, 0]]
    assert picture.window == (4095 - 199.5, 4095 + 0.5)


def test_what_the_scanner_does_not_see_is_missing(tmp_path: Path) -> None:
    stored = np.array([[-2000, 5]], np.int16)
    picture = read_picture(slice_of(tmp_path / "x", stored, PixelPaddingValue=-2000))
    assert picture.missing is not None
    assert picture.missing.tolist() == [[True, False]]


@pytest.mark.parametrize(
    "name", ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_expb"]
)
def test_every_compression_of_a_slice_gives_the_same_values(name: str) -> None:
    plain, other = (str(get_testdata_file(f"{stem}.dcm", download=False)) for stem in ("MR_small", name))
    np.testing.assert_array_equal(read_picture(Path(other)).values, read_picture(Path(plain)).values)


def test_no_picture_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is killed when a file that it has mapped shrinks."""

    def fail(*arguments: object, **options: object) -> None:
        raise AssertionError("mapped")

    kinds = {name: kind for name, kind in FORMATS.items() if not isinstance(kind.outcome, str)}
    for name, kind in kinds.items():
        (tmp_path / name).mkdir()
        kind.make(tmp_path / name / kind.name)
    for mapper in ("PIL.Image.core.map_buffer", "os.lseek", "mmap.mmap", "numpy.memmap"):
        monkeypatch.setattr(mapper, fail)
    for name, kind in kinds.items():
        read_picture(tmp_path / name / kind.name)


def test_a_picture_travels_between_processes(tmp_path: Path) -> None:
    picture = read_picture(slice_of(tmp_path / "x", np.array([[0, 1]], np.uint16)))
    again: FilePicture = pickle.loads(pickle.dumps(picture))
    assert again.kept.dicom.SOPInstanceUID == "1.2.3"


def test_without_the_extra_a_slice_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slice_of(tmp_path / "x.dcm", np.array([[0, 1]], np.uint16))
    monkeypatch.setitem(sys.modules, "cyclegan.data.codecs.decode_dicom", None)
    monkeypatch.delattr("cyclegan.data.codecs.decode_dicom", raising=False)
    with pytest.raises(UnreadableImage, match=r"pip install 'cyclegan\[dicom\]'"):
        read_picture(tmp_path / "x.dcm")


@pytest.mark.skipif(SUPERUSER, reason="the superuser may read everything")
def test_a_forbidden_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(1, 1, 8, 0, b"\0\0"))
    (tmp_path / "x.png").chmod(0)
    with pytest.raises(UnreadableImage, match="Permission denied"):
        read_picture(tmp_path / "x.png")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")  # as untouched.py does
@pytest.mark.parametrize("seed", range(20))
def test_damaged_files_raise_one_error(seed: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(seed)
    for name, kind in FORMATS.items():
        if kind.size != (8, 8) or isinstance(kind.outcome, str):
            continue
        kind.make(tmp_path / kind.name)
        data = bytearray((tmp_path / kind.name).read_bytes())
        for at in generator.integers(0, len(data), 4):
            data[at] ^= 1 << int(generator.integers(8))
        (tmp_path / kind.name).write_bytes(data[: int(generator.integers(len(data) // 2, len(data) + 1))])
        try:
            picture = read_picture(tmp_path / kind.name)
        except UnreadableImage as error:
            assert "\n" not in str(error), name
        else:
            assert picture.values.ndim == 3, name


def test_reading_needs_no_torch_and_no_pydicom() -> None:
    code = "import sys, cyclegan.data.read, cyclegan.data.colour, cyclegan.data.kinds, cyclegan.data.write; " \
        "assert not {'torch', 'pydicom', 'tifffile'} & set(sys.modules)"  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)
