"""The recipe that fits depends on the pictures, the device and its speed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cyclegan.check.cost
from cyclegan.check.advice import plan
from cyclegan.check.check import check
from cyclegan.check.cost import measure
from cyclegan.check.facts import gather
from cyclegan.check.layout import find_data, find_places
from cyclegan.check.schedule import schedule
from cyclegan.check.suggestion import recipe_of
from cyclegan.methods.config import CycleganConfig, Pix2pixConfig
from cyclegan.networks.config import ResnetConfig, UnetConfig
from cyclegan.training.pace import steps_per_second
from tests.check.conftest import fill, natural
from tests.tiny import tiny_recipe


def values(epoch: int, seconds: float | None, device: str = "cpu") -> dict[str, object]:
    return {each.key: each.value for each in schedule(epoch, seconds, device)}


@pytest.mark.parametrize(
    "epoch, seconds, device, images",
    [
        (1000, None, "cpu", 200_000),
        (1000, 0.1, "cuda", 200_000),
        (1000, 1.0, "cuda", 86_000),
        (1000, 1.0, "cpu", 43_000),
        (10, None, "cpu", 20_000),
        (10**6, None, "cpu", 300_000),
        (1000, 10**6, "cpu", 1000),
    ],
)
def test_a_training_has_the_epochs_of_the_authors_within_hours_and_limits(
    epoch: int, seconds: float | None, device: str, images: int
) -> None:
    half = f"{images // 2} images"
    found = values(epoch, seconds, device)
    assert found["training.lr_schedule.constant"] == half == found["training.lr_schedule.decay"]
    assert ("training.lr" in found) == (images < 30_000)


def test_a_slow_machine_is_told_what_would_be_better() -> None:
    first = next(schedule(1000, 1.0, "cpu")).reason
    assert first.startswith("43,000 images in all: 43 epochs of 1,000 images")
    assert first.endswith("what fits into 12 hours here; 200,000 would be better")


@pytest.mark.parametrize("device, size, blocks", [("cuda", 256, 9), ("cpu", 128, 6), ("mps", 128, 6)])
def test_size_and_networks_suit_the_device(device: str, size: int, blocks: int, tmp_path: Path) -> None:
    for first, name in enumerate(("trainA", "trainB")):
        fill(tmp_path / name, 3, lambda seed: natural(seed, 300, 280), first=10 * first)
    data = find_data(tmp_path)
    planned = plan(data, [gather(place) for place in find_places(data)], device, scores=True)
    recipe = recipe_of(data, planned.suggestions)
    assert planned.size == size and isinstance(recipe.method, CycleganConfig)
    assert isinstance(recipe.method.generator, ResnetConfig) and recipe.method.generator.blocks == blocks
    assert (recipe.method.generator.width == 64) == (device == "cuda")


def test_small_pictures_get_a_small_size(root: Path) -> None:
    data = find_data(root)
    assert plan(data, [gather(place) for place in find_places(data)], "cuda", scores=False).size == 64


def test_pairs_get_pix2pix(tmp_path: Path) -> None:
    fill(tmp_path / "train", 3, lambda seed: natural(seed, 256, 128))
    checked = check(tmp_path, device="cpu")
    recipe = recipe_of(checked.data, checked.result.suggestions)
    assert isinstance(recipe.method, Pix2pixConfig) and recipe.data.pairs == "side_by_side"
    assert isinstance(recipe.method.generator, UnetConfig) and recipe.method.generator.depth == 7
    recipe.build()


def test_scores_are_suggested_where_enough_can_be_held_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = find_data(root)
    folders = [gather(place) for place in find_places(data)]
    monkeypatch.setattr("cyclegan.check.advice.SCORED", 6)
    for scores in (True, False):
        assert (recipe_of(data, plan(data, folders, "cpu", scores=scores).suggestions).log.evaluate_every) == (
            "10 epochs" if scores else None
        )


def test_the_cost_is_that_of_the_suggested_schedule(root: Path) -> None:
    result = check(root, device="cpu").result
    assert result.cost and result.cost.seconds_per_image == 0.5 and result.cost.images == 20_000
    assert result.cost.hours == pytest.approx(20_000 * 0.5 / 3600)
    assert "0.5 s per image of 64 x 64 on cpu" in result.cost.told


def test_a_busy_machine_is_told_with_the_cost(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cyclegan.check.cost, "BUSY", -1)
    cost = check(root, device="cpu").result.cost
    assert cost and cost.busy and cost.told.endswith("; other programs kept the CPU busy, so it can be faster")


def test_the_cost_is_measured_with_real_steps(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyclegan.training.pace.TIMED", 1)
    monkeypatch.setattr("cyclegan.training.pace.WARM_UP", 1)
    monkeypatch.setattr(cyclegan.check.cost, "steps_per_second", steps_per_second)
    folders = [gather(place) for place in find_places(find_data(data))]
    cost = measure(tiny_recipe(data), 32, folders)
    assert cost and cost.seconds_per_image > 0 and cost.memory_gib and cost.cache_gib < 0.001


def test_steps_that_do_not_fit_into_memory_cost_nothing_that_is_known(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(recipe: object, size: object) -> float:
        raise MemoryError

    monkeypatch.setattr(cyclegan.check.cost, "steps_per_second", full)
    result = check(root, device="cpu").result
    assert result.cost is None and result.suggestions


def test_pictures_of_any_size_are_scaled_to_one_before_they_are_cropped(root: Path) -> None:
    Image.open(root / "trainA" / "trainA0.png").resize((300, 90)).save(root / "trainA" / "trainA0.png")
    checked = check(root, device="cpu")
    recipe = recipe_of(checked.data, checked.result.suggestions)
    pixels = recipe.data.build().prepare(np.asarray(natural(0, 300, 90)))
    assert min(pixels.shape[:2]) == 72
