"""Tests of masks."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan.data.read import read_picture
from cyclegan.inference.finish import Finish, finished
from cyclegan.inference.masks import Masks, SoftMask, mask_values

WHOLE = slice(0, 40)


def save(path: Path, values: object, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values, np.uint8))
    (image.convert(mode) if mode else image).save(path)
    return path


def square(height: int = 40, width: int = 30) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2, width // 3 :] = 255
    return mask


def test_white_is_translated_and_black_is_kept(tmp_path: Path) -> None:
    mask = Masks(save(tmp_path / "mask.png", square())).of("any.jpg", (40, 30))
    source, translated = np.zeros((40, 30, 3), np.uint8), np.full((40, 30, 3), 99, np.uint8)
    made = finished(source, translated, Finish(), mask)
    assert np.array_equal(made[..., 0], np.where(square() == 255, 99, 0))


@pytest.mark.parametrize("feather", [0.0, 0.7, 3.0, 20.0])
@pytest.mark.parametrize("size", [(40, 30), (80, 60), (20, 15), (120, 90)])
def test_strips_equal_the_whole(feather: float, size: tuple[int, int]) -> None:
    mask = SoftMask.of(square()[..., None], size, feather)
    whole = mask[0 : size[0]]
    for rows in (1, 7, 16):
        parts = [mask[top : min(top + rows, size[0])] for top in range(0, size[0], rows)]
        assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("feather", [0.0, 5.0, 50.0])
@pytest.mark.parametrize("level", [0, 255])
def test_one_level_stays_exactly_so_when_scaled_and_feathered(level: int, feather: float) -> None:
    mask = SoftMask.of(np.full((20, 15, 1), level, np.uint8), (40, 30), feather)
    assert (mask[WHOLE] == level / 255).all()


@pytest.mark.parametrize("feather", [3.0, 7.5, 10.0, 17.0])
def test_feather_is_the_standard_deviation_of_a_gaussian(feather: float) -> None:
    edge = np.zeros((40, 200, 1), np.uint8)
    edge[:, 100:] = 255
    soft = SoftMask.of(edge, (40, 200), feather)[slice(20, 21)][0]
    slope = np.diff(soft.astype(np.float64))
    at = np.arange(len(slope))
    centre = (slope * at).sum()
    assert np.sqrt((slope * (at - centre) ** 2).sum()) == pytest.approx(feather, rel=0.03)
    assert centre == pytest.approx(99, abs=0.1)


def test_a_mask_of_another_size_is_scaled_to_its_picture(tmp_path: Path) -> None:
    masks = Masks(save(tmp_path / "mask.png", square()))
    large = masks.of("a", (400, 300))[slice(0, 400)]
    assert large.shape == (400, 300)
    assert np.array_equal(large[5::10, 5::10] > 0.5, square() > 0)


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    masks = Masks(save(tmp_path / "mask.png", square(40, 30)))
    with pytest.raises(ValueError, match=r"the shape of its mask is another: 30 x 40 .*mask.png, and 30 x 30") as error:
        masks.of("a.jpg", (30, 30))
    assert "\n" not in str(error.value)


def test_a_shape_that_differs_by_rounding_is_accepted(tmp_path: Path) -> None:
    masks = Masks(save(tmp_path / "mask.png", square(7, 10)))
    assert masks.of("a.jpg", (667, 1000))[slice(0, 667)].shape == (667, 1000)


def test_a_folder_has_the_mask_of_each_picture_with_any_suffix(tmp_path: Path) -> None:
    white, black = np.full((4, 4), 255), np.zeros((4, 4))
    save(tmp_path / "a.png", white)
    save(tmp_path / "sub" / "a.jpg", black)
    masks = Masks(tmp_path)
    assert masks.of("a.jpeg", (4, 4))[slice(0, 4)].min() == 1
    assert masks.of("sub/a.tif", (4, 4))[slice(0, 4)].max() == 0
    assert masks.file_of("sub/a.tif") == tmp_path / "sub/a.jpg"


def test_slices_of_scanners_have_no_suffix(tmp_path: Path) -> None:
    save(tmp_path / "1.2.840.png", np.zeros((4, 4)))
    save(tmp_path / "1.2.841.png", np.full((4, 4), 255))
    assert Masks(tmp_path).file_of("1.2.840") == tmp_path / "1.2.840.png"


def test_a_missing_mask_is_a_problem_of_its_picture(tmp_path: Path) -> None:
    save(tmp_path / "a.png", square())
    with pytest.raises(ValueError, match="there is no mask for it in"):
        Masks(tmp_path).of("b.png", (40, 30))


def test_two_masks_are_a_problem_unless_one_has_the_whole_name(tmp_path: Path) -> None:
    save(tmp_path / "a.png", square())
    save(tmp_path / "a.jpg", square())
    masks = Masks(tmp_path)
    assert masks.file_of("a.jpg") == tmp_path / "a.jpg"
    with pytest.raises(ValueError, match=r"several masks for it, a\.jpg and a\.png"):
        masks.file_of("a.tif")


def test_a_damaged_mask_of_a_folder_is_a_problem_of_its_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="cannot be read"):
        Masks(tmp_path).of("a.png", (40, 30))


def test_a_picture_that_is_no_mask_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.zeros((40, 30, 5), np.uint8))
    with pytest.raises(ValueError, match=r"mask\.npy is no mask: it has 5 channels"):
        Masks(tmp_path / "mask.npy")
    with pytest.raises(ValueError, match=r"mask\.npy is no mask: it has 5 channels"):
        Masks(tmp_path).of("mask.jpg", (40, 30))


def test_a_mask_that_is_not_there_and_a_wrong_feather_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"--mask: .*nowhere: no such picture or folder"):
        Masks(tmp_path / "nowhere")
    for feather in (-1, 1001, float("nan")):
        with pytest.raises(ValueError, match="--feather: must be 0 to 1000"):
            Masks(tmp_path, feather)


PAINT = np.zeros((4, 4, 4), np.uint8)
PAINT[:2] = (255, 0, 0, 255)
PAINT[2] = (255, 0, 0, 51)
GREYS = np.zeros((4, 4, 4), np.uint8)
GREYS[:2], GREYS[2], GREYS[3] = (255, 255, 255, 255), (100, 100, 100, 255), (255, 255, 255, 0)


@pytest.mark.parametrize(
    ("values", "mode", "rows"),
    [
        ([[0, 85], [170, 255]], "L", [0, 85, 170, 255]),
        ([[0, 85], [170, 255]], "RGB", [0, 85, 170, 255]),
        ([[0, 0], [255, 255]], "1", [0, 0, 255, 255]),
        ([[0, 1], [1, 0]], "L", [0, 255, 255, 0]),
    ],
)
def test_a_mask_is_read_as_grey(tmp_path: Path, values: list[list[int]], mode: str, rows: list[int]) -> None:
    path = save(tmp_path / "mask.png", values, mode)
    assert mask_values(read_picture(path)).ravel().tolist() == rows


def test_paint_of_one_colour_on_a_transparent_layer_is_the_mask(tmp_path: Path) -> None:
    made = mask_values(read_picture(save(tmp_path / "mask.png", PAINT)))
    assert made[:, 0, 0].tolist() == [255, 255, 51, 0]


def test_transparent_parts_of_a_grey_mask_are_kept(tmp_path: Path) -> None:
    made = mask_values(read_picture(save(tmp_path / "mask.png", GREYS)))
    assert made[:, 0, 0].tolist() == [255, 255, 100, 0]


def test_it_is_told_in_a_few_words(tmp_path: Path) -> None:
    path = save(tmp_path / "mask.png", square())
    assert re.fullmatch(rf"mask {re.escape(str(path))} [0-9a-f]{{8}}", str(Masks(path)))
    assert str(Masks(path, 2.5)) == f"{Masks(path)} feather 2.5"


@pytest.mark.parametrize("given", ["mask.png", "."])
def test_a_changed_mask_is_another_mask(given: str, tmp_path: Path) -> None:
    """So that `--resume` translates again."""
    path = save(tmp_path / "mask.png", square())
    before = str(Masks(tmp_path / given))
    assert str(Masks(tmp_path / given)) == before
    os.utime(path, ns=(1, 1))
    assert str(Masks(tmp_path / given)) != before
