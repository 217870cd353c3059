"""What a run says while it learns, to those who do not watch it on a terminal."""

import re
from pathlib import Path

import pytest

from cyclegan.recipe import Recipe
from cyclegan.training.distributed import Processes
from cyclegan.training.trainer import Trainer, train
from tests.tiny import tiny_recipe


def lines_of(trainer: Trainer, capsys: pytest.CaptureFixture[str], seconds: float) -> list[str]:
    """What is said of progress when each step takes so many seconds."""
    trainer.log.progress.clock = lambda: trainer.learner.images * seconds
    trainer.train()
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("run: ")]


def test_a_run_off_a_terminal_says_how_far_it_is(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(Trainer(recipe, tmp_path / "run"), capsys, seconds=60)
    assert len(lines) == 7
    early = r"run: 2 of 8 images \(25 %\), 0\.0167 images/s, 6 min 0 s left, [\d.]+ GiB of memory"
    assert re.fullmatch(early, lines[0]), lines[0]
    losses = r"gan_a \d+\.\d\d, gan_b \d+\.\d\d, cycle_a .*, cycle_b .*, discriminator_a .*, discriminator_b .*"
    assert re.fullmatch(f"run: 3 of 8 images .* GiB of memory, {losses}", lines[1]), lines[1]
    assert lines[-1] == "run: 8 of 8 images (100 %) in 8 min 0 s"


def test_losses_are_fetched_no_more_often_than_they_are_logged(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_recipe(data, log={"scalars_every": "4 images"})
    lines = lines_of(Trainer(recipe, tmp_path / "run"), capsys, seconds=60)
    told = [re.search(r"gan_a [\d.]+", line) for line in lines]
    assert [bool(losses) for losses in told] == [False] * 3 + [True] * 3 + [False]
    assert len({losses[0] for losses in told if losses}) == 1


def test_a_quick_run_says_nothing_of_its_progress(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not lines_of(Trainer(recipe, tmp_path / "run"), capsys, seconds=0.5)


def test_a_resumed_run_counts_its_own_speed(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny_recipe(data), tmp_path / "run")
    longer = tiny_recipe(data, training={"lr_schedule": {"constant": "4 images", "decay": "12 images"}})
    lines = lines_of(Trainer(longer, tmp_path / "run", resume=True), capsys, seconds=60)
    assert lines[0].startswith("run: 10 of 16 images (62 %), 0.0167 images/s, 6 min 0 s left, ")


def test_of_several_processes_the_first_speaks(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = Trainer(recipe, tmp_path / "run", processes=Processes(rank=1, count=1))
    assert not lines_of(second, capsys, seconds=60)
