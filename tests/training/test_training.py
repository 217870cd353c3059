import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from cyclegan.checkpoint import newest_checkpoint, read_checkpoint
from cyclegan.data.config import DomainConfig
from cyclegan.data.convert import to_tensor
from cyclegan.data.format import RGB_PICTURES
from cyclegan.machine.device import Arithmetic
from cyclegan.methods.base import Player
from cyclegan.recipe import Recipe, TrainingConfig, read_recipe, write_recipe
from cyclegan.training.ema import Ema
from cyclegan.training.grids import header
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.training.trainer import Trainer, train
from cyclegan.types import Batch, Direction, Images, Losses
from tests.forked import Forks
from tests.tiny import tiny_recipe, write_pictures


def events(run: Path) -> EventAccumulator:
    read = EventAccumulator(str(run), size_guidance={"images": 0})
    read.Reload()
    return read


def everything(run: Path) -> dict[str, Any]:
    checkpoint = read_checkpoint(newest_checkpoint(run))
    return {"method": checkpoint.method, "ema": checkpoint.ema, "optimizers": checkpoint.optimizers}


def assert_equal(one: Any, two: Any) -> None:
    assert type(one) is type(two)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, two)
    elif isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            assert_equal(one[key], two[key])
    elif isinstance(one, list | tuple):
        for x, y in zip(one, two, strict=True):
            assert_equal(x, y)
    else:
        assert one == two


def test_a_run_leaves_recipe_events_samples_and_checkpoints(recipe: Recipe, tmp_path: Path) -> None:
    last = train(recipe, tmp_path / "run")
    assert last.name == "0000000008.pt"
    found = replace(recipe.data, a=DomainConfig.of(RGB_PICTURES), b=DomainConfig.of(RGB_PICTURES))
    assert read_recipe(tmp_path / "run" / "recipe.yaml") == replace(recipe, data=found)
    assert [p.name for p in sorted((tmp_path / "run" / "checkpoints").iterdir())] == ["0000000006.pt", "0000000008.pt"]
    samples = sorted(p.name for p in (tmp_path / "run" / "samples").iterdir())
    assert samples == [f"{n:010}_{d}.png" for n in (1, 4, 8) for d in ("AtoB", "BtoA")]
    assert not list((tmp_path / "run").rglob("*.part"))


