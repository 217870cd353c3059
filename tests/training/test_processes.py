"""Several processes are one with a larger batch, and none of them waits for the dead."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.distributed.launcher.api import LaunchConfig, launch_agent

from cyclegan.checkpoint import checkpoints_in, read_newest
from cyclegan.cli import main
from cyclegan.recipe import write_recipe
from cyclegan.training.game import Game
from cyclegan.training.processes import ALONE
from cyclegan.training.trainer import train
from cyclegan.training.turn import Move
from cyclegan.types import Batch
from tests.forked import Forks
from tests.tiny import tiny_recipe
from tests.training.exact import exactly

ENDLESS = {"constant": "100000 images"}


def write(data: Path, **changes: Any) -> Path:
    path = data.parent / "recipe.yaml"
    speed = {"device": "cpu", "precision": "float32", "compile": "off"}
    write_recipe(tiny_recipe(data, speed=speed, **changes), path)
    return path


def losses(run: Path) -> dict[str, list[float]]:
    read = EventAccumulator(str(run))
    read.Reload()
    return {tag: [e.value for e in read.Scalars(tag)] for tag in read.Tags()["scalars"] if tag.startswith("loss")}


def test_two_processes_are_one_with_twice_the_batch(data: Path, tmp_path: Path, forks: Forks) -> None:
    """Pools included: they are full, and exchange, from the fourth fake on."""
    length = {"constant": "8 images", "decay": "4 images", "average": "4 images"}
    changes: dict[str, Any] = {"training": length, "journal": {"samples": 0}}  # sample grids are of float32
    words = ("train", write(data, **changes), "--out", tmp_path / "two")
    two = forks.start_together(2, *words, log=tmp_path / "log", main="tests.training.exact:exact_main")
    assert [each.wait() for each in two] == [0, 0], two[0].told
    with exactly():
        train(tiny_recipe(data, **changes | {"training": length | {"batch": 2}}), tmp_path / "one")

    ours, expected = losses(tmp_path / "two"), losses(tmp_path / "one")
    assert ours.keys() == expected.keys() and len(ours["loss/gan_a"]) == 6
    for name, values in expected.items():
        assert ours[name] == pytest.approx(values, rel=1e-6), name  # written down in float32
    one, other = (read_newest(tmp_path / name) for name in ("one", "two"))
    assert (one.images, one.processes, other.images, other.processes) == (12, 1, 12, 2)
    assert one.method.keys() == other.method.keys() and one.method["a_to_b.head.weight"].dtype == torch.float64
    for name, weight in one.method.items():
        torch.testing.assert_close(other.method[name], weight, rtol=0, atol=1e-9, msg=name)
    assert two[0].told.count("images to see") == 1  # one of them talks


def test_resuming_with_another_number_of_processes_says_what_changes(
    data: Path, tmp_path: Path, forks: Forks, capfd: pytest.CaptureFixture[str]
) -> None:
    two = forks.start_together(2, "train", write(data), "--out", tmp_path / "run", log=tmp_path / "log")
    assert [each.wait() for each in two] == [0, 0], two[0].told
    train(tiny_recipe(data, training={"constant": "8 images"}), tmp_path / "run", resume=True)
    assert "pairs of pictures in a step: 1 from now on, 2 until here" in capfd.readouterr().err
    assert (read_newest(tmp_path / "run").images, read_newest(tmp_path / "run").processes) == (12, 1)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_other(data: Path, tmp_path: Path, forks: Forks, victim: int) -> None:
    recipe = write(data, training=ENDLESS)
    both = forks.start_together(2, "train", recipe, "--out", tmp_path / "run", log=tmp_path / "log")
    both[0].until(lambda: bool(checkpoints_in(tmp_path / "run")))
    both[victim].send(signal.SIGKILL)
    assert both[1 - victim].wait() == 2
    told = both[0].told
    assert "cyclegan: another process of this run has ended" in told and "Traceback" not in told
    assert read_newest(tmp_path / "run").images > 0


def test_a_signal_stops_all_processes_at_the_same_image(data: Path, tmp_path: Path, forks: Forks) -> None:
    recipe = write(data, training=ENDLESS)
    both = forks.start_together(2, "train", recipe, "--out", tmp_path / "run", log=tmp_path / "log")
    both[0].until(lambda: bool(checkpoints_in(tmp_path / "run")))
    for each in both:
        each.send(signal.SIGTERM)
    assert [each.wait() for each in both] == [143, 143]
    told = both[0].told
    assert told.count("torchrun ... -m cyclegan train") == told.count("--resume") == 1 and "Traceback" not in told
    assert f"stopped after {read_newest(tmp_path / 'run').images:,} images" in told


def test_processes_that_see_different_pictures_are_refused(data: Path, tmp_path: Path, forks: Forks) -> None:
    shutil.copytree(data, tmp_path / "other")
    (tmp_path / "other" / "trainB" / "0.png").unlink()
    words = ("train", write(data), "--out", tmp_path / "run")
    both = forks.start_together(2, *words, log=tmp_path / "log", different=("--data.root", tmp_path / "other"))
    assert [each.wait() for each in both] == [2, 2]
    assert "see different recipes, pictures or checkpoints" in both[0].told and "Traceback" not in both[0].told


def torchrun(words: Sequence[str]) -> None:
    """`torchrun --standalone --nproc-per-node 2 --max-restarts 1 -m cyclegan WORDS`, its processes forked."""
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=2, max_restarts=1, monitor_interval=0.1, start_method="fork",
        rdzv_backend="c10d", rdzv_endpoint="127.0.0.1:0", local_addr="127.0.0.1",
    )  # fmt: skip
    launch_agent(config, dying_once, [words])


def dying_once(words: Sequence[str]) -> None:
    """`cyclegan WORDS`; one of the processes is killed after 16 images, and not when it was started again."""
    step, dies = Game.step, (os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]) == ("1", "0")

    def step_or_die(game: Game, pixels: Batch) -> Move:
        if dies and game.images == 16:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(game, pixels)

    with patch.object(Game, "step", step_or_die):
        try:
            main(words)
        except SystemExit as end:
            if end.code:
                raise


def test_torchrun_starts_again_from_the_last_checkpoint(data: Path, tmp_path: Path, forks: Forks) -> None:
    length, run = {"constant": "30 images", "decay": "0 images"}, tmp_path / "run"
    words = ("train", write(data, training=length, journal={"checkpoint_every": "10 images"}), "--out", run)
    place = {"main": "tests.training.test_processes:torchrun", "GLOO_SOCKET_IFNAME": "lo"}
    agent = forks.start(*words, log=tmp_path / "log", **place)
    assert agent.wait() == 0, agent.told
    assert agent.told.count("images to see") == 2 and f"{run}/checkpoints/0000000030.pt" in agent.told
    assert "20 images to see" in agent.told  # 10 of the 30 were in the last checkpoint


def test_alone_everything_is_as_it_was() -> None:
    fakes = torch.rand(2, 3)
    ALONE.average([fakes])
    together, own = ALONE.gather(fakes)
    assert together is fakes and torch.equal(together[own], fakes)
    assert ALONE.first and ALONE.largest(3) == 3
    ALONE.agree("anything", "whatever")
