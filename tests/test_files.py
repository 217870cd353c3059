"""Any picture people have reads as upright 8-bit RGB; any other file gives one line; numbers survive the trip."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.images.files import (
    UnreadableImage,
    find_images,
    from_bytes,
    read_image,
    to_image,
    to_tensor,
    write_image,
)

Pixel = tuple[int, ...]
RED, BLUE, WHITE, BLACK, GREY = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128)


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG file written by hand, for kinds that Pillow reads but does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def rgb48_png(path: Path) -> None:
    path.write_bytes(png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 65535, 0, 0)))


def grey_alpha_32_png(path: Path) -> None:
    path.write_bytes(png(1, 1, 16, 4, b"\0" + struct.pack(">HH", 0x8080, 65535)))


def palette_with_clear_entry(path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(path, transparency=1)


def grey_with_clear_level(path: Path) -> None:
    Image.new("L", (8, 8), 7).save(path, transparency=7)


def two_frames(path: Path) -> None:
    Image.new("RGB", (8, 8), RED).save(path, save_all=True, append_images=[Image.new("RGB", (8, 8), BLUE)])


def gif_named_jpg(path: Path) -> None:
    Image.new("P", (8, 8), 0).save(path, format="GIF")


def sixteen_bit_ppm(path: Path) -> None:
    path.write_bytes(b"P6 1 1 65535\n" + struct.pack(">HHH", 65535, 0, 0))


def plain(mode: str, colour: float | Pixel) -> Callable[[Path], None]:
    return lambda path: Image.new(mode, (8, 8), colour).save(path)


KINDS: dict[str, tuple[str, Callable[[Path], None], Pixel]] = {
    "grey jpg": ("x.jpg", plain("L", 128), GREY),
    "colour jpg": ("x.jpeg", plain("RGB", RED), RED),
    "CMYK jpg": ("x.jpg", plain("CMYK", (0, 255, 255, 0)), RED),
    "CMYK tiff": ("x.tif", plain("CMYK", (0, 255, 255, 0)), RED),
    "black ink jpg": ("x.jpg", plain("CMYK", (0, 0, 0, 255)), BLACK),
    "1-bit png": ("x.png", plain("1", 1), WHITE),
    "1-bit tiff": ("x.tiff", plain("1", 0), BLACK),
    "palette png": ("x.png", plain("P", 0), BLACK),
    "palette, clear entry": ("x.png", palette_with_clear_entry, WHITE),
    "grey, clear level": ("x.png", grey_with_clear_level, WHITE),
    "grey + alpha, half": ("x.png", plain("LA", (0, 127)), GREY),
    "RGBA, clear": ("x.png", plain("RGBA", (255, 0, 0, 0)), WHITE),
    "RGBA, half": ("x.png", plain("RGBA", (0, 0, 255, 127)), (128, 128, 255)),
    "RGBA webp": ("x.webp", plain("RGBA", (255, 0, 0, 0)), WHITE),
    "RGB webp": ("x.webp", plain("RGB", RED), RED),
    "bmp": ("x.bmp", plain("RGB", RED), RED),
    "ppm": ("x.ppm", plain("RGB", RED), RED),
    "ppm of 48 bits": ("x.ppm", sixteen_bit_ppm, RED),
    "png of 48 bits": ("x.png", rgb48_png, RED),
    "grey + alpha of 32 bits": ("x.png", grey_alpha_32_png, GREY),
    "16-bit grey png": ("x.png", plain("I;16", 0x8080), GREY),
    "integer tiff": ("x.tif", plain("I", 0x8080), GREY),
    "float tiff": ("x.tif", plain("F", 128 / 255), GREY),
    "first of two tiff pages": ("x.tif", two_frames, RED),
    "first of two png frames": ("x.png", two_frames, RED),
    "first of two webp frames": ("x.webp", two_frames, RED),
    "gif named jpg": ("x.jpg", gif_named_jpg, BLACK),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_reads_as_rgb_of_its_colour(kind: str, tmp_path: Path) -> None:
    name, make, expected = KINDS[kind]
    make(tmp_path / name)
    image = read_image(tmp_path / name)
    assert image.mode == "RGB"
    np.testing.assert_allclose(image.getpixel((0, 0)), expected, atol=4)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_sixteen_bit_ramp_becomes_the_eight_bit_ramp(name: str, mode: str, tmp_path: Path) -> None:
    ramp = np.arange(0, 65536, 16, dtype=np.uint16)
    raw = ramp.astype(">u2" if mode == "I;16B" else "<u2").tobytes()
    Image.frombytes(mode, (64, 64), raw).save(tmp_path / name)
    grey = np.asarray(read_image(tmp_path / name))[..., 0].ravel()
    np.testing.assert_allclose(grey, ramp / 257, atol=1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 7.0, 200.0], [0, 7, 200]),
        ([0.0, 257.0, 65535.0], [0, 1, 255]),
        ([-2.0, 0.0, 2.0], [0, 128, 255]),
        ([0.0, 1e6, 2e6], [0, 128, 255]),
        ([np.nan, 1.0, np.inf], [0, 255, 255]),
    ],
)
def test_floats_are_scaled_by_the_range_they_use(values: list[float], expected: list[int], tmp_path: Path) -> None:
    Image.fromarray(np.array([values], dtype=np.float32)).save(tmp_path / "x.tif")
    assert np.asarray(read_image(tmp_path / "x.tif"))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.tif"])
def test_exif_orientation_is_applied(orientation: int, name: str, tmp_path: Path) -> None:
    upright = np.zeros((32, 48, 3), dtype=np.uint8)
    upright[:16, :16], upright[16:, 32:] = 255, 128
    # Where EXIF says the first stored row and column lie in the upright picture, undone by hand.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / name, exif=exif, quality=100)
    np.testing.assert_allclose(np.asarray(read_image(tmp_path / name)).astype(int), upright, atol=4)


def whole(file_format: str) -> Callable[[Path], bytes]:
    def encode(path: Path) -> bytes:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path, format=file_format)
        return path.read_bytes()

    return encode


def cut(file_format: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        data = whole(file_format)(path)
        path.write_bytes(data[: len(data) // 2])

    return make


BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("x.jpg", lambda path: None, "No such file"),
    "empty": ("x.jpg", lambda path: path.write_bytes(b""), "empty"),
    "text": ("x.jpg", lambda path: path.write_text("hello"), "none of"),
    "folder": ("x.jpg", lambda path: path.mkdir(), "directory"),
    "link to itself": ("x.jpg", lambda path: path.symlink_to(path), "symbolic links"),
    "cut jpg": ("x.jpg", cut("JPEG"), "truncated"),
    "cut png": ("x.png", cut("PNG"), ""),
    "cut webp": ("x.webp", cut("WEBP"), ""),
    "cut tiff": ("x.tif", cut("TIFF"), ""),
    "cut bmp": ("x.bmp", cut("BMP"), "truncated"),
    "header only": ("x.png", lambda path: path.write_bytes(whole("PNG")(path)[:16]), ""),
    "over the limit": ("x.png", lambda path: path.write_bytes(png(10_000, 10_000, 8, 2, b"")), "100,000,000 pixels"),
    "far over it": ("x.png", lambda path: path.write_bytes(png(60_000, 60_000, 8, 2, b"")), "3600000000 pixels"),
    "PostScript": ("x.jpg", lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "none of"),
    "NaN only": ("x.tif", plain("F", float("nan")), "no finite value"),
}


@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_picture_says_so_in_one_line(kind: str, tmp_path: Path) -> None:
    name, make, reason = BROKEN[kind]
    make(tmp_path / name)
    with pytest.raises(UnreadableImage) as caught:
        read_image(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name} cannot be read: ")
    assert reason in message.removeprefix(str(tmp_path / name))
    assert "\n" not in message


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_forbidden_picture_says_so(tmp_path: Path) -> None:
    write_image(Image.new("RGB", (8, 8)), tmp_path / "x.png")
    (tmp_path / "x.png").chmod(0)
    with pytest.raises(UnreadableImage, match="Permission denied"):
        read_image(tmp_path / "x.png")


def test_no_warning_of_pillow_leaks(tmp_path: Path) -> None:
    (tmp_path / "big.png").write_bytes(png(10_000, 10_000, 8, 2, b""))
    Image.new("RGB", (8, 8)).save(tmp_path / "odd.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    code = (
        "import sys, pathlib; from cyclegan.images.files import *; assert 'torch' not in sys.modules\n"
        "for name in ('odd.jpg', 'big.png'):\n"
        "    try: read_image(pathlib.Path(sys.argv[1], name))\n"
        "    except UnreadableImage: pass"
    )
    done = subprocess.run([sys.executable, "-W", "always", "-c", code, tmp_path], capture_output=True, check=True)
    assert done.stderr == b""


def test_pictures_are_found_below_in_any_case_and_in_order(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/10.png", "a.Webp", "c/d/e.tIf", ".hidden.png", ".thumbs/x.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.jpg").mkdir()
    names = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert names == ["a.Webp", "b/10.png", "b/2.JPG", "c/d/e.tIf"]


def test_linked_folders_are_entered_once_and_loops_end(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.png").write_bytes(b"")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "one").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "two").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert find_images(tmp_path / "set") == [tmp_path / "set" / "one" / "x.png"]


@pytest.mark.parametrize(("folder", "reason"), [("missing", "is not a folder"), ("", r"looked for \.bmp \.jpeg")])
def test_a_folder_without_pictures_says_so(folder: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=reason):
        find_images(tmp_path / folder)


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.tif", "x.TIFF", "x.ppm", "x.jpg", "x.JPEG", "x.webp"])
def test_written_pictures_read_back(name: str, tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8)[:, None, None], (1, 64, 3))
    write_image(Image.fromarray(ramp), tmp_path / "new" / "folders" / name)
    lossy = name.lower().endswith((".jpg", ".jpeg", ".webp"))
    again = np.asarray(read_image(tmp_path / "new" / "folders" / name)).astype(int)
    np.testing.assert_allclose(again, ramp, atol=4 if lossy else 0)


def test_a_failed_write_leaves_the_old_picture_alone(tmp_path: Path) -> None:
    write_image(Image.new("RGB", (8, 8), RED), tmp_path / "x.jpg")
    before = (tmp_path / "x.jpg").read_bytes()
    with pytest.raises(OSError, match=r"x\.jpg cannot be written: cannot write mode RGBA"):
        write_image(Image.new("RGBA", (8, 8)), tmp_path / "x.jpg")
    assert (tmp_path / "x.jpg").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.jpg"]


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.gif ends in none of"):
        write_image(Image.new("RGB", (8, 8)), tmp_path / "x.gif")


def test_all_256_values_survive_the_trip_to_a_tensor_and_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    tensor = to_tensor(Image.fromarray(pixels))
    assert tensor.shape == (3, 16, 16)
    assert tensor.dtype == torch.float32
    assert (tensor.min().item(), tensor.max().item()) == (-1, 1)
    np.testing.assert_array_equal(np.asarray(to_image(tensor)), pixels)


def test_bytes_of_a_batch_get_the_same_numbers_as_a_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    assert torch.equal(from_bytes(batch)[0], to_tensor(pixels))


def test_values_outside_are_clamped_and_the_rest_rounded() -> None:
    tensor = torch.tensor([-torch.inf, -2.0, 0.99 / 127.5 - 1, 2.0]).expand(3, 1, 4)
    assert np.asarray(to_image(tensor))[0, :, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize("wrong", [torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4), torch.zeros(3, 4, 4).byte()])
def test_what_is_no_image_tensor_is_refused(wrong: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected a \(3, H, W\) float tensor"):
        to_image(wrong)


def test_nan_has_no_colour() -> None:
    with pytest.raises(ValueError, match="NaN"):
        to_image(torch.full((3, 4, 4), torch.nan))


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_rgb_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected a \(H, W, 3\) uint8 picture"):
        to_tensor(wrong)
