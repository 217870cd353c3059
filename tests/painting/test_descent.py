"""Both ways downhill reach the bottom, come back after a wrong step, and continue exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from cyclegan.painting.descent import MOST_RESTARTS, Descent
from cyclegan.painting.settings import Settings
from cyclegan.types import Losses

BOTTOM = torch.linspace(-0.8, 0.9, 48).view(1, 3, 4, 4)
STEEP = torch.logspace(-2, 1, 48).view(1, 3, 4, 4)


def valley(picture: Tensor) -> Losses:
    """Steep along some axes and flat along others."""
    return {"valley": (STEEP * (picture - BOTTOM).square()).mean()}


def after(steps: int, losses: Callable[[Tensor], Losses], **settings: object) -> Descent:
    descent = Descent(torch.zeros(1, 3, 4, 4), replace(Settings(), **settings))  # type: ignore[arg-type]
    for _ in range(steps):
        descent.step(losses)
    return descent


def test_lbfgs_finds_the_bottom_of_a_valley_of_condition_1000() -> None:
    assert after(80, valley).lowest < 1e-6 * valley(torch.zeros(1, 3, 4, 4))["valley"].item()


def test_adam_goes_down() -> None:
    assert after(150, valley, optimizer="adam", lr=0.03).lowest < 0.01 * valley(torch.zeros(1, 3, 4, 4))["valley"]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_loss_that_is_not_finite_leads_back_to_the_last_good_picture(optimizer: Literal["lbfgs", "adam"]) -> None:
    calls = 0

    def broken_once(picture: Tensor) -> Losses:
        nonlocal calls
        calls += 1
        return {"valley": valley(picture)["valley"] * (float("nan") if calls == 5 else 1)}

    descent = Descent(torch.zeros(1, 3, 4, 4), replace(Settings(), optimizer=optimizer))
    fine = [descent.step(broken_once) for _ in range(4)]
    good = descent.good.clone()
    assert {*fine} == {"downhill"} and descent.step(broken_once) == "not finite"
    assert torch.equal(descent.picture, good) and descent.restarts == 1 and descent.size == 0.5
    before = descent.lowest
    for _ in range(30):
        descent.step(broken_once)
    assert descent.lowest < before and descent.picture.isfinite().all()


def test_a_step_that_leads_far_uphill_is_taken_back() -> None:
    def wall(picture: Tensor) -> Losses:
        """A slope that turns up steeply, which the first steps jump over."""
        x = picture.mean()
        return {"wall": torch.where(x > 0.05, 1e4 * x, 1 - x)}

    descent = after(40, wall)
    assert descent.restarts and descent.good.mean() <= 0.05 and descent.lowest < 1


def test_a_picture_from_which_every_step_goes_wrong_stays_as_it_is() -> None:
    def only_here(picture: Tensor) -> Losses:
        return {"loss": (picture + 1).sum() * (1 if picture.abs().max() == 0 else float("nan"))}

    descent = after(2 * MOST_RESTARTS + 1, only_here)
    assert descent.is_stuck and descent.good.abs().max() == 0


def test_a_network_that_gives_no_numbers_is_told() -> None:
    with pytest.raises(ValueError, match="not finite"):
        after(1, lambda picture: {"nan": picture.sum() * float("nan")})


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_state_continues_bit_for_bit(optimizer: Literal["lbfgs", "adam"]) -> None:
    through = after(13, valley, optimizer=optimizer)
    state = after(6, valley, optimizer=optimizer).state_dict()
    descent = Descent(torch.zeros(1, 3, 4, 4), replace(Settings(), optimizer=optimizer))
    descent.load_state_dict(state)
    for _ in range(7):
        descent.step(valley)
    assert torch.equal(descent.picture, through.picture) and descent.lowest == through.lowest


def test_nothing_moves_at_the_bottom() -> None:
    descent = Descent(BOTTOM, Settings())
    for _ in range(3):
        descent.step(valley)
    torch.testing.assert_close(descent.picture, BOTTOM)
