from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import cyclegan.demo
from cyclegan.demo import demo_recipe, images_to_learn, run_demo
from cyclegan.recipe import LrScheduleConfig, Recipe
from tests.test_everywhere import refused_by_windows


def short(data: Path, images: int = 4) -> Recipe:
    recipe = demo_recipe(data)
    training = replace(recipe.training, lr_schedule=LrScheduleConfig(constant="2 images", decay="2 images"))
    return replace(recipe, training=training, speed=replace(recipe.speed, device="cpu", precision="float32"))


def test_the_demo_trains_translates_scores_and_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr(cyclegan.demo, "demo_recipe", short)
    monkeypatch.setattr(cyclegan.demo, "steps_per_second", lambda recipe, size: 12.345)
    told = run_demo(tmp_path, notes.append)
    assert notes == ["12.3 steps/s on this machine: training on 2,300 images, about 3 min 6 s"]
    assert "photo against truth" in told and "SSIM" in told
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * cyclegan.demo.SIZE
    assert (tmp_path / "gallery.html").stat().st_size > 100_000
    assert not refused_by_windows(tmp_path)
    assert "photo against truth" in run_demo(tmp_path)  # and again, beside the first run


@pytest.mark.parametrize("speed, images", [(1000, 2800), (14.74, 2800), (12, 2200), (5.9, 1100), (0.5, 1000)])
def test_the_demo_learns_as_long_as_it_has_time(speed: float, images: int) -> None:
    assert images_to_learn(speed) == images


def test_a_shorter_demo_has_the_same_shape(tmp_path: Path) -> None:
    long, half = (demo_recipe(tmp_path, images).training for images in (2800, 1400))
    assert (long.lr_schedule.constant, long.lr_schedule.decay, long.ema) == ("1700 images", "1100 images", "200 images")
    assert (half.lr_schedule.constant, half.lr_schedule.decay, half.ema) == ("850 images", "550 images", "100 images")
    odd = demo_recipe(tmp_path, 1300).training
    assert odd.lr_schedule.length(1) == 1300
