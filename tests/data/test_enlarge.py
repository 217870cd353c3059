"""A picture that is smaller than a crop is enlarged, the same way each time, and reported."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from cyclegan.data.batches import training_fit
from cyclegan.data.config import DataConfig, Transform
from cyclegan.data.enlarge import TooSmall, enlarging
from cyclegan.data.folder import Folder
from cyclegan.data.loader import Loader
from cyclegan.data.picture import Pixels
from cyclegan.data.sources import Source
from cyclegan.data.transforms import Augment
from cyclegan.training.trainer import Trainer, train
from tests.tiny import tiny_recipe, write_pictures
from tests.training.test_training import assert_equal, everything

CROPS: dict[str, dict[str, Any]] = {
    "AtLeastOneBBoxRandomCrop": {"height": 24, "width": 32},
    "CenterCrop": {"height": 24, "width": 32},
    "Crop": {"x_min": 2, "y_min": 2, "x_max": 32, "y_max": 24},
    "CropAndPad": {"px": -1},
    "RandomCrop": {"height": 24, "width": 32},
    "RandomCropFromBorders": {},
    "RandomResizedCrop": {"size": [24, 32]},
    "RandomSizedCrop": {"min_max_height": [16, 24], "size": [24, 32], "w2h_ratio": 1.5},
}
"""Transforms that need nothing but a picture."""


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def augmented(transforms: list[Transform], pixels: Pixels, key: int) -> Pixels:
    augment = Augment(transforms)
    prepared, _ = enlarging(augment.prepare, pixels)
    made, _ = enlarging(lambda prepared: augment(prepared, key), prepared)
    return made


@pytest.mark.parametrize("size", [(9, 12), (23, 99), (99, 31), (1, 40), (40, 1), (1, 1)])
@pytest.mark.parametrize("name", CROPS)
def test_every_crop_takes_a_picture_of_any_size(name: str, size: tuple[int, int]) -> None:
    for key in range(5):
        made = augmented([{name: CROPS[name]}], noise(*size), key)
        if "height" in CROPS[name] or "size" in CROPS[name]:
            assert made.shape == (24, 32, 3)


def test_it_grows_bicubically_and_keeps_its_aspect() -> None:
    pixels = noise(10, 15)
    made, enlarged = enlarging(Augment([{"CenterCrop": {"height": 20, "width": 20}}]).prepare, pixels)
    assert enlarged and np.array_equal(made, cv2.resize(pixels, (30, 20), interpolation=cv2.INTER_CUBIC)[:, 5:25])


def test_a_picture_that_is_large_enough_stays_as_it_is() -> None:
    crop, pixels = Augment([{"RandomCrop": {"height": 20, "width": 20}}]), noise(20, 20)
    made, enlarged = enlarging(lambda pixels: crop(pixels, 3), pixels)
    assert not enlarged and np.array_equal(made, pixels)


@pytest.mark.parametrize("size", [(20, 20), (30, 21), (10, 64)])
def test_transforms_that_shrink_before_the_crop_are_reckoned_with(size: tuple[int, int]) -> None:
    transforms: list[Transform] = [{"RandomScale": {"scale_limit": [-0.9, 0.1], "p": 1}}]
    transforms.append({"RandomCrop": {"height": 20, "width": 20}})
    for key in range(40):
        assert augmented(transforms, noise(*size), key).shape == (20, 20, 3)


def test_a_crop_that_comes_by_chance_enlarges_only_then() -> None:
    augment = Augment([{"RandomCrop": {"height": 20, "width": 20, "p": 0.5}}])
    sizes = set()
    for key in range(40):
        made, enlarged = enlarging(lambda pixels, key=key: augment(pixels, key), noise(10, 10))  # type: ignore[misc]
        sizes.add((made.shape[0], enlarged))
    assert sizes == {(10, False), (20, True)}


def test_a_long_strip_loses_its_ends_and_not_all_memory() -> None:
    strip = np.arange(60_000, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    made = augmented([{"CenterCrop": {"height": 64, "width": 64}}], strip, 0)
    assert made.shape == (64, 64, 3) and abs(int(made[32, 32, 0]) - int(strip[0, 30_000, 0])) < 3


def test_what_is_too_small_whatever_comes_in_is_one_line() -> None:
    fixed: list[Transform] = [{"LongestMaxSize": {"max_size": 16}}, {"CenterCrop": {"height": 32, "width": 32}}]
    with pytest.raises(TooSmall, match="its 16 x 16 pixels are too few for a crop of 32 x 32 in"):
        augmented(fixed, noise(20, 20), 0)


@pytest.mark.parametrize("between", [[], [{"HorizontalFlip": {}}, {"ColorJitter": {}}]])
def test_a_crop_larger_than_what_is_left_for_it_is_a_mistake_of_the_recipe(between: list[Transform]) -> None:
    transforms: list[Transform] = [{"Resize": {"height": 40, "width": 30}}, *between]
    with pytest.raises(ValueError) as caught:
        Augment([*transforms, {"RandomCrop": {"height": 32, "width": 32}}])
    where = f"data.transforms.{1 + len(between)}: RandomCrop"
    assert str(caught.value) == f"{where} takes 32 x 32 pixels, but the transforms before it leave 30 x 40"
    Augment([*transforms, {"PadIfNeeded": {"min_height": 50}}, {"RandomCrop": {"height": 32, "width": 32}}])


def test_the_size_of_a_run_whose_first_picture_is_small(tmp_path: Path) -> None:
    files = write_pictures(tmp_path, 2, size=20)
    assert training_fit(
        DataConfig(transforms=({"RandomCrop": {"height": 32, "width": 48}},)), Source(tmp_path), files
    ).size == (32, 48)


def test_threads_change_nothing_and_every_small_picture_is_counted(tmp_path: Path) -> None:
    write_pictures(tmp_path / "A", 6, size=40)
    write_pictures(tmp_path / "A", 2, size=20)
    augment = Augment([{"RandomCrop": {"height": 32, "width": 32}}])
    seen = []
    for threads in (0, 3):
        folder = Folder(Source(tmp_path / "A"), augment.prepare, memory=2**20, warn=print)
        loader = Loader(folder, folder, augment, batch_size=1, seed=0, workers=threads)
        seen.append([batch.a.numpy().tobytes() for batch in loader.batches(0, 12)])
        assert folder.enlarged == {0, 1} and not folder.broken
    assert seen[0] == seen[1] and threading.active_count() < 10


@pytest.fixture
def with_a_small_one(data: Path) -> Path:
    """A data set with a picture of B that is smaller than the crop."""
    Image.effect_noise((20, 28), 50).save(data / "trainB" / "1.png")
    return data


def test_a_small_picture_ends_no_training_and_is_told_once(
    with_a_small_one: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    crop = {"transforms": [{"RandomCrop": {"height": 32, "width": 32}}]}
    train(
        tiny_recipe(with_a_small_one, data=crop, training={"lr_schedule": {"constant": "20 images"}}), tmp_path / "run"
    )
    told = capfd.readouterr().err
    line = "trainB: 1 of 4 pictures is smaller than a crop in data.transforms and is enlarged: 1.png"
    assert told.count(line) == told.count("enlarged") == 1


def test_resume_enlarges_as_the_whole_run_did(with_a_small_one: Path, tmp_path: Path) -> None:
    scale = {"RandomScale": {"scale_limit": [-0.5, 0], "p": 1}}
    crop = {"transforms": [scale, {"RandomCrop": {"height": 32, "width": 32}}]}
    recipe = tiny_recipe(with_a_small_one, data=crop)
    train(recipe, tmp_path / "whole")
    trainer = Trainer(recipe, tmp_path / "cut")
    trainer.total = 3
    trainer.train()
    train(recipe, tmp_path / "cut", resume=True)
    assert_equal(everything(tmp_path / "cut"), everything(tmp_path / "whole"))
