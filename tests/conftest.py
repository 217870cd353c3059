"""What many tests need: pictures on disk, a recipe small enough to train in a second, one core."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from forked import Forks
from PIL import Image
from tensorboard.summary.writer import event_file_writer
from torchvision.models import squeezenet1_1

from cyclegan.recipe import Recipe, recipe_from

torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other

# Event files are read in the order of their names, which end in second, process and this count: several lives of a run
# within one second of one process, which only tests have, need counts of equal length.
event_file_writer._global_uid = event_file_writer.AtomicCounter(10_000)


def write_pictures(folder: Path, number: int, size: int = 40, seed: int = 0) -> list[Path]:
    """Smooth random pictures 0.png, 1.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    paths = [folder / f"{i}.png" for i in range(number)]
    for path in paths:
        coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(path)
    return paths


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set: 5 + 4 pictures to train on, 2 + 2 to test."""
    root = tmp_path / "data"
    for seed, (name, number) in enumerate([("trainA", 5), ("trainB", 4), ("testA", 2), ("testB", 2)]):
        write_pictures(root / name, number, seed=seed)
    return root


def tiny_recipe(data: Path, /, **changes: dict[str, Any]) -> Recipe:
    """Eight steps of a tiny CycleGAN; `changes` are merged into its sections."""
    sections: dict[str, dict[str, Any]] = {
        "data": {
            "root": str(data),
            "transforms": [{"Resize": {"height": 36, "width": 36}}, {"RandomCrop": {"height": 32, "width": 32}}],
        },
        "method": {
            "kind": "cyclegan",
            "generator": {"width": 4, "blocks": 1},
            "discriminator": {"kind": "patchgan", "width": 4, "depth": 2},
            "pool": 3,
        },
        "training": {"constant": "4 images", "decay": "4 images"},
        "speed": {"device": "cpu", "precision": "float32"},
        "journal": {"log_every": "2 images", "samples_every": "4 images", "samples": 2, "checkpoint_every": "3 images"},
    }
    return recipe_from({name: section | changes.get(name, {}) for name, section in sections.items()}, "test")


@pytest.fixture
def recipe(data: Path) -> Recipe:
    """The tiny recipe on the tiny data set."""
    return tiny_recipe(data)


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
