"""Weights & Biases receives the logs of a run only if the recipe asks for it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cyclegan.recipe import Recipe
from cyclegan.training.trainer import train
from tests.tiny import tiny_recipe


class Refused(Exception):
    pass


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments that a stand-in for the library was started with."""
    begun: list[dict[str, Any]] = []

    def init(**settings: Any) -> SimpleNamespace:
        if settings["project"] == "refused":
            raise Refused("not logged in:\n run `wandb login`")
        begun.append(settings | {"finished": False})
        return SimpleNamespace(finish=lambda: begun[-1].update(finished=True))

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init, Error=Refused))
    return begun


def mirrored(data: Path, project: str) -> Recipe:
    return tiny_recipe(data, log={"wandb": project})


def test_records_are_sent_under_one_id_over_all_lives_of_a_run(
    data: Path, tmp_path: Path, calls: list[dict[str, Any]]
) -> None:
    train(mirrored(data, "horses"), tmp_path / "run")
    train(mirrored(data, "horses"), tmp_path / "run", resume=True)
    first, second = calls
    assert first["project"] == "horses" and first["sync_tensorboard"] and first["config"]["method"]["cycle"] == 10
    assert first["id"] == second["id"] and second["resume"] == "allow" and first["finished"] and second["finished"]


def test_nothing_is_sent_by_default(recipe: Recipe, tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    train(recipe, tmp_path / "run")
    assert not calls


def test_what_is_missing_is_said_in_one_line_and_leaves_no_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match=r"log\.wandb: .* pip install 'cyclegan\[wandb\]'"):
        train(mirrored(data, "horses"), tmp_path / "run")
    assert not (tmp_path / "run" / "recipe.yaml").exists()


def test_a_refusal_is_one_line(data: Path, tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    with pytest.raises(ConnectionError, match=r"^log\.wandb: not logged in: run `wandb login`$"):
        train(mirrored(data, "refused"), tmp_path / "run")
