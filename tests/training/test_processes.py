"""Several processes are one with a larger batch, and none of them waits for the dead."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cyclegan.checkpoint import checkpoints_in, read_newest
from cyclegan.recipe import write_recipe
from cyclegan.training.processes import ALONE
from cyclegan.training.trainer import train
from tests.forked import ONE_THREAD, Forks
from tests.tiny import tiny_recipe

ENDLESS = {"constant": "100000 images"}


def write(data: Path, **changes: Any) -> Path:
    path = data.parent / "recipe.yaml"
    speed = {"device": "cpu", "precision": "float32", "compile": "off"}
    write_recipe(tiny_recipe(data, speed=speed, **changes), path)
    return path


def wait_for_a_checkpoint(run: Path, alive: Callable[[], bool]) -> None:
    while alive() and not checkpoints_in(run):
        time.sleep(0.02)


def losses(run: Path) -> dict[str, list[float]]:
    read = EventAccumulator(str(run))
    read.Reload()
    return {tag: [e.value for e in read.Scalars(tag)] for tag in read.Tags()["scalars"] if tag.startswith("loss")}


def test_two_processes_are_one_with_twice_the_batch(data: Path, tmp_path: Path, forks: Forks) -> None:
    """Pools included: they are full, and exchange, from the fourth fake on."""
    length = {"constant": "12 images", "decay": "8 images", "rate": 1e-4, "average": "4 images"}
    recipe = write(data, training=length)
    two = forks.start_together(2, "train", recipe, "--out", tmp_path / "two", log=tmp_path / "log")
    assert [each.wait() for each in two] == [0, 0], two[0].told
    train(tiny_recipe(data, training=length | {"batch": 2}), tmp_path / "one")

    ours, expected = losses(tmp_path / "two"), losses(tmp_path / "one")
    assert ours.keys() == expected.keys() and len(ours["loss/gan_a"]) == 10
    for name, values in expected.items():
        assert ours[name] == pytest.approx(values, rel=1e-3), name
    one, other = (read_newest(tmp_path / name) for name in ("one", "two"))
    assert (one.images, one.processes, other.images, other.processes) == (20, 1, 20, 2)
    for name, weight in one.method.items():
        torch.testing.assert_close(other.method[name], weight, rtol=0, atol=2e-4, msg=name)
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
    wait_for_a_checkpoint(tmp_path / "run", both[0].alive)
    both[victim].send(signal.SIGKILL)
    assert both[1 - victim].wait() == 2
    told = both[0].told
    assert "cyclegan: another process of this run has ended" in told and "Traceback" not in told
    assert read_newest(tmp_path / "run").images > 0


def test_a_signal_stops_all_processes_at_the_same_image(data: Path, tmp_path: Path, forks: Forks) -> None:
    recipe = write(data, training=ENDLESS)
    both = forks.start_together(2, "train", recipe, "--out", tmp_path / "run", log=tmp_path / "log")
    wait_for_a_checkpoint(tmp_path / "run", both[0].alive)
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


def test_torchrun_starts_again_from_the_last_checkpoint(data: Path, tmp_path: Path) -> None:
    recipe, run = (
        write(data, training={"constant": "100 images"}, journal={"checkpoint_every": "10 images"}),
        tmp_path / "run",
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", "1", "-m", "cyclegan", "train", str(recipe), "--out", str(run)]
    environment = os.environ | ONE_THREAD | {"GLOO_SOCKET_IFNAME": "lo"}
    agent = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", env=environment
    )
    wait_for_a_checkpoint(run, lambda: agent.poll() is None)
    children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text(encoding="utf-8").split()
    os.kill(int(children[0]), signal.SIGKILL)
    told, _ = agent.communicate()
    assert agent.returncode == 0, told
    assert told.count("images to see") == 2 and f"{run}/checkpoints/0000000104.pt" in told


def test_alone_everything_is_as_it_was() -> None:
    fakes = torch.rand(2, 3)
    ALONE.average([fakes])
    together, own = ALONE.gather(fakes)
    assert together is fakes and torch.equal(together[own], fakes)
    assert ALONE.first and ALONE.largest(3) == 3
    ALONE.agree("anything", "whatever")
