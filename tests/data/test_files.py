"""Every picture is read as upright 8-bit RGB, any other file gives a one-line error, and values survive round trips."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.data.convert import normalised, to_image, to_tensor
from cyclegan.data.files import UnreadableImage, find_images
from cyclegan.data.read import read_image
from cyclegan.data.write import write_image
from cyclegan.util.text import shown
from cyclegan.util.untouched import untouched
from tests.patience import run
from tests.pictures import KINDS, RED, SUPERUSER, Kind, png, turned, upright


def made(kind: Kind, folder: Path) -> Path:
    (folder / "pictures").mkdir()
    path = folder / "pictures" / kind.name
    kind.make(path)
    if kind.later:
        kind.later(path)
    return path


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if isinstance(kind.outcome, tuple)])
def test_every_kind_of_picture_reads_as_rgb_of_its_colour(name: str, tmp_path: Path) -> None:
    image = read_image(made(KINDS[name], tmp_path))
    assert image.mode == "RGB"
    np.testing.assert_allclose(image.getpixel((0, 0)), KINDS[name].outcome, atol=4)  # type: ignore[arg-type]


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
    turned(orientation)(tmp_path / name)
    np.testing.assert_allclose(np.asarray(read_image(tmp_path / name)).astype(int), upright(), atol=4)


@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if isinstance(kind.outcome, str)])
def test_what_is_no_picture_says_so_in_one_line(name: str, tmp_path: Path) -> None:
    if KINDS[name].outcome == "Permission denied" and SUPERUSER:
        pytest.skip("the superuser may read everything")
    path = made(KINDS[name], tmp_path)
    with pytest.raises(UnreadableImage) as caught:
        read_image(path)
    message = str(caught.value)
    assert message.startswith(f"{shown(path)} cannot be read: ") and str(KINDS[name].outcome) in message
    assert "\n" not in message


def test_no_picture_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is killed when a file that it has mapped shrinks."""

    def fail(*arguments: object) -> None:
        raise AssertionError("mapped")

    monkeypatch.setattr("PIL.Image.core.map_buffer", fail)
    monkeypatch.setattr(os, "lseek", fail)  # Pillow's last step before it lets libtiff map the file
    for options in ({}, {"compression": "tiff_lzw"}):
        Image.new("L", (8, 8), 7).save(tmp_path / "x.tif", **options)
        assert read_image(tmp_path / "x.tif").getpixel((0, 0)) == (7, 7, 7)


def test_no_warning_of_pillow_is_shown_while_we_work(tmp_path: Path) -> None:
    (tmp_path / "big.png").write_bytes(png(10_000, 10_000, 8, 2, b""))
    Image.new("RGB", (8, 8)).save(tmp_path / "odd.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    with warnings.catch_warnings(record=True, action="always") as warned, untouched():
        for name in ("odd.jpg", "big.png"):
            with suppress(UnreadableImage):
                read_image(tmp_path / name)
    assert not warned


def test_reading_pictures_needs_no_torch() -> None:
    code = "import sys, cyclegan.data.files; assert 'torch' not in sys.modules"
    assert run([sys.executable, "-c", code]).returncode == 0


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
    found = [path.relative_to(tmp_path / "set").as_posix() for path in find_images(tmp_path / "set")]
    assert found == ["gone.png", "one/x.png"]  # a missing file is found, so that reading it reports it


@pytest.mark.parametrize(("folder", "reason"), [("missing", "is not a folder"), ("", "no picture in")])
def test_a_folder_without_pictures_says_so(folder: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=reason):
        find_images(tmp_path / folder)


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.tif", "x.TIFF", "x.ppm", "x.gif", "x.jpg", "x.JPEG", "x.webp"])
def test_written_pictures_read_back(name: str, tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8)[:, None, None], (1, 64, 3))
    write_image(Image.fromarray(ramp), tmp_path / "new" / "folders" / name)
    lossy = name.lower().endswith((".jpg", ".jpeg", ".webp"))
    again = np.asarray(read_image(tmp_path / "new" / "folders" / name)).astype(int)
    np.testing.assert_allclose(again, ramp, atol=4 if lossy else 0)


def test_a_failed_write_leaves_the_old_picture_alone(tmp_path: Path) -> None:
    write_image(Image.new("RGB", (8, 8), RED), tmp_path / "x.jpg")
    before = (tmp_path / "x.jpg").read_bytes()
    with pytest.raises(OSError, match=r"x\.jpg cannot be written: JPEG does not store 4 channels"):
        write_image(Image.new("RGBA", (8, 8)), tmp_path / "x.jpg")
    assert (tmp_path / "x.jpg").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.jpg"]


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.xyz has no known suffix; choose one of"):
        write_image(Image.new("RGB", (8, 8)), tmp_path / "x.xyz")


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
    assert torch.equal(normalised(batch)[0], to_tensor(pixels))


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
