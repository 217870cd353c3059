"""The speed of a recipe is that of a few steps, once warm."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import cyclegan.training.pace
from cyclegan.recipe import Recipe
from cyclegan.training.pace import steps_per_second
from cyclegan.types import Batch
from tests.snapshot import changed, snapshot
from tests.tiny import tiny_recipe


class FakeGame:
    """Takes three seconds for each of its first steps, and then so many seconds each."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.steps, self.now = seconds, 0, 0.0

    def __call__(self, recipe: Recipe, device: torch.device, epoch: int) -> Any:
        return self

    def step(self, pixels: Batch) -> Any:
        assert pixels.a.shape == (1, 3, 64, 64) and pixels.a.dtype == torch.uint8
        self.steps += 1
        self.now += 3 if self.steps <= cyclegan.training.pace.WARM_UP else self.seconds
        return SimpleNamespace(finite=torch.tensor(True))

    def release(self) -> None:
        pass


@pytest.mark.parametrize("seconds, steps", [(0.125, 20), (4.0, 3), (40.0, 1)])
def test_the_speed_is_that_of_a_few_steps_once_warm(
    seconds: float, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = FakeGame(seconds)
    monkeypatch.setattr(cyclegan.training.pace, "Learner", learner)
    assert steps_per_second(tiny_recipe(tmp_path), (64, 64), clock=lambda: learner.now) == 1 / seconds
    assert learner.steps == cyclegan.training.pace.WARM_UP + steps


def test_a_real_game_has_a_speed_and_leaves_nothing_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cyclegan.training.pace, "TIMED", 1)
    monkeypatch.setattr(cyclegan.training.pace, "WARM_UP", 1)
    before = snapshot()
    assert 0 < steps_per_second(tiny_recipe(tmp_path), (32, 32)) < 10_000
    assert not changed(before)
