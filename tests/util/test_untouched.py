"""Training, translating and scoring leave the global state of the calling program unchanged."""

from __future__ import annotations

import dataclasses
import logging
import os
import pkgutil
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cyclegan.data.files import find_images
from cyclegan.data.read import read_image
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.evaluate import evaluate_folders, evaluate_run
from cyclegan.inference.translator import Translator
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.metrics.features import load_features
from cyclegan.publish.export import export
from cyclegan.recipe import Recipe
from cyclegan.report.run import write_report
from cyclegan.training.learner import Learner
from cyclegan.training.trainer import train
from cyclegan.types import Direction
from cyclegan.util.signals import SIGNALS
from cyclegan.util.untouched import environment, untouched
from tests.forked import Forks
from tests.snapshot import Snapshot, changed, snapshot
from tests.tiny import tiny_recipe, write_pictures


def hook(told: object) -> None:
    """A program's own hook for threads that fail."""


def heed(number: int, frame: object) -> None:
    """A program's own signal handler."""


@pytest.fixture(params=["as they are", "of a program that set everything otherwise"])
def before(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Snapshot]:
    """Set all global state, as a program might."""
    if request.param == "as they are":
        yield snapshot()
        return
    with untouched():
        torch.manual_seed(1)
        np.random.seed(2)
        random.seed(3)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, True
        torch.set_float32_matmul_precision("high")
        warnings.filterwarnings("error", category=ResourceWarning)
        logging.disable(logging.INFO)
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
        monkeypatch.setattr(threading, "excepthook", hook)
        handlers = {number: signal.signal(number, heed) for number in SIGNALS}
        yield snapshot()
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.fixture
def recipe(data: Path, weights: Path) -> Recipe:
    for name in ("trainA", "trainB", "testA", "testB"):
        write_pictures(data / name, 18)
    data_, log = {"validation": 8}, {"evaluate_every": "4 images", "histograms_every": "4 images"}
    recipe = tiny_recipe(data, data=data_, log=log, speed={"compile": "off", "deterministic": True})
    return dataclasses.replace(recipe, features=FeaturesConfig(network="squeezenet1_1", weights=weights))


def test_a_training_leaves_everything_as_it_was(recipe: Recipe, tmp_path: Path, before: Snapshot) -> None:
    train(recipe, tmp_path / "run")
    assert changed(before) == {}


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_a_training_that_fails_does_so_too(
    error: type[BaseException], recipe: Recipe, tmp_path: Path, before: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(learner: Learner, *rest: object) -> Any:
        torch.manual_seed(5)
        raise error

    monkeypatch.setattr(Learner, "step", fails)
    with pytest.raises(error):
        train(recipe, tmp_path / "run")
    assert changed(before) == {}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_pictures(root / "data" / name, 9, seed=seed)
    train(tiny_recipe(root / "data", speed={"compile": "off"}), root / "run")
    return root / "run"


def test_translating_scoring_reporting_and_exporting_leave_everything_as_it_was(
    run: Path, weights: Path, tmp_path: Path, before: Snapshot
) -> None:
    pictures, features = run.parent / "data" / "testA", load_features("squeezenet1_1", weights)
    translator = Translator.load(run, device="cpu")
    translator.translate(read_image(find_images(pictures)[0]))
    translate_directory(translator, pictures, tmp_path / "out")
    evaluate_run(run, features, device="cpu")
    evaluate_folders(tmp_path / "out", pictures, features, device="cpu")
    write_report(run, device="cpu")
    export(run, tmp_path / "g.safetensors", Direction.AtoB)
    assert changed(before) == {}


def test_compiling_that_fails_leaves_the_programs_logging_alone(
    run: Path, before: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*words: object, **named: object) -> None:
        raise RuntimeError("no")

    translator = Translator.load(run, device="cpu", precision="float32", channels_last=False)
    monkeypatch.setattr("cyclegan.inference.engines.torch_engine.has_compiler", lambda device: True)
    monkeypatch.setattr("cyclegan.inference.engines.torch_engine.may_pay", lambda *words: True)
    monkeypatch.setattr("cyclegan.machine.levers.may_pay", lambda *words: True)
    monkeypatch.setattr(torch.nn.Module, "compile", fails)
    translator.torch.compile(torch.zeros(1, 3, 32, 32), 100)
    assert changed(before) == {}


def test_importing_every_module_changes_nothing(forks: Forks, tmp_path: Path) -> None:
    process = forks.start(log=tmp_path / "log", main="tests.util.test_untouched:import_twice")
    assert process.wait() == 0, process.told


def import_twice(words: list[str]) -> None:
    """Import every module; the first time for the libraries that they import, which may change what they like."""
    _import_every_module()
    for name in [name for name in sys.modules if name.partition(".")[0] == "cyclegan"]:
        del sys.modules[name]
    before = snapshot()
    _import_every_module()
    assert changed(before) == {}


def _import_every_module() -> None:
    for found in pkgutil.walk_packages(import_module("cyclegan").__path__, "cyclegan."):
        if not found.name.endswith("__main__"):
            import_module(found.name)


def test_a_variable_is_set_where_it_is_not_and_for_a_while() -> None:
    with environment(ONE="1", PATH="2"):
        assert os.environ["ONE"] == "1" and os.environ["PATH"] != "2"
    assert "ONE" not in os.environ and "PATH" in os.environ


MATMUL, CUDNN = torch.backends.cuda.matmul, torch.backends.cudnn
CHANGES: dict[str, Callable[[], object]] = {
    "matmul, the old way": lambda: setattr(MATMUL, "allow_tf32", True),
    "convolutions, the old way": lambda: setattr(CUDNN, "allow_tf32", False),
    "both": lambda: torch.set_float32_matmul_precision("medium"),
}
if hasattr(MATMUL, "fp32_precision"):  # since torch 2.9
    CHANGES["matmul"] = lambda: setattr(MATMUL, "fp32_precision", "tf32")
    CHANGES["everything"] = lambda: setattr(torch.backends, "fp32_precision", "ieee")


@pytest.mark.parametrize("how", CHANGES)
def test_the_precision_of_float32_comes_back_however_it_was_set(how: str) -> None:
    before = snapshot()
    with untouched():
        CHANGES[how]()
    assert changed(before) == {}
