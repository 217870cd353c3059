"""Non-finite losses and gradients never reach the weights."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import cyclegan.training.learner
from cyclegan.checkpoint import newest_checkpoint, read_newest
from cyclegan.cli import main
from cyclegan.cli.codes import DIVERGED
from cyclegan.data.convert import normalised
from cyclegan.machine.device import Arithmetic
from cyclegan.methods.base import Player
from cyclegan.methods.pool import Pool
from cyclegan.recipe import TrainingConfig, write_recipe
from cyclegan.report.run import write_report
from cyclegan.training.nonfinite import Diverged
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.training.trainer import Trainer, train
from cyclegan.types import Batch, Images, Losses
from tests.tiny import tiny_recipe
from tests.training.test_training import assert_equal, events

NO_AUTOCAST = Arithmetic(torch.device("cpu"), "float32")
NOTHING = Batch(torch.empty(0), torch.empty(0))


def state(trainer: Trainer) -> dict[str, Any]:
    return copy.deepcopy(
        {
            "method": trainer.learner.method.state_dict(),
            "optimizers": [t.state_dict()["state"] for t in trainer.learner.optimizers],
        }
    )


def poisoned(monkeypatch: pytest.MonkeyPatch, poison: Callable[[int], bool]) -> None:
    """Replace the pictures by NaN in each step for whose index (from 0) `poison` returns True."""
    steps = iter(range(10**6))

    def from_bytes_or_nan(pixels: Tensor) -> Tensor:
        step = next(steps) // 2  # A and B
        return torch.full(pixels.shape, torch.nan) if poison(step) else normalised(pixels)

    monkeypatch.setattr(cyclegan.training.learner, "normalised", from_bytes_or_nan)


@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_turn_with_a_bad_number_moves_nothing(where: str, bad: float, clip: float) -> None:
    network = torch.nn.Conv2d(3, 2, 3)
    scale = torch.ones(())

    def loss(batch: Batch, images: Images) -> Losses:
        poison = scale if where == "loss" else scale.detach() * 0 + 1
        value = network.weight.square().sum() * poison + network.bias.sum()  # type: ignore[union-attr]
        if where == "gradient" and not scale.isfinite():
            value.register_hook(lambda gradient: gradient * bad)
        return {"square": value}

    optimizer = PlayerOptimizer(Player("one", {"it": network}, loss), TrainingConfig(grad_clip=clip))
    assert optimizer.step(optimizer.differentiate(NOTHING, {}, NO_AUTOCAST)).finite
    before = copy.deepcopy((dict(network.state_dict()), optimizer.state_dict()))
    scale.fill_(bad)
    assert not optimizer.step(optimizer.differentiate(NOTHING, {}, NO_AUTOCAST)).finite
    assert_equal((dict(network.state_dict()), optimizer.state_dict()), before)
    scale.fill_(1)
    assert optimizer.step(optimizer.differentiate(NOTHING, {}, NO_AUTOCAST)).finite
    assert not torch.equal(network.weight, before[0]["weight"]) and network.weight.isfinite().all()


def test_a_poisoned_step_leaves_weights_optimizers_and_pools_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, lambda step: step == 5)
    trainer = Trainer(tiny_recipe(data), tmp_path / "run")
    batches = list(trainer.loader.batches(0, 8))
    for batch in batches[:5]:
        trainer.learner.step(batch)
    before = state(trainer)
    trainer.learner.step(batches[5])
    assert_equal(state(trainer), before)
    trainer.learner.step(batches[6])
    assert trainer.learner.nonfinite.new_ones() == [5] and trainer.learner.nonfinite.skipped == 1
    assert all(value.isfinite().all() for value in trainer.learner.method.state_dict().values())


def test_a_step_left_out_is_told_with_its_pictures_and_counted(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    poisoned(monkeypatch, lambda step: step == 4)
    trainer = Trainer(tiny_recipe(data), tmp_path / "run")
    names = trainer.loader.files(4)
    trainer.train()
    told = capfd.readouterr().err
    assert f"skipped the step at image 4: non-finite loss or gradient (pictures: {names[0]}, {names[1]})" in told
    assert [e.value for e in events(tmp_path / "run").Scalars("training/skipped_steps")] == [1, 1]


def test_the_files_of_a_step_are_those_it_drew(data: Path, tmp_path: Path) -> None:
    (data / "trainA" / "1.png").write_bytes(b"broken")
    for i in range(5, 25):
        Image.new("RGB", (40, 40), (i, 0, 0)).save(data / "trainA" / f"{i}.png")
    loader = Trainer(tiny_recipe(data, data={"transforms": []}), tmp_path / "run").loader
    for seen, batch in enumerate(loader.batches(0, 60)):
        for path, pixels in zip(loader.files(seen), batch, strict=True):
            expected = torch.tensor(list(Image.open(path).convert("RGB").tobytes()))
            assert torch.equal(pixels[0].permute(1, 2, 0).flatten(), expected.to(torch.uint8))


def test_too_many_in_a_row_end_the_run_and_leave_the_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    poisoned(monkeypatch, lambda step: step >= 7)
    endless = {"lr_schedule": {"constant": "100 images"}, "max_nonfinite_steps": 4}
    write_recipe(tiny_recipe(data, training=endless), tmp_path / "tiny.yaml")
    with pytest.raises(SystemExit) as end:
        main(["train", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "run")])
    assert end.value.code == DIVERGED
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("cyclegan: ") and "steps in a row" in told and "training.lr" in told
    assert f"the last checkpoint, {newest_checkpoint(tmp_path / 'run')}, is good" in told
    assert 6 <= read_newest(tmp_path / "run").images <= 12
    assert all(value.isfinite().all() for value in read_newest(tmp_path / "run").method.values())


def test_a_run_that_diverges_before_its_first_checkpoint_says_that_there_is_none(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    poisoned(monkeypatch, lambda step: True)
    recipe, runs = tiny_recipe(data, training={"max_nonfinite_steps": 2}), [tmp_path / name for name in ("one", "two")]
    for run in runs:
        with pytest.raises(Diverged, match="no checkpoint was saved before them"):
            train(recipe, run)
    again = f"this run has no checkpoint yet; .*: cyclegan train {runs[0]}/recipe.yaml --out {runs[0]} --resume"
    for words in (("compare", *runs, "--out", tmp_path / "c.html"), ("translate", runs[0], data / "testA", "out")):
        with pytest.raises(SystemExit):
            main([str(word) for word in words])
        assert re.search(again, "".join(capsys.readouterr()))
    write_report(runs[0])
    assert re.search(again, (runs[0] / "report.html").read_text(encoding="utf-8"))


def test_fewer_do_not(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(monkeypatch, lambda step: step % 4 != 0)
    train(
        tiny_recipe(data, training={"lr_schedule": {"constant": "16 images"}, "max_nonfinite_steps": 4}),
        tmp_path / "run",
    )
    with pytest.raises(Diverged):
        train(
            tiny_recipe(data, training={"lr_schedule": {"constant": "16 images"}, "max_nonfinite_steps": 3}),
            tmp_path / "other",
        )


def test_a_pool_stores_no_fake_that_is_not_finite() -> None:
    pool = Pool(2)
    bad = torch.full((1, 3, 4, 4), torch.nan)
    assert pool(bad).isnan().all() and pool.count == 0
    for number in range(20):
        fakes = bad if number % 3 else torch.rand(1, 3, 4, 4)
        assert pool(fakes).isfinite().all() == (number % 3 == 0)
    assert pool.images.isfinite().all() and pool.count == 2


@pytest.mark.parametrize("size", [(1, 40), (40, 1), (1, 1)])
def test_pictures_of_one_row_or_column_train_to_finite_weights(size: tuple[int, int], tmp_path: Path) -> None:
    for name in ("trainA", "trainB"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            Image.effect_noise((40, 40), 50).resize(size).save(tmp_path / "data" / name / f"{i}.png")
    train(tiny_recipe(tmp_path / "data"), tmp_path / "run")
    assert newest_checkpoint(tmp_path / "run").stem == "0000000008"
    assert all(value.isfinite().all() for value in read_newest(tmp_path / "run").method.values())


def test_crops_too_small_for_the_discriminator_are_one_line(data: Path, tmp_path: Path) -> None:
    crop = [{"RandomCrop": {"height": 4, "width": 30}}]
    with pytest.raises(ValueError, match="discriminator: 30x4 is too small") as caught:
        train(tiny_recipe(data, data={"transforms": crop}), tmp_path / "run")
    assert "\n" not in str(caught.value)
