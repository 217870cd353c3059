"""Pictures held out are never learned from, score the run while it learns, and choose what is kept as the best."""

from __future__ import annotations

import errno
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cyclegan.checkpoint import Checkpoint, best_path, read_checkpoint, read_newest, write_checkpoint
from cyclegan.images.folders import Folder
from cyclegan.inference.translator import Translator
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.recipe import Recipe, write_recipe
from cyclegan.training.trainer import Trainer, train
from cyclegan.training.validation import Validation
from tests.cli.test_cli import run_main
from tests.tiny import tiny_recipe, write_pictures
from tests.training.test_training import assert_equal, events, everything


@pytest.fixture
def evaluated(tmp_path: Path, weights: Path) -> Recipe:
    """A tiny run that is scored every other step, on 8 of 12 and 8 of 13 pictures."""
    for seed, (name, number) in enumerate([("trainA", 12), ("trainB", 13), ("testA", 2), ("testB", 2)]):
        write_pictures(tmp_path / "data" / name, number, seed=seed)
    return scored(tmp_path / "data", weights)


def scored(data: Path, weights: Path, **changes: dict[str, Any]) -> Recipe:
    shown = {"log_every": "2 images", "samples_every": "4 images", "samples": 1, "checkpoint_every": "3 images"}
    recipe = tiny_recipe(data, journal=shown | {"evaluate_every": "2 images"} | changes.pop("journal", {}), **changes)
    features = FeaturesConfig(network="squeezenet1_1", weights=weights)
    return replace(recipe, features=features, data=replace(recipe.data, validation=8))


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    seen = events(run)
    return {
        tag: [(event.step, event.value) for event in seen.Scalars(tag)]
        for tag in seen.Tags()["scalars"]
        if tag.startswith("validation/")
    }


