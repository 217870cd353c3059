"""The learning rate over a run, and players with their own learning rates."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cyclegan.metrics.config import FeaturesConfig
from cyclegan.recipe import LrScheduleConfig
from cyclegan.training.lr_schedule import Plateau, lr_factor
from cyclegan.training.optimizer import Gradients
from cyclegan.training.trainer import Trainer, train
from cyclegan.types import Batch
from tests.tiny import tiny_recipe, write_pictures
from tests.training.halves import resumed_bit_for_bit

SPAN: dict[str, Any] = {"constant": "4 images", "decay": "8 images"}


def factors(**config: Any) -> list[float]:
    schedule = LrScheduleConfig(**SPAN | config)
    return [lr_factor(images, schedule, epoch=4) for images in range(12)]


def test_a_line_falls_evenly_to_a_step_above_zero() -> None:
    assert factors() == pytest.approx([1] * 4 + [n / 9 for n in range(8, 0, -1)])


def test_a_cosine_falls_slowly_at_both_ends() -> None:
    found = factors(shape="cosine")
    assert found[:4] == [1] * 4
    assert found[4:] == pytest.approx([(1 + math.cos(math.pi * n / 9)) / 2 for n in range(1, 9)])


def test_steps_fall_by_a_factor_after_each_span() -> None:
    assert factors(shape="steps", step="3 images", factor=0.5) == [1] * 4 + [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert factors(shape="steps", step="1 epoch") == pytest.approx([1] * 8 + [0.1] * 4)


def test_a_plateau_falls_when_scores_were_not_better_for_so_long() -> None:
    plateau = Plateau(LrScheduleConfig(shape="plateau", patience=2, factor=0.5))
    assert [plateau.saw(kid) for kid in (3, 2, 2, 2, 1, 5, math.inf, 1, 1)] == [False] * 3 + [True] + [False] * 2 + [
        True, False, True,
    ]  # fmt: skip


def test_a_plateau_goes_on_as_it_was() -> None:
    plateau, again = (Plateau(LrScheduleConfig(shape="plateau", patience=2)) for _ in range(2))
    plateau.saw(1.0)
    plateau.saw(2.0)
    plateau.fall()
    again.load_state_dict(plateau.state_dict())
    assert again.factor == pytest.approx(0.1) and again.saw(3.0)


def test_a_plateau_of_scores_needs_scores(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(data, training={"lr_schedule": {"shape": "plateau"}})
    with pytest.raises(ValueError, match=r"training.lr_schedule.shape: plateau needs scores; set log.evaluate_"):
        Trainer(recipe, tmp_path / "run")


def test_a_run_on_a_plateau_learns_slower_and_resumes_so(tmp_path: Path, weights: Path) -> None:
    for seed, name in enumerate(("trainA", "trainB")):
        write_pictures(tmp_path / "data" / name, 12, seed=seed)
    changes: dict[str, dict[str, Any]] = {
        "data": {"validation": 8},
        "training": {"lr_schedule": {"shape": "plateau", "patience": 1}, "lr": 1e-8},  # so that nothing improves
        "log": {"evaluate_every": "2 images", "checkpoint_every": "6 images"},
    }
    features = FeaturesConfig(network="squeezenet1_1", weights=weights)
    recipe = replace(tiny_recipe(tmp_path / "data", **changes), features=features)
    trainer = Trainer(recipe, tmp_path / "run")
    trainer.train()
    fallen = trainer.learner.plateau.factor
    assert fallen < 1
    again = Trainer(recipe, tmp_path / "run", resume=True)
    assert again.learner.plateau.factor == fallen and again.learner.lr == pytest.approx(1e-8 * fallen)


def pixels() -> Batch:
    return Batch(*torch.randint(0, 256, (2, 1, 3, 32, 32), dtype=torch.uint8))


def moved(trainer: Trainer) -> list[float]:
    """How far a step moved the weights of each player."""
    before = [[p.detach().clone() for p in optimizer.parameters] for optimizer in trainer.learner.optimizers]
    trainer.learner.step(pixels())
    return [
        max(float((p.detach() - q).abs().max()) for p, q in zip(optimizer.parameters, old, strict=True))
        for optimizer, old in zip(trainer.learner.optimizers, before, strict=True)
    ]


def test_a_player_may_have_a_learning_rate_and_betas_of_its_own(data: Path, tmp_path: Path) -> None:
    players = {"discriminators": {"lr": 1e-3, "betas": [0.0, 0.9]}}
    trainer = Trainer(tiny_recipe(data, training={"players": players}), tmp_path / "run")
    generators, discriminators = moved(trainer)
    assert generators == pytest.approx(2e-4, rel=0.01) and discriminators == pytest.approx(1e-3, rel=0.01)
    assert [o.optimizer.param_groups[0]["betas"] for o in trainer.learner.optimizers] == [(0.5, 0.999), (0.0, 0.9)]


def test_weight_decay_is_a_part_of_the_gradient(data: Path, tmp_path: Path) -> None:
    """Alone in it, it moves every weight towards zero."""
    players = {"discriminators": {"weight_decay": 1.0}}
    trainer = Trainer(tiny_recipe(data, training={"players": players, "weight_decay": 0.25}), tmp_path / "run")
    for optimizer in trainer.learner.optimizers:
        before = [p.detach().clone() for p in optimizer.parameters]
        zero = [torch.zeros_like(p) for p in optimizer.parameters]
        optimizer.step(Gradients({"none": torch.zeros(())}, zero))
        for old, new in zip(before, optimizer.parameters, strict=True):
            assert torch.equal((old - new).sign(), old.sign())
    assert [o.optimizer.param_groups[0]["weight_decay"] for o in trainer.learner.optimizers] == [0.25, 1.0]


def test_a_player_may_move_in_every_second_step_and_is_shown_in_all(data: Path, tmp_path: Path) -> None:
    players = {"discriminators": {"every": 2}}
    trainer = Trainer(tiny_recipe(data, training={"players": players}), tmp_path / "run")
    went = [moved(trainer)[1] > 0 for _ in range(4)]
    assert went == [True, False, True, False]
    assert "discriminator_a" in trainer.learner.step(pixels()).losses
    assert "discriminator_a" in trainer.learner.step(pixels()).losses


def test_a_step_in_which_no_player_is_due_only_passes(data: Path, tmp_path: Path) -> None:
    players = {"generators": {"every": 2}, "discriminators": {"every": 2}}
    trainer = Trainer(tiny_recipe(data, training={"players": players}), tmp_path / "run")
    assert [any(moved(trainer)) for _ in range(4)] == [True, False, True, False]
    assert trainer.learner.images == 4 and trainer.learner.nonfinite.new_ones() == []


def test_a_player_may_move_several_times_in_a_step(data: Path, tmp_path: Path) -> None:
    players = {"discriminators": {"repeat": 3}}
    trainer = Trainer(tiny_recipe(data, training={"players": players}), tmp_path / "run")
    generators, discriminators = moved(trainer)
    steps = [int(o.optimizer.state[o.parameters[0]]["step"]) for o in trainer.learner.optimizers]
    assert steps == [1, 3] and discriminators > 1.5 * generators


def test_unknown_players_are_refused(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(data, training={"players": {"critics": {"lr": 1e-3}}})
    with pytest.raises(
        ValueError, match=r"training.players: the players are generators and discriminators, not critics"
    ):
        train(recipe, tmp_path / "run")


def test_a_run_with_players_of_their_own_resumes_bit_for_bit(data: Path, tmp_path: Path) -> None:
    players = {"discriminators": {"every": 3, "lr": 1e-3}, "generators": {"repeat": 2}}
    resumed_bit_for_bit(tiny_recipe(data, training={"players": players}), tmp_path)
