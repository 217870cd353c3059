"""Options that make a step faster or smaller do not change its result."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cyclegan.cli import main
from cyclegan.cli.codes import REFUSED
from cyclegan.networks.blocks import ResidualBlock
from cyclegan.recipe import Recipe, write_recipe
from cyclegan.training.learner import Learner
from cyclegan.training.trainer import Trainer, train
from cyclegan.types import Batch, Direction, Losses
from tests.tiny import tiny_recipe

PLAIN = {"device": "cpu", "precision": "float32", "channels_last": "off", "compile": "off"}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def losses_of(recipe: Recipe, run: Path, steps: int) -> list[dict[str, float]]:
    """The losses of the first steps."""
    trainer = Trainer(recipe, run)
    with trainer.log:
        batches = trainer.loader.batches(0, steps * recipe.training.batch_size)
        return [{name: loss.item() for name, loss in trainer.learner.step(batch).losses.items()} for batch in batches]


def check_same(data: Path, tmp_path: Path, tolerance: float, **lever: Any) -> None:
    """Assert that four steps with the option have the losses of eager float32."""
    plain = losses_of(tiny_recipe(data, speed=PLAIN), tmp_path / "plain", steps=4)
    levered = losses_of(tiny_recipe(data, speed=PLAIN | lever), tmp_path / "levered", steps=4)
    for expected, seen in zip(plain, levered, strict=True):
        assert seen == pytest.approx(expected, rel=tolerance)


def test_checkpointed_activations_leave_the_result_alone(data: Path, tmp_path: Path) -> None:
    check_same(data, tmp_path, 1e-6, checkpoint_activations=True)


def test_checkpointed_activations_count_a_picture_once_in_running_statistics(data: Path, tmp_path: Path) -> None:
    unet = {"generator": {"kind": "unet", "width": 4, "depth": 5, "dropout": 0.5}}
    states = []
    for on in (False, True):
        recipe = tiny_recipe(data, method=unet, speed=PLAIN | {"checkpoint_activations": on})
        trainer = Trainer(recipe, tmp_path / str(on))
        trainer.learner.step(next(trainer.loader.batches(0, 1)))
        states.append(trainer.learner.method.state_dict())
    plain, checkpointed = states
    assert any(name.endswith("running_var") for name in plain)
    for name, value in plain.items():
        torch.testing.assert_close(checkpointed[name], value, rtol=1e-5, atol=1e-6)


def test_deterministic_kernels_leave_the_result_alone(data: Path, tmp_path: Path) -> None:
    check_same(data, tmp_path, 1e-5, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled() and not torch.backends.cudnn.benchmark
    Trainer(tiny_recipe(data, speed=PLAIN), tmp_path / "after")
    assert not torch.are_deterministic_algorithms_enabled()


def test_checkpointed_activations_are_computed_twice(data: Path, tmp_path: Path) -> None:
    calls = []
    trainer = Trainer(tiny_recipe(data, speed=PLAIN | {"checkpoint_activations": True}), tmp_path / "run")
    block = next(
        m for m in trainer.learner.method.generators()[Direction.AtoB].modules() if isinstance(m, ResidualBlock)
    )
    block.body[0].register_forward_hook(lambda *call: calls.append(1))
    trainer.learner.step(next(trainer.loader.batches(0, 1)))
    assert len(calls) == 4  # twice for what is fake and identical, twice for the cycle


@needs_cuda
def test_two_deterministic_runs_on_cuda_are_the_same_bit_for_bit(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(data, speed={"device": "cuda", "deterministic": True})
    one, two = (losses_of(recipe, tmp_path / name, steps=8) for name in ("one", "two"))
    assert one == two
    torch.use_deterministic_algorithms(False)


def test_running_out_of_memory_is_one_line(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def step(self: Learner, pixels: Batch) -> Losses:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Learner, "step", step)
    write_recipe(recipe, tmp_path / "tiny.yaml")
    with pytest.raises(SystemExit) as exit_:
        main(["train", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "run")])
    told = capsys.readouterr().err.splitlines()
    assert exit_.value.code == REFUSED and told[-1].startswith("cyclegan: out of memory")
    for setting in ("data.transforms", "training.batch_size", "speed.checkpoint_activations"):
        assert setting in told[-1]


def test_training_by_a_schedule_of_tensors_and_of_numbers_is_the_same(data: Path, tmp_path: Path) -> None:
    """On CUDA the learning rate is a tensor; the optimizer must treat it like a number."""
    recipe = tiny_recipe(data, speed=PLAIN)
    runs = []
    for as_tensor in (False, True):
        trainer = Trainer(recipe, tmp_path / str(as_tensor))
        for optimizer in trainer.learner.optimizers:
            for group in optimizer.optimizer.param_groups:
                group["lr"] = torch.tensor(group["lr"]) if as_tensor else group["lr"]
        for pixels in trainer.loader.batches(0, 6):
            losses = trainer.learner.step(pixels).losses
        runs.append({name: loss.item() for name, loss in losses.items()})
    assert runs[1] == pytest.approx(runs[0], rel=1e-5)


def test_a_resumed_run_keeps_the_settings_of_its_recipe(data: Path, tmp_path: Path) -> None:
    train(tiny_recipe(data, speed=PLAIN), tmp_path / "run")
    other = {"betas": [0.9, 0.99], "lr_schedule": {"constant": "12 images"}}
    trainer = Trainer(tiny_recipe(data, speed=PLAIN, training=other), tmp_path / "run", resume=True)
    assert [
        group["betas"] for optimizer in trainer.learner.optimizers for group in optimizer.optimizer.param_groups
    ] == [(0.9, 0.99)] * 2
