"""Pictures held out are never learned from, score the run while it learns, and choose what is kept as the best."""

from __future__ import annotations

import errno
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cyclegan.checkpoint import Checkpoint, best_path, read_checkpoint, read_newest, write_checkpoint
from cyclegan.data.batches import Pictures
from cyclegan.data.convert import normalised
from cyclegan.data.sources import Source
from cyclegan.inference.translator import Translator
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.metrics.distances import distances
from cyclegan.metrics.result import FIGURES
from cyclegan.recipe import Recipe, write_recipe
from cyclegan.training.learner import Learner
from cyclegan.training.trainer import Trainer, train
from cyclegan.training.validation import Validation
from cyclegan.types import Direction
from tests.cli.test_cli import run_main
from tests.figures import WITHOUT_STYLES
from tests.tiny import tiny_recipe, write_pictures
from tests.training.test_training import assert_equal, events, everything


@pytest.fixture
def evaluated(tmp_path: Path, weights: Path) -> Recipe:
    """A tiny run that is scored every other step, on 8 of 12 and 8 of 13 pictures."""
    for seed, (name, number) in enumerate([("trainA", 12), ("trainB", 13), ("testA", 2), ("testB", 2)]):
        write_pictures(tmp_path / "data" / name, number, seed=seed)
    return scored(tmp_path / "data", weights)


def scored(data: Path, weights: Path, **changes: dict[str, Any]) -> Recipe:
    shown = {"scalars_every": "2 images", "samples_every": "4 images", "samples": 1, "checkpoint_every": "3 images"}
    recipe = tiny_recipe(data, log=shown | {"evaluate_every": "2 images"} | changes.pop("log", {}), **changes)
    features = FeaturesConfig(network="squeezenet1_1", weights=weights)
    return replace(recipe, features=features, data=replace(recipe.data, validation=8))


@pytest.fixture
def equally_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures held out are there, and comparing them takes no time."""
    monkeypatch.setattr(Validation, "score", lambda *_: 1.0)


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


def test_without_scores_nothing_is_held_out(recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path / "run")
    assert not trainer.loader.a.held_out and len(trainer.loader.a) == 5


def test_scores_are_written_as_often_as_asked_and_at_the_end(evaluated: Recipe, tmp_path: Path) -> None:
    train(evaluated, tmp_path / "run")
    seen = curves(tmp_path / "run")
    figures = [name for name in WITHOUT_STYLES if FIGURES[name].against != "truth"]
    assert {"kid", "fid", "precision", "recall", "structure", "cycle_ssim", "cycle_perceptual"} <= set(figures)
    tags = {f"validation/{name}_{way}" for name in figures for way in ("AtoB", "BtoA")}
    assert tags | {"validation/kid"} == set(seen)
    assert [step for step, _ in seen["validation/kid"]] == [2, 4, 6, 8]
    layout = events(tmp_path / "run").Tensors("custom_scalars__config__")[-1].tensor_proto.string_val[0]
    assert b"validation/kid_AtoB" in layout
    there, back = seen["validation/kid_AtoB"], seen["validation/kid_BtoA"]
    for (_, mean), (_, one), (_, other) in zip(seen["validation/kid"], there, back, strict=True):
        assert mean == pytest.approx((one + other) / 2, rel=1e-4)


def test_a_domain_against_itself_is_scored_as_it_is_directly(
    evaluated: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By translators that do nothing, in a run that computes in bf16."""
    data = evaluated.data.root
    shutil.rmtree(data / "trainB")
    shutil.copytree(data / "trainA", data / "trainB")
    trainer = Trainer(replace(evaluated, speed=replace(evaluated.speed, precision="bf16")), tmp_path / "run")
    identity: dict[Direction, nn.Module] = dict.fromkeys(Direction, nn.Identity())
    monkeypatch.setattr(Learner, "generators", identity)
    with trainer.log:
        trainer._prepare()
        mean = trainer.validation.score(trainer.learner, trainer.log)
    features = evaluated.features.build()
    held_out = Pictures(Source(data / "trainA"), trainer.loader.augment.fit((32, 32)), trainer.loader.a.held_out)
    seen = features.of(map(normalised, held_out))
    direct = distances(seen, seen).figures
    assert mean == direct["kid"].value
    for name, expected in direct.items():
        [(_, value)] = curves(tmp_path / "run")[f"validation/{name}_AtoB"]
        assert value == np.float32(expected.value), name


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
    monkeypatch.setattr("cyclegan.training.checkpointer.write_checkpoint", full_at_first)
    train(evaluated, tmp_path / "run")
    best = read_checkpoint(best_path(tmp_path / "run"))
    assert (best.images, best.best) == (4, 5.0) and "best.pt could not be saved" in capsys.readouterr().err


