"""Several processes train like one with a larger batch, and all end when one of them is lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torch.distributed.launcher.api import LaunchConfig, launch_agent

from cyclegan.checkpoint import checkpoints_in, read_newest
from cyclegan.cli import main
from cyclegan.recipe import write_recipe
from cyclegan.training.distributed import ALONE, LOST, open_processes
from cyclegan.training.learner import Learner
from cyclegan.training.optimizer import StepResult
from cyclegan.training.trainer import train
from cyclegan.types import Batch
from tests.forked import Forks, Started
from tests.tiny import tiny_recipe
from tests.training.exact import exactly

ENDLESS = {"lr_schedule": {"constant": "100000 images"}}


def write(data: Path, **changes: Any) -> Path:
    path = data.parent / "recipe.yaml"
    speed = {"device": "cpu", "precision": "float32", "compile": "off"}
    write_recipe(tiny_recipe(data, speed=speed, **changes), path)
    return path


def losses(run: Path) -> dict[str, list[float]]:
    read = EventAccumulator(str(run))
    read.Reload()
    return {tag: [e.value for e in read.Scalars(tag)] for tag in read.Tags()["scalars"] if tag.startswith("loss")}


OWN_PACE = {"generators": {"every": 2}, "discriminators": {"repeat": 2, "lr": 1e-4}}


@pytest.mark.parametrize("players", [{}, OWN_PACE], ids=["in turn", "at their own pace"])
def test_two_processes_are_one_with_twice_the_batch(
    players: dict[str, Any], data: Path, tmp_path: Path, forks: Forks
) -> None:
    """This includes the pools, which are full and exchange images from the fourth generated image on."""
    length: dict[str, Any] = {"lr_schedule": {"constant": "8 images", "decay": "4 images"}, "ema": "4 images"}
    length["players"] = players
    changes: dict[str, Any] = {"training": length, "log": {"samples": 0}}  # sample grids are of float32
    words = ("train", write(data, **changes), "--out", tmp_path / "two")
    two = forks.start_together(2, *words, log=tmp_path / "log", main="tests.training.exact:exact_main")
    assert [each.wait() for each in two] == [0, 0], two[0].told
    with exactly():
        train(tiny_recipe(data, **changes | {"training": length | {"batch_size": 2}}), tmp_path / "one")

    ours, expected = losses(tmp_path / "two"), losses(tmp_path / "one")
    assert ours.keys() == expected.keys() and len(ours["loss/gan_a"]) == 6
    for name, values in expected.items():
        assert ours[name] == pytest.approx(values, rel=1e-6), name  # written down in float32
    one, other = (read_newest(tmp_path / name) for name in ("one", "two"))
    assert (one.images, one.processes, other.images, other.processes) == (12, 1, 12, 2)
    assert one.method.keys() == other.method.keys() and one.method["a_to_b.head.weight"].dtype == torch.float64
    for name, weight in one.method.items():
        torch.testing.assert_close(other.method[name], weight, rtol=0, atol=1e-9, msg=name)
    assert two[0].told.count("images to train on") == 1  # only one process prints


def test_resuming_with_another_number_of_processes_says_what_changes(
    data: Path, tmp_path: Path, forks: Forks, capfd: pytest.CaptureFixture[str]
) -> None:
    two = forks.start_together(2, "train", write(data), "--out", tmp_path / "run", log=tmp_path / "log")
    assert [each.wait() for each in two] == [0, 0], two[0].told
    train(tiny_recipe(data, training={"lr_schedule": {"constant": "8 images"}}), tmp_path / "run", resume=True)
    assert "pairs of pictures in a step: 2 -> 1" in capfd.readouterr().err
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
    """`cyclegan WORDS`; one of the processes is killed after 16 images, but not after the restart."""
    step, dies = Learner.step, (os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]) == ("1", "0")

    def step_or_die(learner: Learner, pixels: Batch) -> StepResult:
        if dies and learner.images == 16:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(learner, pixels)

    with patch.object(Learner, "step", step_or_die):
        try:
            main(words)
        except SystemExit as end:
            if end.code:
                raise


def test_torchrun_starts_again_from_the_last_checkpoint(data: Path, tmp_path: Path, forks: Forks) -> None:
    length, run = {"lr_schedule": {"constant": "30 images", "decay": "0 images"}}, tmp_path / "run"
    words = ("train", write(data, training=length, log={"checkpoint_every": "10 images"}), "--out", run)
    place = {"main": "tests.training.test_distributed:torchrun", "GLOO_SOCKET_IFNAME": "lo"}
    agent = forks.start(*words, log=tmp_path / "log", **place)
    assert agent.wait() == 0, agent.told
    assert agent.told.count("images to train on") == 2 and f"{run}/checkpoints/0000000030.pt" in agent.told
    assert "20 images to train on" in agent.told  # 10 of the 30 were in the last checkpoint


def test_alone_everything_is_as_it_was() -> None:
    fakes = torch.rand(2, 3)
    ALONE.average([fakes])
    together, own = ALONE.gather(fakes)
    assert together is fakes and torch.equal(together[own], fakes)
    assert ALONE.first and ALONE.largest(3) == 3
    ALONE.agree("anything", "whatever")


def started(forks: Forks, function: str, *words: str | Path, log: Path) -> list[Started]:
    both = forks.start_together(2, *words, log=log, main=f"tests.training.ranks:{function}")
    assert [each.wait() for each in both] == [0, 0], both[0].told
    return both


def kept(run: Path) -> list[dict[str, list[Tensor]]]:
    return [torch.load(f"{run}.{rank}", weights_only=True) for rank in (0, 1)]


def test_processes_draw_other_dropout_masks_and_keep_one_pool(data: Path, tmp_path: Path, forks: Forks) -> None:
    dropout = {"generator": {"kind": "resnet", "width": 4, "blocks": 1, "dropout": 0.5}, "pool": 2}
    recipe = write(data, method=dropout, training={"lr_schedule": {"constant": "12 images"}, "ema": "4 images"})
    started(forks, "train_and_keep_all", recipe, tmp_path / "run", log=tmp_path / "log")
    one, other = kept(tmp_path / "run")
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(one["known"], other["known"], strict=True))
    assert len(one["masks"]) == len(other["masks"]) > 20
    for ours, theirs in zip(one["masks"], other["masks"], strict=True):
        known = (ours >= 0) & (theirs >= 0)
        assert 0.4 < (ours != theirs)[known].float().mean() < 0.6


@pytest.mark.parametrize("how", [("built",), ("restored", "resume")])
def test_all_processes_begin_with_what_the_first_one_knows(
    how: tuple[str, ...], data: Path, tmp_path: Path, forks: Forks
) -> None:
    recipe = write(data, training={"lr_schedule": {"constant": "8 images"}, "ema": "4 images"})
    if "resume" in how:
        started(forks, "train_and_keep_all", recipe, tmp_path / "run", log=tmp_path / "log")
        recipe = write(data, training={"lr_schedule": {"constant": "16 images"}, "ema": "4 images"})
    else:
        started(forks, "train_and_keep_all", recipe, tmp_path / "undisturbed", log=tmp_path / "log")
    started(forks, "train_and_keep_all", recipe, tmp_path / "run", *how, log=tmp_path / "log")
    one, other = kept(tmp_path / "run")
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(one["known"], other["known"], strict=True))
    if "built" in how:
        undisturbed = kept(tmp_path / "undisturbed")[0]["known"]
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(one["known"], undisturbed, strict=True))


def test_what_only_sounds_like_a_lost_process_is_told_as_itself(tmp_path: Path, forks: Forks) -> None:
    message = "reading /mnt/pictures: Connection timed out"
    function = "tests.training.ranks:fail_for_another_reason"
    both = forks.start_together(2, message, log=tmp_path / "log", main=function)
    assert [each.wait() for each in both] == [70, 70]
    told = both[0].told.splitlines()
    assert f"RuntimeError: {message}" in told
    assert told.count(f"ConnectionError: {LOST}") == 1


def test_processes_find_out_who_is_on_their_machine(tmp_path: Path, forks: Forks) -> None:
    [told, _] = started(forks, "tell_places", log=tmp_path / "log")
    lines = [line for line in told.told.splitlines() if not line.startswith("[Gloo]")]  # torch 2.8 tells its own
    assert sorted(lines) == ["0 of 2, 2 here", "1 of 2, 2 here"]


@pytest.mark.parametrize(
    "environment, told",
    [
        (
            {"WORLD_SIZE": "2"},
            "WORLD_SIZE is 2, but not set: RANK, MASTER_ADDR, MASTER_PORT; start the processes with: ",
        ),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "x"}, "WORLD_SIZE is 2, but not set: MASTER_PORT; start"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE: must be the number of processes of this run, not 'two'"),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "3"}, "srun started 8 processes that are not connected"),
    ],
)
def test_processes_that_torchrun_did_not_start_are_told_how(
    environment: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=re.escape(told)) as caught, open_processes():
        pass
    assert "\n" not in str(caught.value)
    assert "torchrun" in str(caught.value) or value == "two"


@pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": "1"}, {"WORLD_SIZE": "1", "SLURM_STEP_NUM_TASKS": "8"}])
def test_a_run_of_its_own_is_alone(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with open_processes() as processes:
        assert processes == ALONE


def test_processes_that_cannot_meet_say_where_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
            monkeypatch.setenv(name, value)
        told = f"cannot connect at 127.0.0.1:{port}: .*address already in use"
        with pytest.raises(ConnectionError, match=told), open_processes():
            pass
