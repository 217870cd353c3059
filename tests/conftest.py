"""What many tests share: a small data set, its recipe, untrained weights, processes that start quickly; one core."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import torch
from tensorboard.summary.writer import event_file_writer
from torchvision.models import squeezenet1_1

from cyclegan.progress import Progress
from cyclegan.recipe import Recipe
from tests.forked import Forks
from tests.tiny import tiny_recipe, write_pictures

torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other

# Event files are read in the order of their names, which end in second, process and this count: several lives of a run
# within one second of one process, which only tests have, need counts of equal length.
event_file_writer._global_uid = event_file_writer.AtomicCounter(10_000)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set: 5 + 4 pictures to train on, 2 + 2 to test."""
    root = tmp_path / "data"
    for seed, (name, number) in enumerate([("trainA", 5), ("trainB", 4), ("testA", 2), ("testB", 2)]):
        write_pictures(root / name, number, seed=seed)
    return root


@pytest.fixture
def recipe(data: Path) -> Recipe:
    """The tiny recipe on the tiny data set."""
    return tiny_recipe(data)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute passes whenever some progress looks at the clock."""
    minutes = count(0, 60)
    assert Progress.__init__.__kwdefaults__
    monkeypatch.setitem(Progress.__init__.__kwdefaults__, "clock", lambda: next(minutes))


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SqueezeNet that has learned nothing, for what compares pictures."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.pth"
    torch.save(squeezenet1_1(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Starts real `cyclegan` processes, quickly."""
    with Forks() as server:
        yield server