def test_resume_repeats_scores_and_best_bit_for_bit(evaluated: Recipe, tmp_path: Path) -> None:
    train(evaluated, tmp_path / "whole")
    whole, expected = curves(tmp_path / "whole"), everything(tmp_path / "whole")
    for stop in (3, 4):  # where no score is due, and where one is
        trainer = Trainer(evaluated, tmp_path / f"halved at {stop}")
        saved, trainer.total = trainer.total, stop
        trainer.train()
        assert saved == 8
        train(evaluated, tmp_path / f"halved at {stop}", resume=True)
        halved = curves(tmp_path / f"halved at {stop}")
        for tag, curve in whole.items():  # the stopped life scored its own end, too
            assert [point for point in halved[tag] if point[0] != stop or stop % 2 == 0] == curve
        assert_equal(everything(tmp_path / f"halved at {stop}"), expected)


def test_networks_that_give_nan_have_no_score_and_are_never_the_best(evaluated: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(evaluated, tmp_path / "run")
    with trainer.log, torch.no_grad():
        trainer._prepare()
        trainer.learner.method.get_parameter("a_to_b.head.weight").fill_(math.nan)
        trainer._validate()
    assert not best_path(tmp_path / "run").exists() and not curves(tmp_path / "run")


def test_folders_that_are_too_small_are_told(data: Path, weights: Path, tmp_path: Path) -> None:
    write_pictures(data / "trainA", 12)
    recipe = tiny_recipe(data, log={"evaluate_every": "2 images"})
    recipe = replace(recipe, features=scored(data, weights).features)
    with pytest.raises(ValueError, match=r"trainA: has 12 pictures, but data\.validation holds out 50"):
        Trainer(recipe, tmp_path / "run")


def test_few_pictures_are_scored_and_what_that_makes_of_the_scores_is_told(
    evaluated: Recipe, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trainer = Trainer(replace(evaluated, data=replace(evaluated.data, validation=4)), tmp_path / "run")
    with trainer.log:
        trainer._prepare()
        assert math.isfinite(trainer.validation.score(trainer.learner, trainer.log))
    told = capfd.readouterr().err
    assert "validation: 4 + 4 held-out pictures are few: the scores, and the choice of best.pt, depend on" in told
    assert "of 4 + 4 held-out pictures, few, after 0 images" in told
    with pytest.raises(ValueError, match=r"data\.validation: .*greater than or equal to 4"):
        tiny_recipe(evaluated.data.root, data={"validation": 3})


def test_when_too_few_of_those_held_out_are_left_a_resumed_run_says_so(evaluated: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(evaluated, tmp_path / "run")
    trainer._save()
    for path in trainer.loader.b.held_out[:5]:
        path.unlink()
    told = r"trainB: only 3 of the held-out pictures can be read, and at least 4 are needed: .*evaluate_every: null"
    with pytest.raises(ValueError, match=told):
        train(evaluated, tmp_path / "run", resume=True)


@pytest.mark.usefixtures("equally_good")
def test_other_features_begin_a_new_best(evaluated: Recipe, tmp_path: Path) -> None:
    train(evaluated, tmp_path / "run")
    other = tmp_path / "copy.pth"
    other.write_bytes(Path(str(evaluated.features.weights)).read_bytes())
    assert Trainer(evaluated, tmp_path / "run", resume=True).best < math.inf
    changed = replace(evaluated, features=replace(evaluated.features, weights=other))
    assert Trainer(changed, tmp_path / "run", resume=True).best == math.inf


@pytest.mark.usefixtures("equally_good")
def test_a_finished_run_is_scored_on_its_test_split_and_reported(
    evaluated: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("testA", "testB")):
        write_pictures(evaluated.data.root / name, 8, seed=seed)
    write_recipe(evaluated, tmp_path / "tiny.yaml")
    assert run_main("train", tmp_path / "tiny.yaml", "--out", tmp_path / "run") == 0
    scores = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))["scores"]
    assert [(score["weights"], score["what"]) for score in scores[:4]] == [
        ("last", "AtoB"), ("last", "BtoA"), ("best", "AtoB"), ("best", "BtoA"),
    ]  # fmt: skip
    seen = events(tmp_path / "run")
    assert seen.Scalars("test/kid_AtoB")[0].value == pytest.approx(scores[0]["figures"]["kid"]["value"], rel=1e-5)
    assert seen.Scalars("test_best/kid_BtoA")[0].step == scores[3]["images_seen"]
    assert "best, after" in capsys.readouterr().out and (tmp_path / "run" / "report.html").is_file()


@pytest.mark.usefixtures("equally_good")
def test_a_run_without_test_pictures_is_finished_all_the_same(
    evaluated: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(evaluated.data.root / "testB")
    write_recipe(evaluated, tmp_path / "tiny.yaml")
    assert run_main("train", tmp_path / "tiny.yaml", "--out", tmp_path / "run") == 0
    told = capsys.readouterr()
    assert "not scored: " in told.err and "testB" in told.err and "report.html" in told.out