def test_held_out_pictures_are_never_learned_from(evaluated: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(evaluated, tmp_path / "run")
    held_out = set(trainer.loader.a.held_out) | set(trainer.loader.b.held_out)
    learned = {path for seen in range(50) for path in trainer.loader.files(seen)}
    assert len(held_out) == 16 and not held_out & learned
    assert held_out | learned == set((tmp_path / "data").glob("train*/*"))


def test_which_are_held_out_follows_the_seed(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", 30)

    def held_out(seed: int) -> list[Path]:
        return Folder(tmp_path / "a", lambda x: x, memory=0, warn=print, validation=10, seed=seed).held_out

    assert held_out(1) == held_out(1) != held_out(2)


def test_without_scores_nothing_is_held_out(recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path / "run")
    assert not trainer.loader.a.held_out and len(trainer.loader.a) == 5


def test_scores_are_written_as_often_as_asked_and_at_the_end(evaluated: Recipe, tmp_path: Path) -> None:
    train(evaluated, tmp_path / "run")
    seen = curves(tmp_path / "run")
    figures = ("kid", "fid", "precision", "recall", "structure", "cycle_ssim", "cycle_psnr", "cycle_perceptual")
    assert {f"validation/{name}_{way}" for name in figures for way in ("AtoB", "BtoA")} <= set(seen)
    assert [step for step, _ in seen["validation/kid"]] == [2, 4, 6, 8]
    layout = events(tmp_path / "run").Tensors("custom_scalars__config__")[-1].tensor_proto.string_val[0]
    assert b"validation/kid_AtoB" in layout
    there, back = seen["validation/kid_AtoB"], seen["validation/kid_BtoA"]
    for (_, mean), (_, one), (_, other) in zip(seen["validation/kid"], there, back, strict=True):
        assert mean == pytest.approx((one + other) / 2, rel=1e-4)


def test_best_is_the_one_with_the_lowest_kid(
    evaluated: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kids = iter([5.0, 3.0, 4.0, 3.0])
    monkeypatch.setattr(Validation, "score", lambda *_: next(kids))
    train(evaluated, tmp_path / "run")
    best = read_checkpoint(best_path(tmp_path / "run"))
    assert (best.images, best.best) == (4, 3.0)
    assert read_newest(tmp_path / "run").best == 3.0
    Translator.load(best_path(tmp_path / "run"), "BtoA")


def test_a_best_that_could_not_be_saved_does_not_count(
    evaluated: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_at_first(checkpoint: Checkpoint, path: Path) -> None:
        if path.name == "best.pt" and checkpoint.images == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_checkpoint(checkpoint, path)

    kids = iter([3.0, 5.0, 6.0, 6.0])
    monkeypatch.setattr(Validation, "score", lambda *_: next(kids))
    monkeypatch.setattr("cyclegan.training.keeper.write_checkpoint", full_at_first)
    train(evaluated, tmp_path / "run")
    best = read_checkpoint(best_path(tmp_path / "run"))
    assert (best.images, best.best) == (4, 5.0) and "best.pt could not be saved" in capsys.readouterr().err


@pytest.mark.parametrize("stop", [3, 4])
def test_resume_repeats_scores_and_best_bit_for_bit(evaluated: Recipe, tmp_path: Path, stop: int) -> None:
    train(evaluated, tmp_path / "whole")
    trainer = Trainer(evaluated, tmp_path / "halved")
    saved, trainer.total = trainer.total, stop
    trainer.train()
    assert saved == 8
    train(evaluated, tmp_path / "halved", resume=True)
    whole, halved = curves(tmp_path / "whole"), curves(tmp_path / "halved")
    for tag, curve in whole.items():  # the stopped life scored its own end, too
        assert [point for point in halved[tag] if point[0] != stop or stop % 2 == 0] == curve
    assert_equal(everything(tmp_path / "halved"), everything(tmp_path / "whole"))


def test_networks_that_give_nan_have_no_score_and_are_never_the_best(evaluated: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(evaluated, tmp_path / "run")
    with trainer.journal, torch.no_grad():
        trainer._prepare()
        trainer.game.method.translators()["AtoB"].head.weight.fill_(math.nan)
        trainer._validate()
    assert not best_path(tmp_path / "run").exists() and not curves(tmp_path / "run")


@pytest.mark.parametrize("number, told", [(12, "trainA: holds 12 pictures, and data.validation keeps 50")])
def test_folders_that_are_too_small_are_told(number: int, told: str, data: Path, weights: Path, tmp_path: Path) -> None:
    write_pictures(data / "trainA", number)
    recipe = tiny_recipe(data, journal={"evaluate_every": "2 images"})
    recipe = replace(recipe, features=scored(data, weights).features)
    with pytest.raises(ValueError, match=told):
        train(recipe, tmp_path / "run")


def test_too_few_readable_pictures_are_told_before_the_first_step(evaluated: Recipe, tmp_path: Path) -> None:
    held_out = Trainer(evaluated, tmp_path / "other").loader.b.held_out
    for path in held_out[:5]:
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="trainB: only 3 of the pictures held out can be read; 4 are needed"):
        train(evaluated, tmp_path / "run")


@pytest.mark.parametrize("changes", [{"journal": {"evaluate_every": None}}, {"training": {"seed": 1}}])
def test_a_resumed_run_cannot_begin_to_learn_from_held_out_pictures(
    evaluated: Recipe, weights: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    train(evaluated, tmp_path / "run")
    recipe = scored(evaluated.data.root, weights, **changes)
    with pytest.raises(ValueError, match=r"leave them as the run began \(8 of each folder held out\)"):
        train(recipe, tmp_path / "run", resume=True)


def test_other_features_begin_a_new_best(evaluated: Recipe, tmp_path: Path) -> None:
    train(evaluated, tmp_path / "run")
    other = tmp_path / "copy.pth"
    other.write_bytes(Path(str(evaluated.features.weights)).read_bytes())
    assert Trainer(evaluated, tmp_path / "run", resume=True).best < math.inf
    changed = replace(evaluated, features=replace(evaluated.features, weights=other))
    assert Trainer(changed, tmp_path / "run", resume=True).best == math.inf


def test_a_finished_run_is_scored_on_its_test_split_and_reported(
    evaluated: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("testA", "testB")):
        write_pictures(evaluated.data.root / name, 8, seed=seed)
    write_recipe(evaluated, tmp_path / "tiny.yaml")
    assert run_main("train", tmp_path / "tiny.yaml", "--out", tmp_path / "run") == 0
    scores = json.loads((tmp_path / "run" / "metrics.json").read_text())["scores"]
    assert [(score["weights"], score["what"]) for score in scores[:4]] == [
        ("last", "AtoB"), ("last", "BtoA"), ("best", "AtoB"), ("best", "BtoA"),
    ]  # fmt: skip
    seen = events(tmp_path / "run")
    assert seen.Scalars("test/kid_AtoB")[0].value == pytest.approx(scores[0]["kid"]["value"], rel=1e-5)
    assert seen.Scalars("test_best/kid_BtoA")[0].step == scores[3]["images_seen"]
    assert "best, after" in capsys.readouterr().out and (tmp_path / "run" / "report.html").is_file()


def test_a_run_without_test_pictures_is_finished_all_the_same(
    evaluated: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(evaluated.data.root / "testB")
    write_recipe(evaluated, tmp_path / "tiny.yaml")
    assert run_main("train", tmp_path / "tiny.yaml", "--out", tmp_path / "run") == 0
    told = capsys.readouterr()
    assert "not scored: " in told.err and "testB" in told.err and "report.html" in told.out
