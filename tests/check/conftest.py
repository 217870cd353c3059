"""Data sets for checks, with pictures that have detail at every scale, and a machine of known speed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cyclegan.check.cost

Draw = Callable[[int], Image.Image]


def natural(seed: int, width: int = 64, height: int = 64) -> Image.Image:
    """A picture whose power falls with the square of the frequency, as that of photographs."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = 1
    noise = np.fft.fft2(random.normal(size=(3, height, width)))
    values = np.fft.ifft2(noise / frequency).real
    values = (values - values.min()) / (values.max() - values.min()) * 255
    return Image.fromarray(np.moveaxis(values, 0, 2).round().astype(np.uint8))


def fill(folder: Path, number: int, draw: Draw = natural, first: int = 0) -> Path:
    """Write pictures 0.png, 1.png, ... drawn with the seeds from `first` on."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(number):
        draw(first + i).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data set with nothing to find except that it is small."""
    for i, name in enumerate(("trainA", "trainB", "testA", "testB")):
        folder = fill(tmp_path / "set" / name, 6, first=100 * i)
        for path in folder.iterdir():
            path.rename(folder / f"{name}{path.name}")
    return tmp_path / "set"


@pytest.fixture(autouse=True)
def _speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps in a second, whatever the machine and whatever else it does."""
    monkeypatch.setattr(cyclegan.check.cost, "BUSY", float("inf"))
    monkeypatch.setattr(cyclegan.check.cost, "steps_per_second", lambda recipe, size: 2.0)
