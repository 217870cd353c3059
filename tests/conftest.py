"""What many tests share: a small data set, its recipe, untrained weights, processes that start quickly; one core.

No test sees what ran before it, or which CPU it runs on: random numbers and flags begin anew, `auto` is float32.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.summary.writer import event_file_writer
from torchvision.models import squeezenet1_1

import cyclegan.inference.engines.torch_engine
import cyclegan.metrics.features
import cyclegan.training.tuning
from cyclegan.recipe import Recipe
from cyclegan.util.progress import Progress
from tests.forked import THREADS, Forks
from tests.tiny import SIDE, tiny_recipe, write_pictures

torch.set_num_threads(int(THREADS["OMP_NUM_THREADS"]))  # one, if not told: more only wait for each other

# Event files are read in the order of their names, which end in second, process and this count: several lives of a run
# within one second of one process, which only tests have, need counts of equal length.
event_file_writer._global_uid = event_file_writer.AtomicCounter(10_000)


@pytest.fixture(scope="session", autouse=True)
def _any_cpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same precision on a CPU that has bf16, no code that was compiled for another, small pictures to score.

    Inductor takes from its cache what was compiled with other instructions, and then gives NaN.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in (cyclegan.training.tuning, cyclegan.inference.engines.torch_engine):
            patch.setattr(module, "has_bf16", lambda device: False)
        patch.setattr(cyclegan.metrics.features, "SIDE", SIDE)
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture(autouse=True)
def _any_order() -> None:
    """What the tests before have drawn, and set for the whole process, is no matter."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(False)


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


@pytest.fixture
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 800 kB or the size that is the parameter."""
    place, size = tmp_path / "disk", getattr(request, "param", "800k")
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    with suppress(FileNotFoundError):
        if subprocess.run(mount, capture_output=True).returncode == 0:
            yield place
            subprocess.run(["umount", str(place)], check=True)
            return
    pytest.skip("needs the right to mount a small disk")


@pytest.fixture(scope="session")
def _server() -> Iterator[Forks]:
    with Forks() as server:
        yield server


@pytest.fixture
def forks(_server: Forks) -> Iterator[Forks]:
    """Starts real `cyclegan` processes, quickly; those still running when the test ends are killed."""
    yield _server
    _server.end()
