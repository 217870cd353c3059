"""A checkpoint is whole or it is not there; a damaged one is named, and the one before it is taken."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import torch

from cyclegan.checkpoint import (
    FORMAT,
    Checkpoint,
    checkpoint_path,
    checkpoints_in,
    newest_checkpoint,
    read_checkpoint,
    read_newest,
    seen_by,
)
from cyclegan.cli import main
from cyclegan.cli.codes import UNSAVED
from cyclegan.recipe import Recipe, read_recipe, write_recipe
from cyclegan.training.checkpointer import Unsaved
from cyclegan.training.trainer import train
from cyclegan.util.atomic import write_whole
from tests.tiny import tiny_recipe, write_pictures
from tests.training.test_training import assert_equal, everything


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, beside its pictures."""
    root = tmp_path_factory.mktemp("trained")
    for name in ("trainA", "trainB"):
        write_pictures(root / "data" / name, 4)
    train(tiny_recipe(root / "data"), root / "run")
    return root / "run"


@pytest.fixture
def recipe(trained: Path) -> Recipe:
    return read_recipe(trained / "recipe.yaml")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def contents(checkpoint: Checkpoint) -> dict[str, Any]:
    return {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint)}


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


def test_a_flipped_bit_anywhere_is_noticed_or_harmless(run: Path, tmp_path: Path) -> None:
    whole = newest_checkpoint(run).read_bytes()
    expected, refused, path = contents(read_newest(run)), 0, tmp_path / "damaged.pt"
    for position in np.random.default_rng(0).integers(0, len(whole), 150):
        path.write_bytes(whole)
        flip(path, int(position))
        try:
            seen = contents(read_checkpoint(path))
        except ValueError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            refused += 1
        else:
            assert_equal(seen, expected)
    assert refused > 75  # the rest hit the padding between the parts


@pytest.mark.parametrize("kept", [0, 1, 100, 5000, -1])
def test_a_truncated_checkpoint_is_refused_by_name(run: Path, kept: int) -> None:
    path = newest_checkpoint(run)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"0000000008\.pt: damaged, or not a checkpoint"):
        read_checkpoint(path)


def test_a_compressed_checkpoint_is_refused(run: Path, tmp_path: Path) -> None:
    with ZipFile(newest_checkpoint(run)) as whole, ZipFile(tmp_path / "x.pt", "w", ZIP_DEFLATED) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    with pytest.raises(ValueError, match="compressed"):
        read_checkpoint(tmp_path / "x.pt")


