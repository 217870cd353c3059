"""A resumed run reports each key of the recipe that has changed, and jumps of the learning rate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cyclegan.checkpoint import Checkpoint
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.recipe import Recipe
from cyclegan.training.changed import changes_told, different
from cyclegan.training.trainer import Trainer
from tests.tiny import tiny_recipe, write_pictures


def saved(recipe: Recipe, images: int, epoch: int = 5) -> Checkpoint:
    """A checkpoint saved by two processes."""
    return Checkpoint(
        recipe=recipe, images=images, epoch=epoch, processes=2, best=0.0, method={}, ema={}, plateau={}, optimizers={}
    )


def told(images: int, before: dict[str, Any], now: dict[str, Any], *, epoch: int = 5) -> list[str]:
    """The reported lines, for changes of `training` and a number of images seen."""
    recipes = [tiny_recipe(Path("data"), training=changes) for changes in (before, now)]
    return changes_told(saved(recipes[0], images), recipes[1], epoch)


def test_a_recipe_that_did_not_change_is_not_told() -> None:
    assert told(6, {}, {}) == []


def test_a_longer_decay_tells_how_the_rate_jumps() -> None:
    """1e-3 for 4 images, then 4 that decay it to a fifth: two fifths in the last step before image 8."""
    before, after = (
        {"lr": 1e-3, "lr_schedule": {"decay": "4 images"}},
        {"lr": 1e-3, "lr_schedule": {"decay": "400 images"}},
    )
    [line] = told(8, before, after)
    goes = "the learning rate goes from 0.0004 to 0.00099 here, after 8 images"
    assert line == f"training.lr_schedule.decay: 4 images -> 400 images; {goes}"


def test_the_last_key_of_the_schedule_tells_and_only_where_it_jumps() -> None:
    lines = told(2, {}, {"lr_schedule": {"constant": "10 images", "decay": "9 epochs"}})
    assert lines == [
        "training.lr_schedule.constant: 4 images -> 10 images",
        "training.lr_schedule.decay: 4 images -> 9 epochs",
    ]
    lines = told(6, {}, {"lr_schedule": {"constant": "10 images"}, "grad_clip": 1.0, "lr": 1e-4})
    assert [line.count("the learning rate goes from") for line in lines] == [0, 1, 0]
    assert lines[0] == "training.lr: 0.0002 -> 0.0001" and lines[2] == "training.grad_clip: 0.0 -> 1.0"


def test_another_length_of_an_epoch_moves_the_rate_too() -> None:
    span = {"lr_schedule": {"constant": "1 epoch", "decay": "4 epochs"}}
    because = "after 17 images, because the length of an epoch has changed"
    assert told(17, span, span, epoch=8) == [f"the learning rate goes from 8e-05 to 0.00012 here, {because}"]
    assert told(16, span, span, epoch=8) == []  # the last image before the rate falls


def test_a_run_that_has_ended_tells_no_rate() -> None:
    assert told(8, {}, {"lr_schedule": {"decay": "3 images"}}) == ["training.lr_schedule.decay: 4 images -> 3 images"]


def test_every_changed_key_is_one_line_of_its_own() -> None:
    crop = [{"Resize": {"height": 36, "width": 36}}, {"RandomCrop": {"height": 32, "width": 24}}]
    flip = [*crop, {"HorizontalFlip": {"p": 0.5}}]
    one, other, longer = (
        tiny_recipe(Path(root), data={"transforms": transforms}, log={"wandb": project})
        for root, transforms, project in (("a\nb", [], None), ("c", crop, "x" * 300), ("c", flip, None))
    )
    keys = dict.fromkeys(key for key, _, _ in different(one, other))
    assert list(keys) == ["data.root", "data.transforms", "log.wandb"]
    lines = changes_told(saved(one, 1), other, 5)
    assert lines[0] == "data.root: a b -> c" and all(len(line) < 300 and line.isprintable() for line in lines)
    assert [key for key, _, _ in different(other, longer)] == ["data.transforms", "log.wandb"]
    narrow = tiny_recipe(Path("c"), data={"transforms": [crop[0], {"RandomCrop": {"height": 32, "width": 16}}]})
    assert ("data.transforms.1.RandomCrop.width", 24, 16) in different(other, narrow)


def test_other_features_begin_a_new_best() -> None:
    one = tiny_recipe(Path("data"))
    other = replace(one, features=FeaturesConfig(network="vgg16"))
    assert changes_told(saved(one, 1), other, 5) == [
        "features.network: inception -> vgg16; earlier scores no longer count for best.pt"
    ]


def test_a_resumed_run_tells_what_changed(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trainer = Trainer(tiny_recipe(data), tmp_path / "run")
    trainer.learner.images = 6
    trainer._save()
    Trainer(tiny_recipe(data, training={"lr_schedule": {"constant": "9 images"}}), tmp_path / "run", resume=True)
    assert (
        "training.lr_schedule.constant: 4 images -> 9 images; the learning rate goes from 0.00012 to 0.0002 here"
        in (capfd.readouterr().err)
    )
    write_pictures(data / "trainA" / "more", 2)
    Trainer(tiny_recipe(data, training={"lr_schedule": {"constant": "1 epoch"}}), tmp_path / "run", resume=True)
    lines = capfd.readouterr().err.splitlines()
    order = "the order of the pictures changes from here on; an epoch now has 7 images instead of 5"
    assert [line.partition(":")[0].rpartition("/")[2] for line in lines] == [
        "trainA",
        order,
        "training.lr_schedule.constant",
    ]


def test_resuming_where_no_checkpoint_is_left_says_that_it_begins_anew(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    for name in ("recipe.yaml", "checkpoints/backup.pt"):
        (tmp_path / "run" / name).write_text("", encoding="utf-8")
    Trainer(tiny_recipe(data), tmp_path / "run", resume=True)
    assert "run: no checkpoint to resume from; training starts from the beginning" in capfd.readouterr().err
