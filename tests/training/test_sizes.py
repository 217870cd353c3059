"""Runs on pictures of several sizes: samples, scores and reports show each in its shape, and resume is exact."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cyclegan.data.fit import Size
from cyclegan.data.presets import fit_of
from cyclegan.inference.evaluate import evaluate_run
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.publish.export import export
from cyclegan.recipe import Recipe
from cyclegan.report.run import write_report
from cyclegan.training.grids import FRAME, grid, joined
from cyclegan.training.samples import Samples
from cyclegan.training.trainer import Trainer, train
from cyclegan.types import Direction
from tests.data.test_order import write
from tests.tiny import tiny_recipe
from tests.training.test_training import assert_equal, everything

SIZES: list[Size] = [(32, 48), (48, 32), (40, 40)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("trainA", "trainB", "testA", "testB"):
        write(tmp_path / "data" / name, SIZES * 4)
    return tmp_path


def several(root: Path, **changes: dict[str, Any]) -> Recipe:
    """A recipe for pictures of three sizes, two in a batch."""
    data = {"transforms": None, "fit": "none"} | changes.pop("data", {})
    training = {"batch_size": 2, "lr_schedule": {"constant": "8 images", "decay": "8 images"}}
    return tiny_recipe(root / "data", data=data, training=training, **changes)


@pytest.mark.parametrize("stop", [4, 10])
def test_resume_continues_bit_for_bit(root: Path, stop: int) -> None:
    train(several(root), root / "whole")
    trainer = Trainer(several(root), root / "cut")
    trainer.total = stop
    trainer.train()
    train(several(root), root / "cut", resume=True)
    state = everything(root / "whole")
    assert_equal(everything(root / "cut"), state)
    assert {"pool_a.others.0.images", "pool_b.others.0.images"} <= state["method"].keys()


def test_neither_compilation_nor_graphs_are_tried_and_the_run_says_so(root: Path) -> None:
    speed = {"compile": "auto", "graph": "auto", "channels_last": "auto"}
    train(several(root, speed=speed), root / "run")
    kept = json.loads((root / "run" / "levers.json").read_text(encoding="utf-8"))
    assert kept["levers"]["compile"] == "off" and kept["levers"]["graph"] is False
    assert kept["told"].endswith("(compile and graph not tried: pictures have 3 sizes)")


def test_pictures_of_one_size_are_told_as_ever(root: Path) -> None:
    train(several(root, data={"fit": "crop", "size": 32}), root / "run")
    assert "sizes" not in json.loads((root / "run" / "levers.json").read_text(encoding="utf-8"))["told"]


def test_samples_of_several_sizes_are_translated_apart_and_framed(root: Path) -> None:
    recipe = several(root)
    trainer = Trainer(recipe, root / "run")
    samples = Samples(trainer.recipe.data, 3, fit_of(trainer.recipe.data), torch.device("cpu"))
    for direction, parts in samples.columns(trainer.learner):
        assert [part["real"].shape[2:] for part in parts] == SIZES
        network = trainer.learner.generators[direction].eval()
        with torch.no_grad():
            assert all(torch.equal(part["fake"], network(part["real"])) for part in parts)
    columns = joined(parts)
    assert columns["real"].shape == (3, 3, 48, 48)
    assert (columns["real"][0, :, :8] == FRAME / 127.5 - 1).all()
    assert torch.equal(columns["real"][0, :, 8:40], parts[0]["real"][0])
    assert grid(columns).shape[2] == 4 * (48 + 4) + 4


def test_scores_reports_and_exports_keep_every_size(root: Path, weights: Path) -> None:
    log = {"evaluate_every": "8 images", "graph": True, "histograms_every": "8 images"}
    recipe = several(root, log=log)
    recipe = replace(recipe, features=FeaturesConfig(network="squeezenet1_1", weights=weights))
    recipe = replace(recipe, data=replace(recipe.data, validation=5))
    train(recipe, root / "run")
    features = recipe.features.build()
    evaluation = evaluate_run(root / "run", features, device="cpu")
    assert evaluation.protocol["size"] == "as the files are" and evaluation.own
    assert all(score.images == 12 for score in evaluation.scores)
    assert evaluate_run(root / "run", features, device="cpu", size=40).protocol["size"] == "40 x 40"
    assert "48" in write_report(root / "run", device="cpu").read_text(encoding="utf-8")
    assert not export(root / "run", root / "g.safetensors", Direction.AtoB).notes


@pytest.mark.parametrize(
    "fit, size, told",
    [
        ("crop", 32, "shorter side 32, middle 32 x 32"),
        ("squash", 32, "32 x 32, squashed"),
        ("scale_width", 64, "width 64"),
        ("scale_shortest", 32, "shorter side 32"),
    ],
)
def test_the_protocol_says_the_fit(fit: str, size: int, told: str, root: Path, weights: Path) -> None:
    recipe = several(root, data={"fit": fit, "size": size})
    train(recipe, root / "run")
    features = FeaturesConfig(network="squeezenet1_1", weights=weights).build()
    assert evaluate_run(root / "run", features, device="cpu").protocol["size"] == told


def test_a_paired_run_of_several_sizes_is_scored_against_its_partners(root: Path, weights: Path) -> None:
    recipe = several(
        root, data={"pairs": "stem"}, method={"kind": "pix2pix", "generator": {"kind": "resnet", "width": 4}}
    )
    train(recipe, root / "run")
    features = FeaturesConfig(network="squeezenet1_1", weights=weights).build()
    [score, *_] = evaluate_run(root / "run", features, device="cpu").scores
    assert score.images == 12 and "truth_psnr" in score.figures