def test_a_damaged_newest_checkpoint_costs_only_the_steps_since_the_one_before(
    recipe: Recipe, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected, newest = everything(run), newest_checkpoint(run)
    flip(newest, newest.stat().st_size // 2)
    assert read_newest(run).images == 6
    [record] = caplog.records
    assert str(newest) in record.getMessage() and "using 0000000006.pt instead" in record.getMessage()
    train(recipe, run, resume=True)
    assert_equal(everything(run), expected)


def test_damaged_checkpoints_ahead_cost_none_that_are_written_after_them(data: Path, tmp_path: Path) -> None:
    train(tiny_recipe(data, log={"checkpoint_every": "1 images", "keep_every": "2 images"}), tmp_path / "kept")
    for path in checkpoints_in(tmp_path / "kept")[-3:]:  # 6, 7 and 8; 2 and 4 are good
        path.write_bytes(b"")
    early = tiny_recipe(data, training={"lr_schedule": {"constant": "2 images", "decay": "3 images"}})
    train(early, tmp_path / "kept", resume=True)
    assert read_newest(tmp_path / "kept").images == 5


OTHERS = (
    "backup.pt",
    "0000000006-copy.pt",
    "0000000009 (2).pt",
    "9.pt",
    "00000000000.pt",
    "\uff10" * 9 + "9.pt",
    "x.pt",
)


def test_only_what_training_writes_is_a_checkpoint_and_nothing_else_is_touched(
    recipe: Recipe, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newest = newest_checkpoint(run)
    for name in OTHERS:
        newest.with_name(name).write_bytes(b"mine")
    assert newest_checkpoint(run) == newest and read_newest(run).images == 8
    longer = tiny_recipe(
        recipe.data.root, training={"lr_schedule": {"constant": "8 images"}}, log={"keep_every": "2 images"}
    )
    train(longer, run, resume=True)
    assert [path.stem[-2:] for path in checkpoints_in(run)] == ["06", "08", "09", "12"]
    assert all(newest.with_name(name).read_bytes() == b"mine" for name in OTHERS) and not caplog.records


def test_checkpoints_are_sorted_by_images_however_many(run: Path) -> None:
    for images in (9_999_999_999, 10_000_000_000):
        checkpoint_path(run, images).write_bytes(b"")
    assert [seen_by(path) for path in checkpoints_in(run)] == [6, 8, 9_999_999_999, 10_000_000_000]


def test_a_copy_under_the_name_of_a_later_one_is_passed_over(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint_path(run, 99).write_bytes(checkpoint_path(run, 6).read_bytes())
    assert read_newest(run).images == 8
    assert "0000000099.pt: holds the state after 6 images, unlike its name" in caplog.text


def test_a_run_that_replaces_its_checkpoints_meanwhile_is_read_all_the_same(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_late(path: Path) -> Checkpoint:
        for saved in checkpoints_in(run):  # while we were about to open the newest of two, two more were saved
            if seen_by(saved) < 100:
                state = torch.load(saved, weights_only=True)
                torch.save(state | {"images": seen_by(saved) + 100}, checkpoint_path(run, seen_by(saved) + 100))
                saved.unlink()
        return read_checkpoint(path)

    monkeypatch.setattr("cyclegan.checkpoint.read_checkpoint", read_late)
    assert read_newest(run).images == 108


def test_a_run_without_any_good_checkpoint_is_refused(recipe: Recipe, run: Path) -> None:
    for path in checkpoints_in(run):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"0000000008\.pt: damaged.* has no readable checkpoint"):
        train(recipe, run, resume=True)


def rewritten(path: Path, **changes: Any) -> None:
    torch.save(torch.load(path, weights_only=True) | changes, path)


@pytest.mark.parametrize("found", [0, FORMAT - 1, FORMAT + 1, str(FORMAT), None])
def test_other_formats_are_refused_by_name(run: Path, found: object) -> None:
    path = newest_checkpoint(run)
    rewritten(path, format=found)
    with pytest.raises(ValueError, match=f"{path}: has format {found!r} of another version of cyclegan"):
        read_checkpoint(path)


NAMES = {"a": ["0.png"], "b": []}


@pytest.mark.parametrize(
    "changes",
    [
        {"images": "8"}, {"method": []}, {"more": 1}, {"recipe": None},
        {"pictures": None}, {"pictures": {"a": ["0.png"]}}, {"pictures": NAMES | {"b": [3]}},
        {"held_out": NAMES}, {"held_out": {"a": {"0.png": 1}, "b": {}}}, {"held_out": {"a": {}}},
    ],
)  # fmt: skip
def test_a_checkpoint_with_other_fields_is_refused(run: Path, changes: dict[str, Any]) -> None:
    path = newest_checkpoint(run)
    rewritten(path, **changes)
    with pytest.raises(ValueError, match=f"{path}: not a checkpoint of cyclegan"):
        read_checkpoint(path)


def test_weights_of_another_shape_are_one_line(recipe: Recipe, run: Path) -> None:
    path = newest_checkpoint(run)
    state = torch.load(path, weights_only=True)
    state["method"]["a_to_b.head.bias"] = torch.zeros(7)
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"run: .*a_to_b\.head\.bias") as caught:
        train(tiny_recipe(recipe.data.root, training={"lr_schedule": {"constant": "6 images"}}), run, resume=True)
    assert "\n" not in str(caught.value)


def test_an_optimizer_of_other_weights_is_one_line(recipe: Recipe, run: Path) -> None:
    path = newest_checkpoint(run)
    state = torch.load(path, weights_only=True)
    state["optimizers"]["generators"]["state"][0]["exp_avg"] = torch.zeros(7)
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"run: .* the optimizer state of the generators does not fit their weights"):
        train(tiny_recipe(recipe.data.root, training={"lr_schedule": {"constant": "6 images"}}), run, resume=True)


def test_a_disk_that_is_full_for_a_while_costs_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    save, saved = torch.save, []

    def save_or_fail(state: dict[str, Any], file: Any) -> None:
        if state["images"] == 4:
            file.write(b"half a checkpoint")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, file)
        saved.append(state["images"])

    monkeypatch.setattr(torch, "save", save_or_fail)
    train(tiny_recipe(data, log={"checkpoint_every": "2 images"}), tmp_path / "run")
    told = capfd.readouterr().err
    assert told.count("No space left on device") == 1 and "training continues" in told
    assert saved == [2, 6, 8, 8] and [path.stem[-1] for path in checkpoints_in(tmp_path / "run")] == ["6", "8"]
    assert not list((tmp_path / "run").rglob("*.part"))


def test_a_disk_that_stays_full_is_told_in_the_end(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, write: Any, *, durable: bool = False) -> None:
        if path.stem > "0000000003":
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, write, durable=durable)

    monkeypatch.setattr("cyclegan.checkpoint.write_whole", full)
    with pytest.raises(Unsaved, match=r"0000000008\.pt could not be saved: No space.*the last good .*0000000003\.pt"):
        train(tiny_recipe(data), tmp_path / "run")
    assert read_newest(tmp_path / "run").images == 3


def test_a_really_full_disk_ends_with_the_last_good_checkpoint_and_its_own_exit_code(
    data: Path, tmp_path: Path, small_disk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """TensorBoard, samples and checkpoints all meet it."""
    often = {"scalars_every": "1 images", "samples_every": "1 images", "checkpoint_every": "3 images"}
    write_recipe(
        tiny_recipe(data, training={"lr_schedule": {"constant": "60 images"}}, log=often), tmp_path / "tiny.yaml"
    )
    with pytest.raises(SystemExit) as end:
        main(["train", str(tmp_path / "tiny.yaml"), "--out", str(small_disk / "run")])
    told = capfd.readouterr().err
    assert end.value.code == UNSAVED, told
    assert told.splitlines()[-1].startswith("cyclegan: ") and "the last good checkpoint: " in told
    assert "records cannot be written" in told and "Traceback" not in told
    left = os.statvfs(small_disk).f_bavail
    assert left * 4096 < 2**18, "the disk was not full"
    assert read_newest(small_disk / "run").images >= 3
