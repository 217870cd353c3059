from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import cyclegan.demo
from cyclegan.demo import demo_recipe, run_demo
from cyclegan.metrics.paired import closeness
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


def test_closeness_agrees_with_scikit_image() -> None:
    random = np.random.default_rng(0)
    truth = np.clip(np.cumsum(random.normal(0, 0.05, (3, 40, 50)), axis=2), -1, 1)
    image = np.clip(truth + random.normal(0, 0.1, truth.shape), -1, 1)
    ours = closeness(torch.tensor(image)[None].float(), torch.tensor(truth)[None].float())
    x, y = (image + 1) / 2, (truth + 1) / 2
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    ssim = structural_similarity(x, y, channel_axis=0, data_range=1.0, win_size=11, **settings)
    assert ours.psnr == pytest.approx(peak_signal_noise_ratio(y, x, data_range=1.0), abs=1e-3)
    assert ours.ssim == pytest.approx(ssim, abs=0.01)


def test_equal_images_are_as_close_as_can_be() -> None:
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    assert closeness(image, image).ssim == pytest.approx(1)
