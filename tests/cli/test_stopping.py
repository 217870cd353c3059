"""Whatever asks a command to end, or takes its terminal away: what it did is saved, and one line says how to go on."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.checkpoint import checkpoints_in, read_newest
from cyclegan.cli.codes import REFUSED
from cyclegan.inference.generator_file import write_generator
from cyclegan.networks.config import ResnetConfig
from cyclegan.recipe import write_recipe
from cyclegan.training.learner import Learner
from cyclegan.training.optimizer import StepResult
from cyclegan.training.trainer import train
from cyclegan.types import Batch, Direction
from tests.cli.test_cli import run_main
from tests.forked import Forks
from tests.tiny import outputs, tiny_recipe, write_pictures

needs_hang_up = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


def endless(data: Path) -> Path:
    write_recipe(
        tiny_recipe(data, training={"lr_schedule": {"constant": "100000 images"}}), data.parent / "recipe.yaml"
    )
    return data.parent / "recipe.yaml"


@needs_hang_up
def test_a_training_whose_terminal_is_closed_saves_and_ends_with_129(data: Path, tmp_path: Path, forks: Forks) -> None:
    run = tmp_path / "run"
    process = forks.start_on_a_terminal("train", endless(data), "--out", run, "--speed.compile", "off")
    process.until(lambda: bool(checkpoints_in(run)))
    seen = read_newest(run).images
    process.hang_up()
    assert process.wait() == 129
    assert read_newest(run).images > seen


@needs_hang_up
def test_under_nohup_a_training_goes_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Learner.step

    def step(learner: Learner, pixels: Batch) -> StepResult:
        signal.raise_signal(signal.SIGHUP)
        return real(learner, pixels)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr(Learner, "step", step)
        train(tiny_recipe(data), tmp_path / "run")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert read_newest(tmp_path / "run").images == 8


def cut_pipe() -> io.TextIOWrapper:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", encoding="utf-8")


def full_disk() -> io.TextIOWrapper:
    return open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123


@pytest.mark.parametrize("stream", [cut_pipe, pytest.param(full_disk, marks=needs_full)])
def test_notes_that_nobody_can_read_cost_no_training(
    stream: Callable[[], io.TextIOWrapper], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream())
    train(tiny_recipe(data), tmp_path / "run")
    assert read_newest(tmp_path / "run").images == 8


def test_a_command_that_nobody_listens_to_does_its_work(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe(tiny_recipe(data), tmp_path / "recipe.yaml")
    monkeypatch.setattr(sys, "stdout", cut_pipe())
    monkeypatch.setattr(sys, "stderr", cut_pipe())
    assert run_main("train", tmp_path / "recipe.yaml", "--out", tmp_path / "run", "--speed.compile", "off") == 0
    assert (tmp_path / "run" / "report.html").is_file()
    sys.stdout.flush()  # as Python does at its end
    sys.stderr.flush()


@needs_full
def test_a_result_that_a_full_disk_does_not_take_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", full_disk())
    assert run_main("--version") == REFUSED
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_translation_that_is_stopped_leaves_whole_files_and_resumes(
    name: str, code: int, tmp_path: Path, forks: Forks
) -> None:
    if not hasattr(signal, name):
        pytest.skip(f"no {name} here")
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_pictures(photos, 400, size=64)
    torch.manual_seed(0)
    write_generator(ResnetConfig(width=8, blocks=2).build(), Direction.AtoB, tmp_path / "g.safetensors")
    words = ("translate", tmp_path / "g.safetensors", photos, out, "--precision", "float32")
    process = forks.start(*words, log=tmp_path / "log")
    process.until(lambda: len(list(out.glob("*.png"))) > 2)
    process.send(getattr(signal, name))
    assert process.wait() == code, process.told
    done = outputs(out)
    assert 2 < len(done) < 400 and all(name.endswith(".png") for name in done) and not list(out.rglob("*.part"))
    assert f"stopped after {len(done)} of 400 pictures; the translations so far are in {out}" in process.told
    assert process.told.rstrip().endswith(f"continue with: cyclegan {' '.join(map(str, words))} --resume")
    assert "Traceback" not in process.told

    for path in photos.iterdir():
        if int(path.stem) >= 8 and not (out / path.name).exists():
            path.unlink()  # the rest of the work, made short
    assert forks.start(*words, "--resume", log=tmp_path / "log").wait() == 0
    assert set(outputs(out)) == {path.name for path in photos.iterdir()}
    assert all(np.array(Image.open(path)).shape == (64, 64, 3) for path in outputs(out).values())
