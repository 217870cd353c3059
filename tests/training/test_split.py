"""A resumed run holds out the pictures that its checkpoint names, and reports changes in the folders."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cyclegan.checkpoint import read_newest
from cyclegan.recipe import Recipe
from cyclegan.training.distributed import Processes
from cyclegan.training.trainer import Trainer
from tests.tiny import tiny_recipe, write_pictures
from tests.training.test_validation import scored


@pytest.fixture
def recipe(tmp_path: Path, weights: Path) -> Recipe:
    """A run that holds out 8 of 12 and 8 of 13 pictures, and would be scored after 100 steps."""
    for seed, (name, number) in enumerate([("trainA", 12), ("trainB", 13), ("testA", 1), ("testB", 1)]):
        write_pictures(tmp_path / "data" / name, number, seed=seed)
    return scored(tmp_path / "data", weights, log={"evaluate_every": "100 images"})


@pytest.fixture
def begun(recipe: Recipe, tmp_path: Path) -> Trainer:
    """A run whose checkpoint is written."""
    trainer = Trainer(recipe, tmp_path / "run")
    trainer._save()
    return trainer


def resumed(trainer: Trainer, recipe: Recipe | None = None) -> Trainer:
    return Trainer(recipe or trainer.recipe, trainer.run, resume=True)


def held_out(trainer: Trainer) -> set[Path]:
    return {*trainer.loader.a.held_out, *trainer.loader.b.held_out}


def learned(trainer: Trainer) -> set[Path]:
    return {*trainer.loader.a.files, *trainer.loader.b.files}


def test_adding_a_picture_moves_nobody(begun: Trainer, capfd: pytest.CaptureFixture[str]) -> None:
    write_pictures(begun.loader.a.source.folder / "0 first", 3, seed=9)
    again = resumed(begun)
    assert held_out(again) == held_out(begun) and len(learned(again) - learned(begun)) == 3
    told = capfd.readouterr().err
    assert "trainA: pictures changed since the last checkpoint: 3 added (0 first/0.png, ...)\n" in told
    assert "the order of the pictures changes from here on; an epoch now has 7 images instead of 5\n" in told


def test_removed_and_renamed_pictures_are_told(begun: Trainer, capfd: pytest.CaptureFixture[str]) -> None:
    (a_file, *_), (gone, named, *_) = begun.loader.a.files, begun.loader.b.held_out
    a_file.unlink()
    gone.unlink()
    named.rename(named.with_name("x.png"))
    again = resumed(begun)
    assert held_out(again) == held_out(begun) - {gone, named} | {named.with_name("x.png")}
    told = capfd.readouterr().err
    assert f"trainA: pictures changed since the last checkpoint: 1 removed ({a_file.name})\n" in told
    of_b = f"1 removed ({gone.name}), 1 of them held out, 1 held out under another name (x.png is {named.name})\n"
    assert f"trainB: pictures changed since the last checkpoint: {of_b}" in told
    again._save()
    assert held_out(resumed(again)) == held_out(again) and "pictures changed" not in capfd.readouterr().err


def test_what_nobody_changed_is_not_told(begun: Trainer, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert held_out(resumed(begun)) == held_out(begun) and capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("section", "changes", "told"),
    [
        ("log", {"evaluate_every": None}, "log.evaluate_every: 100 images -> null"),
        ("training", {"seed": 1}, "training.seed: 0 -> 1"),
        ("data", {"validation": 4}, "data.validation: 8 -> 4"),
    ],
)
def test_a_changed_recipe_changes_nobodys_fate(
    begun: Trainer, section: str, changes: dict[str, Any], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    changed: Any = {section: replace(getattr(begun.recipe, section), **changes)}
    again = resumed(begun, replace(begun.recipe, **changed))
    assert held_out(again) == held_out(begun) and learned(again) == learned(begun)
    assert f"{told}; the held-out pictures stay those drawn when the run began\n" in capfd.readouterr().err


def test_a_run_that_has_learned_from_all_cannot_begin_to_be_scored(data: Path, recipe: Recipe, tmp_path: Path) -> None:
    begun = Trainer(tiny_recipe(recipe.data.root), tmp_path / "run")
    begun._save()
    with pytest.raises(ValueError, match=r"log\.evaluate_every: this run has trained on all of its pictures"):
        resumed(begun, recipe)


def test_one_that_cannot_be_read_ends_no_run_and_is_not_learned_from_either(
    recipe: Recipe, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = Trainer(recipe, tmp_path / "other").loader.b.held_out[0]
    broken.write_bytes(b"")
    begun = Trainer(recipe, tmp_path / "run")
    assert len(begun.loader.b.held_out) == 8 and broken not in held_out(begun) | learned(begun)
    told = capfd.readouterr().err
    assert told.count(str(broken)) == 1 and f"another picture is held out instead: {broken} cannot be read" in told
    begun._save()
    again = resumed(begun)
    assert held_out(again) == held_out(begun) and capfd.readouterr().err == ""
    assert [again.loader.files(seen) for seen in range(20)] == [begun.loader.files(seen) for seen in range(20)]


def test_odd_names_are_kept_in_the_checkpoint(data: Path, tmp_path: Path) -> None:
    odd = data / "trainA" / os.fsdecode(b"\xff\xfe.png")
    try:
        odd.write_bytes((data / "trainA" / "0.png").read_bytes())
    except OSError:
        pytest.skip("this file system does not take the name")
    Trainer(tiny_recipe(data), tmp_path / "run")._save()
    pictures = read_newest(tmp_path / "run").pictures
    assert pictures and odd.name in pictures["a"]


def test_processes_agree_on_who_is_held_out(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Processes, "agree", lambda self, about, value: asked.append(repr(value)))
    trainer = Trainer(recipe, tmp_path / "run")
    value = asked[0]
    assert all(re.search(rf"'{path.name}': '\d+-\w+'", value) for path in held_out(trainer))
