"""A method that learns from pairs, from training to export: a pair stays one, and its second picture is the truth."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cyclegan.metrics.config import FeaturesConfig
from cyclegan.recipe import Recipe
from cyclegan.training.trainer import Trainer, train
from tests.test_one_sided import ran, tags
from tests.tiny import tiny_recipe, write_pictures
from tests.training.halves import resumed_bit_for_bit

PIX2PIX: dict[str, Any] = {
    "kind": "pix2pix",
    "generator": {"kind": "unet", "width": 4, "depth": 5},
    "discriminator": {"kind": "patchgan", "width": 4, "depth": 2, "norm": "batch"},
}
TRUTH = {"truth_ssim", "truth_psnr", "truth_perceptual"}


def write_pairs(root: Path, pairs: str) -> Path:
    """24 pairs to learn from, 5 to test on: the second of each is the negative of the first."""
    for seed, (split, number) in enumerate([("train", 24), ("test", 5)]):
        paths = write_pictures(root / f"{split}A", number, seed=seed)
        (root / (split if pairs == "side_by_side" else f"{split}B")).mkdir()
        for path in paths:
            positive = np.asarray(Image.open(path))
            if pairs == "side_by_side":
                Image.fromarray(np.concatenate([positive, 255 - positive], 1)).save(root / split / path.name)
                path.unlink()
            else:
                Image.fromarray(255 - positive).save(root / f"{split}B" / path.with_suffix(".bmp").name)
    return root


def scored(root: Path, pairs: str, weights: Path) -> Recipe:
    """On pairs that it writes, with scores on the way."""
    log = {"evaluate_every": "4 images", "samples": 2, "samples_every": "4 images", "scalars_every": "2 images"}
    recipe = tiny_recipe(write_pairs(root, pairs), method=PIX2PIX, log=log, data={"pairs": pairs, "validation": 8})
    return replace(recipe, features=FeaturesConfig(network="squeezenet1_1", weights=weights))


def begun(tmp_path: Path, pairs: str, weights: Path) -> Trainer:
    """A run whose checkpoint is written."""
    trainer = Trainer(scored(tmp_path / "data", pairs, weights), tmp_path / "run")
    trainer._save()
    return trainer


@pytest.fixture(scope="module", params=["stem", "side_by_side"])
def recipe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Recipe:
    return scored(tmp_path_factory.mktemp("paired") / "data", request.param, weights)


@pytest.fixture(scope="module")
def run(recipe: Recipe) -> Path:
    folder = recipe.data.root.parent / "run"
    train(recipe, folder)
    return folder


def test_tensorboard_shows_losses_truth_and_scores_against_it(run: Path, recipe: Recipe) -> None:
    scalars = tags(run, "scalars")
    assert {tag for tag in scalars if tag.startswith("loss/")} == {"loss/gan", "loss/l1", "loss/discriminator"}
    assert {f"validation/{name}_AtoB" for name in TRUTH} <= {*scalars}
    assert not any("BtoA" in tag for tag in [*scalars, *tags(run, "images")])
    [sample, *_] = sorted((run / "samples").glob("*AtoB.png"))
    with Image.open(sample) as grid:  # real, fake and truth of 32 pixels, 4 pixels between
        pixels = np.asarray(grid.convert("RGB"), dtype=int)
    assert pixels.shape[1] == 3 * 36 + 4
    real, truth = pixels[-36:-4, 4:36], pixels[-36:-4, 76:108]
    assert np.abs(real + truth - 255).max() <= 2


def test_partners_are_held_out_and_learned_from_together(run: Path, recipe: Recipe) -> None:
    trainer = Trainer(recipe, run, resume=True)
    a, b = trainer.loader.a, trainer.loader.b
    assert [path.stem for path in a.held_out] == [path.stem for path in b.held_out] and len(a.held_out) == 8
    assert [path.stem for path in a.files] == [path.stem for path in b.files] and len(a.files) == 16
    assert not {*a.files} & {*a.held_out}


def test_translations_are_scored_against_their_truth(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("evaluate", run) == 0
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    [there] = [score for score in metrics["scores"] if score["weights"] == "last"]
    assert there["what"] == "AtoB" and there["images"] == 5 and there["figures"].keys() >= TRUTH
    assert metrics["protocol"]["own_test_pictures"] and "truth PSNR" in capsys.readouterr().out


def test_report_and_card_show_the_truth(run: Path, tmp_path: Path) -> None:
    assert ran("report", run) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count("<figcaption>truth") == 5 and "BtoA" not in page
    assert ran("export", run, tmp_path / "negative.safetensors") == 0
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "Isola et al. 2017" in card and "on pairs of pictures" in card and "without paired" not in card
    with Image.open(tmp_path / "negative.png") as sheet:
        assert sheet.height > sheet.width / 2


def test_an_unpaired_method_learns_from_pairs_too_and_is_compared_both_ways(
    run: Path, recipe: Recipe, tmp_path: Path
) -> None:
    unpaired = replace(recipe, method=tiny_recipe(tmp_path).method, log=replace(recipe.log, evaluate_every=None))
    train(unpaired, tmp_path / "cyclegan")
    assert ran("compare", run, tmp_path / "cyclegan", "--out", tmp_path / "compare.html") == 0
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    inputs = re.findall(r'<img[^>]*: input"[^>]*>', page)
    assert len(inputs) == 10 and len({*inputs}) == 10  # 5 of A, 5 of B, no two alike


def test_a_stopped_run_goes_on_bit_for_bit_running_statistics_included(recipe: Recipe, tmp_path: Path) -> None:
    plain = replace(recipe, log=replace(recipe.log, evaluate_every=None))
    assert any(name.endswith("running_var") for name in resumed_bit_for_bit(plain, tmp_path).method)


def test_pairs_that_are_not_whole_are_told_and_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = write_pairs(tmp_path / "data", "stem")
    (root / "trainB" / "7.bmp").unlink()
    (root / "trainA" / "3.png").unlink()
    train(tiny_recipe(root, method=PIX2PIX, data={"pairs": "stem"}), tmp_path / "run")
    told = capfd.readouterr().err
    a, b = root / "trainA", root / "trainB"
    assert f"{a}: 1 picture has no partner in {b} and is skipped: 7.png\n" in told
    assert f"{b}: 1 picture has no partner in {a} and is skipped: 3.bmp\n" in told
    assert "22 + 22 pictures" in told


def test_a_partner_that_disappears_or_comes_back_breaks_no_pair(tmp_path: Path, weights: Path) -> None:
    before = begun(tmp_path, "stem", weights)
    root = before.recipe.data.root
    first, second, *_ = before.loader.b.held_out
    first.unlink()
    second.rename(root / "trainB" / "new.bmp")  # known again by its bytes, but its pair is broken
    write_pictures(root / "trainA", 25)
    again = Trainer(before.recipe, before.run, resume=True)
    a, b = again.loader.a, again.loader.b
    assert [path.stem for path in a.held_out] == [path.stem for path in b.held_out] and len(a.held_out) == 6
    learned, kept = {path.stem for path in a.files}, {path.stem for path in before.loader.a.held_out}
    assert not learned & kept and [path.stem for path in a.files] == [path.stem for path in b.files]


def test_a_change_of_a_file_with_both_pictures_is_told_once(
    tmp_path: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = begun(tmp_path, "side_by_side", weights)
    before.loader.a.files[0].unlink()
    capfd.readouterr()
    Trainer(before.recipe, before.run, resume=True)
    told = capfd.readouterr().err
    assert told.count("pictures changed since the last checkpoint: 1 removed") == 1


def test_a_method_that_needs_pairs_asks_for_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tiny_recipe(tmp_path, method=PIX2PIX)
    (tmp_path / "pix2pix.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    assert ran("train", tmp_path / "pix2pix.yaml", "--out", tmp_path / "run") == 2
    told = "cyclegan: data.pairs: pix2pix needs paired pictures; set it to stem or side_by_side\n"
    assert capsys.readouterr().err == told


def test_an_exported_generator_is_scored_on_pairs_where_they_are_named(
    run: Path, recipe: Recipe, tmp_path: Path, weights: Path
) -> None:
    assert ran("export", run, tmp_path / "negative.safetensors") == 0
    pairs = ["--data", recipe.data.root, "--pairs", recipe.data.pairs, "--size", 32, "--out", tmp_path / "scores.json"]
    eyes = ["--features.network", "squeezenet1_1", "--features.weights", weights]
    assert ran("evaluate", tmp_path / "negative.safetensors", *pairs, *eyes) == 0
    [there, _] = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))["scores"]
    assert there["figures"].keys() >= TRUTH
