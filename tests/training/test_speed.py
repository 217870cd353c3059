"""Every lever makes a step faster and leaves its result alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import cyclegan.training.game
from cyclegan.cli import main
from cyclegan.machine import has_compiler
from cyclegan.networks.blocks import ResidualBlock
from cyclegan.recipe import Recipe, SpeedConfig
from cyclegan.training import speed
from cyclegan.training.game import Game
from cyclegan.training.speed import compile_networks, memory_told
from cyclegan.training.trainer import Trainer, train
from cyclegan.types import Batch, Losses
from tests.tiny import tiny_recipe

CPU = torch.device("cpu")
PLAIN = {"device": "cpu", "precision": "float32", "compile": "off"}
needs_compiler = pytest.mark.skipif(not has_compiler(CPU), reason="needs a C++ compiler")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def losses_of(recipe: Recipe, run: Path, steps: int) -> list[dict[str, float]]:
    """What each of the first steps saw."""
    trainer = Trainer(recipe, run)
    with trainer.journal:
        trainer.game.speed_up(trainer.total)
        batches = trainer.loader.batches(0, steps * recipe.training.batch)
        return [{name: loss.item() for name, loss in trainer.game.step(batch).losses.items()} for batch in batches]


def check_same(data: Path, tmp_path: Path, tolerance: float, **lever: Any) -> None:
    """Four steps with the lever see the losses of eager float32."""
    plain = losses_of(tiny_recipe(data, speed=PLAIN), tmp_path / "plain", steps=4)
    levered = losses_of(tiny_recipe(data, speed=PLAIN | lever), tmp_path / "levered", steps=4)
    for expected, seen in zip(plain, levered, strict=True):
        assert seen == pytest.approx(expected, rel=tolerance)


def test_checkpointed_activations_leave_the_result_alone(data: Path, tmp_path: Path) -> None:
    check_same(data, tmp_path, 1e-6, checkpoint_activations=True)


def test_deterministic_kernels_leave_the_result_alone(data: Path, tmp_path: Path) -> None:
    check_same(data, tmp_path, 1e-5, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled() and not torch.backends.cudnn.benchmark
    Trainer(tiny_recipe(data, speed=PLAIN), tmp_path / "after")
    assert not torch.are_deterministic_algorithms_enabled()


def test_checkpointed_activations_are_computed_twice(data: Path, tmp_path: Path) -> None:
    calls = []
    trainer = Trainer(tiny_recipe(data, speed=PLAIN | {"checkpoint_activations": True}), tmp_path / "run")
    with trainer.journal:
        trainer.game.speed_up(trainer.total)
    block = next(m for m in trainer.game.method.translators()["AtoB"].modules() if isinstance(m, ResidualBlock))
    block.body[0].register_forward_hook(lambda *call: calls.append(1))
    trainer.game.step(next(trainer.loader.batches(0, 1)))
    assert len(calls) == 4  # twice for what is fake and identical, twice for the cycle


def test_channels_last_leaves_the_result_alone(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tiny_recipe(data, speed=PLAIN, training={"rate": 1e-5})  # Adam magnifies rounding
    plain = losses_of(recipe, tmp_path / "plain", steps=4)
    monkeypatch.setattr(cyclegan.training.game, "memory_format", lambda device: torch.channels_last)
    levered = losses_of(recipe, tmp_path / "levered", steps=4)
    for expected, seen in zip(plain, levered, strict=True):
        assert seen == pytest.approx(expected, rel=1e-4)


def test_bf16_leaves_the_losses_near(data: Path, tmp_path: Path) -> None:
    check_same(data, tmp_path, 0.05, precision="bf16")


@needs_compiler
def test_the_fast_path_ends_at_the_loss_level_of_the_plain_one(data: Path, tmp_path: Path) -> None:
    """500 steps, bf16 and compiled beside eager float32."""
    level = {}
    for name, levers in {"plain": {}, "fast": {"precision": "bf16", "compile": "on"}}.items():
        recipe = tiny_recipe(data, speed=PLAIN | levers, training={"constant": "500 images", "rate": 5e-4})
        losses = losses_of(recipe, tmp_path / name, steps=500)
        level[name] = [sum(sum(step.values()) for step in part) / len(part) for part in (losses[:20], losses[-100:])]
    assert level["plain"][1] < 0.8 * level["plain"][0]  # it has learned something
    assert level["fast"][1] == pytest.approx(level["plain"][1], rel=0.1)


def test_a_short_run_is_not_compiled_and_says_so() -> None:
    told = compile_networks([torch.nn.Linear(1, 1)], SpeedConfig(), steps=speed.COMPILING_REPAYS - 1, device=CPU)
    assert told.startswith("not compiling: 999 steps would not repay it")


@pytest.mark.parametrize("wanted", ["auto", "on"])
def test_without_a_compiler_networks_stay_as_they_are(wanted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    network = torch.nn.Linear(1, 1)
    told = compile_networks([network], SpeedConfig(compile=wanted), steps=10**6, device=CPU)
    assert told == "not compiling, steps may take twice as long: no C++ compiler found, install g++"
    assert network._compiled_call_impl is None


@needs_compiler
def test_a_compiler_that_fails_is_named_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Callable[[Tensor], Tensor]:
        raise RuntimeError("Python.h: no such file\nand more")

    monkeypatch.setattr(torch, "compile", broken)
    told = compile_networks([torch.nn.Linear(1, 1)], SpeedConfig(), steps=10**6, device=CPU)
    assert told.endswith("twice as long: Python.h: no such file")


@needs_cuda
def test_two_deterministic_runs_on_cuda_are_the_same_bit_for_bit(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(data, speed={"device": "cuda", "deterministic": True})
    one, two = (losses_of(recipe, tmp_path / name, steps=8) for name in ("one", "two"))
    assert one == two
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_what_helps_when_memory_runs_out_is_said(error: RuntimeError) -> None:
    with pytest.raises(MemoryError) as caught, memory_told():
        raise error
    for setting in ("data.transforms", "training.batch", "speed.checkpoint_activations"):
        assert setting in str(caught.value)


def test_running_out_of_memory_is_one_line(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def step(self: Game, pixels: Batch) -> Losses:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Game, "step", step)
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--out", str(tmp_path / "run"), "--data.root", str(recipe.data.root)])
    told = capsys.readouterr().err.splitlines()
    assert exit_.value.code == 2 and told[-1].startswith("cyclegan: out of memory")


def test_other_errors_are_not_called_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_told():
        raise RuntimeError("shapes differ")


def test_training_by_a_schedule_of_tensors_and_of_numbers_is_the_same(data: Path, tmp_path: Path) -> None:
    """On CUDA the rate is a tensor; the optimizer must take it as it takes a number."""
    recipe = tiny_recipe(data, speed=PLAIN)
    runs = []
    for as_tensor in (False, True):
        trainer = Trainer(recipe, tmp_path / str(as_tensor))
        for turn in trainer.game.turns:
            for group in turn.optimizer.param_groups:
                group["lr"] = torch.tensor(group["lr"]) if as_tensor else group["lr"]
        for pixels in trainer.loader.batches(0, 6):
            losses = trainer.game.step(pixels).losses
        runs.append({name: loss.item() for name, loss in losses.items()})
    assert runs[1] == pytest.approx(runs[0], rel=1e-5)


def test_a_resumed_run_keeps_the_settings_of_its_recipe(data: Path, tmp_path: Path) -> None:
    train(tiny_recipe(data, speed=PLAIN), tmp_path / "run")
    other = {"betas": [0.9, 0.99], "constant": "12 images"}
    trainer = Trainer(tiny_recipe(data, speed=PLAIN, training=other), tmp_path / "run", resume=True)
    assert [group["betas"] for turn in trainer.game.turns for group in turn.optimizer.param_groups] == [(0.9, 0.99)] * 2