def test_a_grid_shows_real_fake_cycle_identity_for_each_held_out_picture(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path / "run")
    grid = Image.open(tmp_path / "run" / "samples" / "0000000008_AtoB.png")
    names = header(["real", "fake", "cycle", "identity"], 32)
    assert grid.size == (4 * (32 + 4) + 4, names.shape[1] + 2 * (32 + 4) + 4)
    assert (to_tensor(grid)[:, : names.shape[1]] - names).abs().max() <= 1 / 127


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_resume_continues_bit_for_bit(data: Path, tmp_path: Path, stop: int) -> None:
    recipe = tiny_recipe(
        data,
        training={"ema": "4 images"},
        method={"generator": {"kind": "resnet", "width": 4, "blocks": 1, "dropout": 0.5}},
    )
    train(recipe, tmp_path / "whole")

    every = replace(recipe, log=replace(recipe.log, checkpoint_every="1 images"))
    trainer = Trainer(every, tmp_path / "cut")
    trainer.total = stop
    trainer.train()
    train(recipe, tmp_path / "cut", resume=True)

    assert_equal(everything(tmp_path / "cut"), everything(tmp_path / "whole"))
    for tag in ("loss/gan_a", "loss/discriminator_b"):
        values = [{e.step: e.value for e in events(tmp_path / name).Scalars(tag)} for name in ("cut", "whole")]
        assert values[0] == values[1]
    last = "samples/0000000008_AtoB.png"
    assert (tmp_path / "cut" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()


def test_the_same_recipe_gives_the_same_run(recipe: Recipe, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train(recipe, tmp_path / name)
    assert_equal(everything(tmp_path / "one"), everything(tmp_path / "two"))


def test_a_run_is_not_overwritten(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path / "run")
    with pytest.raises(FileExistsError, match="--resume"):
        train(recipe, tmp_path / "run")


def test_resuming_with_another_method_is_refused(data: Path, recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path / "run")
    other = tiny_recipe(data, method={"generator": {"kind": "resnet", "width": 6, "blocks": 1}})
    with pytest.raises(ValueError, match="a different `method`"):
        train(other, tmp_path / "run", resume=True)


def test_all_checkpoints_but_the_last_two_go_unless_the_recipe_keeps_them(data: Path, tmp_path: Path) -> None:
    log = {"checkpoint_every": "1 images", "keep_every": "3 images"}
    train(tiny_recipe(data, log=log), tmp_path / "run")
    kept = sorted(int(p.stem) for p in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == [3, 6, 7, 8]


def test_the_average_is_used_for_translation(data: Path, tmp_path: Path) -> None:
    train(tiny_recipe(data, training={"ema": "1000 images"}), tmp_path / "run")
    checkpoint = read_checkpoint(newest_checkpoint(tmp_path / "run"))
    ours = checkpoint.ema["AtoB"]["head.weight"]
    assert not torch.equal(ours, checkpoint.method["a_to_b.head.weight"])


def test_an_average_asked_for_on_resume_begins_with_the_weights_of_then(data: Path, tmp_path: Path) -> None:
    train(tiny_recipe(data), tmp_path / "run")
    trainer = Trainer(tiny_recipe(data, training={"ema": "4 images"}), tmp_path / "run", resume=True)
    assert trainer.learner.ema is not None
    current = trainer.learner.method.generators()[Direction.AtoB]
    assert_equal(dict(trainer.learner.ema.state_dict()["AtoB"]), dict(current.state_dict()))


def test_the_average_halves_the_distance_in_its_half_life() -> None:
    network: Any = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average = Ema({Direction.AtoB: network}, half_life=10)
    torch.nn.init.ones_(network.weight)
    for step in range(10):
        average.update(batch_size=1, images=1000 + step)
    torch.testing.assert_close(average.state_dict()["AtoB"]["weight"].item(), 0.5)


def test_folders_of_flat_pictures_train_to_finite_weights(tmp_path: Path) -> None:
    for name, colour in (("trainA", "black"), ("trainB", "white")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (40, 40), colour).save(tmp_path / "data" / name / f"{i}.png")
    train(tiny_recipe(tmp_path / "data", training={"lr": 0.01}), tmp_path / "run")
    assert all(t.isfinite().all() for t in read_checkpoint(newest_checkpoint(tmp_path / "run")).method.values())


def test_a_player_moves_only_its_own_networks(recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path / "run")
    generators, discriminators = trainer.learner.optimizers
    before = [p.clone() for p in discriminators.parameters]
    pixels = next(trainer.loader.batches(0, 1))
    batch = type(pixels)(*(x.float() / 127.5 - 1 for x in pixels))
    generators.step(generators.differentiate(batch, trainer.learner.method(batch), trainer.learner.autocast))
    assert all(torch.equal(x, y) for x, y in zip(before, discriminators.parameters, strict=True))
    assert not any(gradient.any() for gradient in discriminators.gradients)


def test_gradients_in_another_memory_format_move_the_same() -> None:
    """Compiled networks return such gradients, which fused Adam would read in the wrong order."""
    networks = [torch.nn.Conv2d(3, 4, 3, bias=False) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    pull, nothing = torch.randn(4, 3, 3, 3), Batch(torch.empty(0), torch.empty(0))
    for network, layout in zip(networks, (torch.contiguous_format, torch.channels_last), strict=True):

        def loss(batch: Batch, images: Images, weight: Tensor = network.weight, to: Any = layout) -> Losses:
            return {"pull": (weight.to(memory_format=to) * pull.to(memory_format=to)).sum()}

        [gradient] = torch.autograd.grad(loss(nothing, {})["pull"], [network.weight])
        assert gradient.is_contiguous(memory_format=layout)
        optimizer = PlayerOptimizer(Player("puller", {"it": network}, loss), TrainingConfig(lr=0.1))
        for _ in range(2):
            optimizer.step(optimizer.differentiate(nothing, {}, Arithmetic(torch.device("cpu"), "float32")))
    assert torch.equal(networks[0].weight, networks[1].weight)


def test_clipping_bounds_the_gradient(data: Path, tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe(data, training={"grad_clip": 0.001}), tmp_path / "run")
    pixels = next(trainer.loader.batches(0, 1))
    trainer.learner.step(pixels)
    for optimizer in trainer.learner.optimizers:
        norm = torch.stack([p.grad.norm() for p in optimizer.parameters if p.grad is not None]).norm()
        torch.testing.assert_close(norm.item(), 0.001, rtol=1e-3, atol=0)


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_resume(
    data: Path, tmp_path: Path, forks: Forks, number: int, code: int
) -> None:
    recipe = tiny_recipe(
        data, training={"lr_schedule": {"constant": "100000 images"}}, log={"checkpoint_every": "100000 images"}
    )
    write_recipe(recipe, tmp_path / "recipe.yaml")
    run = tmp_path / "run"
    words = ("train", tmp_path / "recipe.yaml", "--out", run, "--speed.compile", "off")
    process = forks.start(*words, log=tmp_path / "log")
    process.until(lambda: bool(list(run.glob("samples/*BtoA.png"))))
    process.send(number)
    assert process.wait() == code, process.told
    assert process.told.rstrip().endswith("--speed.compile off --resume") and "Traceback" not in process.told
    assert read_checkpoint(newest_checkpoint(run)).images > 0


def test_training_goes_on_past_a_broken_picture(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_pictures(data / "trainA", 15)
    (data / "trainA" / "2.png").write_bytes(b"\x89PNG broken")
    train(tiny_recipe(data, training={"lr_schedule": {"constant": "30 images"}}), tmp_path / "run")
    assert "2.png" in capfd.readouterr().err
