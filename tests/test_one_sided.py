"""A method with one direction, from training to export: everything shows one way, and says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cyclegan.checkpoint import read_newest
from cyclegan.cli import main
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.recipe import Recipe
from cyclegan.training.trainer import Trainer, train
from tests.tiny import outputs, tiny_recipe, write_pictures
from tests.training.halves import resumed_bit_for_bit

CUT: dict[str, Any] = {"kind": "cut", "patches": 9, "head_width": 8}
FASTCUT = CUT | {"kind": "fastcut"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("one_sided") / "data"
    for seed, (name, number) in enumerate([("trainA", 12), ("trainB", 12), ("testA", 5), ("testB", 5)]):
        write_pictures(root / name, number, seed=seed)
    return root


@pytest.fixture(scope="module")
def recipe(data: Path, weights: Path) -> Recipe:
    """With scores on the way."""
    log = {"evaluate_every": "4 images", "samples": 2, "samples_every": "4 images", "scalars_every": "2 images"}
    scored = tiny_recipe(data, method=CUT, log=log)
    features = FeaturesConfig(network="squeezenet1_1", weights=weights)
    return replace(scored, features=features, data=replace(scored.data, validation=8))


@pytest.fixture(scope="module")
def run(recipe: Recipe, data: Path) -> Path:
    train(recipe, data.parent / "run")
    return data.parent / "run"


def ran(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


def tags(run: Path, kind: str) -> list[str]:
    events = EventAccumulator(str(run))
    events.Reload()
    found: list[str] = events.Tags()[kind]
    return found


def test_tensorboard_shows_one_direction(run: Path) -> None:
    scalars = tags(run, "scalars")
    losses = {tag for tag in scalars if tag.startswith("loss/")}
    assert losses == {"loss/gan", "loss/nce", "loss/nce_identity", "loss/discriminator"}
    assert {"training/grad_norm_generator", "training/grad_norm_heads", "score/fake_b", "validation/kid_AtoB"} <= {
        *scalars
    }
    assert not any("BtoA" in tag for tag in [*scalars, *tags(run, "images")])
    assert {"samples/AtoB", "samples/AtoB_patches"} <= {*tags(run, "images")}
    assert [path.name.partition("_")[2] for path in (run / "samples").iterdir()].count("BtoA.png") == 0


def test_its_only_direction_is_translated_and_the_other_refused_in_one_line(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran("translate", run, data / "testA", tmp_path / "out") == 0
    assert len(outputs(tmp_path / "out")) == 5
    capsys.readouterr()
    assert ran("translate", run, data / "testA", tmp_path / "back", "--direction", "BtoA") == 2
    assert capsys.readouterr().err == f"cyclegan: {run}: its method translates AtoB, not BtoA\n"


def test_one_direction_is_scored_reported_and_compared(
    run: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran("evaluate", run) == 0
    scores = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["scores"]
    assert [score["what"] for score in scores if score["weights"] == "last"] == ["AtoB"]
    assert [score["what"] for score in scores if score["weights"] is None] == ["A untranslated"]
    assert not any(name.startswith("cycle_") for score in scores for name in score["figures"])
    assert ran("report", run) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "AtoB" in page and "BtoA" not in page
    other = tmp_path / "other"
    train(replace(read_newest(run).recipe, method=tiny_recipe(tmp_path, method=FASTCUT).method), other)
    capsys.readouterr()
    assert ran("compare", run, other, "--out", tmp_path / "compare.html") == 0
    assert "BtoA" not in capsys.readouterr().out
    assert "BtoA" not in (tmp_path / "compare.html").read_text(encoding="utf-8")


def test_an_export_knows_its_direction_and_method(run: Path, tmp_path: Path) -> None:
    assert ran("export", run, tmp_path / "h2z.safetensors") == 0
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "Contrastive Learning for Unpaired" in card and "Zhu et al. 2017" not in card
    assert ran("translate", tmp_path / "h2z.safetensors", run.parent / "data" / "testA", tmp_path / "out") == 0


@pytest.mark.parametrize("method", [CUT, FASTCUT], ids=["cut", "fastcut"])
def test_a_stopped_run_goes_on_bit_for_bit_heads_included(method: dict[str, Any], data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(data, method=method, training={"ema": "4 images"})
    whole = resumed_bit_for_bit(recipe, tmp_path)
    assert any(name.startswith("heads.") for name in whole.method)
    heads = [state["state"] for state in whole.optimizers.values()]
    assert len(heads) == 2 and len(heads[1]) > len(heads[0])


def test_accumulating_is_one_larger_batch(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator sees the discriminator that has moved, however the batch is cut into parts."""
    monkeypatch.setattr("cyclegan.methods.cut.draw_places", lambda features, count: torch.arange(9))
    seen: list[list[torch.Tensor]] = []
    for training in ({"batch_size": 4}, {"batch_size": 2, "accumulate": 2}):
        recipe = tiny_recipe(data, method=CUT, training=training | {"lr": 1e-2})
        trainer = Trainer(recipe, tmp_path / str(len(seen)))
        trainer.learner.method.double()
        trainer.learner.optimizers = [type(o)(o.player, recipe.training) for o in trainer.learner.optimizers]
        batch = next(trainer.loader.batches(0, 4))
        monkeypatch.setattr("cyclegan.training.learner.normalised", lambda x: x.double().div(127.5).sub(1))
        trainer.learner.step(batch)
        seen.append([gradient for o in trainer.learner.optimizers for gradient in o.gradients])
    for one, two in zip(*seen, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-9)
