"""What a recipe costs on this machine: hours and memory, measured with a few real steps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cyclegan.check.facts import Facts
from cyclegan.data.config import DataConfig
from cyclegan.data.presets import SPARE
from cyclegan.machine.device import choose_device
from cyclegan.machine.memory import is_out_of_memory
from cyclegan.machine.memory_used import memory_used
from cyclegan.recipe import Recipe
from cyclegan.training.pace import steps_per_second
from cyclegan.util.progress import duration
from cyclegan.util.provenance import device_name

BUSY = 1.5
"""Running threads for each core from which other programs slow down a measurement."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An estimate for a training."""

    device: str
    """Its type and its name."""
    size: int
    """Side of the training images, in pixels."""
    seconds_per_image: float
    """Time of a step, divided by its images."""
    memory_gib: float | None
    """Peak memory of these steps in GiB, of the GPU or of this process; None if unknown."""
    cache_gib: float
    """RAM for decoded pictures, besides."""
    busy: bool = False
    """Whether other programs kept the CPU busy while it was measured."""
    images: int = 0
    """Images of the whole training; 0 if not known yet."""

    @property
    def hours(self) -> float:
        """The time of the training."""
        return self.images * self.seconds_per_image / 3600

    @property
    def lines(self) -> list[str]:
        """The estimate in lines: time, memory, and what made it uncertain."""
        per = f"{self.seconds_per_image:.3g} s per image of {self.size} x {self.size} on {self.device}"
        whole = f"; about {duration(self.images * self.seconds_per_image)} for {self.images:,} images"
        memory = "" if self.memory_gib is None else f"{self.memory_gib:.1f} GiB of memory and "
        busy = ["other programs kept the CPU busy, so it can be faster"] if self.busy else []
        return [
            per + (whole if self.images else ""),
            f"{memory}{max(self.cache_gib, 0.1):.1f} GiB for the cache",
            *busy,
        ]

    @property
    def told(self) -> str:
        """The estimate in one line."""
        return "; ".join(self.lines)


def measure(recipe: Recipe, size: int, folders: Sequence[Facts]) -> Cost | None:
    """Train a few steps of a recipe on noise and return what they cost; None if they do not fit into memory."""
    device, busy = choose_device(recipe.speed.device), _is_busy()
    try:
        speed = steps_per_second(recipe, (size, size))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    return Cost(
        device=f"{device.type} ({device_name(device)})",
        size=size,
        seconds_per_image=1 / (speed * recipe.training.pairs),
        memory_gib=memory_used(device),
        cache_gib=min(recipe.data.cache_gib, sum(_cached(recipe.data, size, each) for each in folders[:2]) / 2**30),
        busy=busy,
    )


def _is_busy() -> bool:
    """Return whether more threads than cores wanted to run in the last minute; reading pictures takes no more."""
    if not hasattr(os, "getloadavg"):  # Windows
        return False
    load: float = os.getloadavg()[0]
    return load > BUSY * (os.cpu_count() or 1)


def _cached(data: DataConfig, size: int, facts: Facts) -> float:
    """Return the bytes of the decoded pictures of a folder: scaled by the preset, or as they are."""
    format_ = data.formats[facts.place.domain]
    pixels = facts.pictures["width"] * facts.pictures["height"].astype(np.float64)
    if data.transforms is None:
        pixels *= (SPARE * size / facts.shorter) ** 2
    return float(pixels.mean()) * len(facts.place.files) * format_.channels * (1 if format_.in_bytes else 4)
