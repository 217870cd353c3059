from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import cyclegan.demo
from cyclegan.demo import demo_recipe, run_demo
from cyclegan.recipe import Recipe


def short(data: Path) -> Recipe:
    recipe = demo_recipe(data)
    training = replace(recipe.training, constant="2 images", decay="2 images")
    return replace(recipe, training=training, speed=replace(recipe.speed, device="cpu", precision="float32"))


def test_the_demo_trains_translates_scores_and_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cyclegan.demo, "demo_recipe", short)
    told = run_demo(tmp_path)
    assert "photo against truth" in told and "SSIM" in told
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * cyclegan.demo.SIZE
    assert (tmp_path / "gallery.html").stat().st_size > 100_000
    assert "photo against truth" in run_demo(tmp_path)  # and again, beside the first run
