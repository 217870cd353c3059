"""What a recipe costs on this machine: hours and memory, measured with a few real steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cyclegan.check.facts import Facts
from cyclegan.machine.device import choose_device
from cyclegan.machine.memory import is_out_of_memory
from cyclegan.machine.memory_used import memory_used
from cyclegan.recipe import Recipe
from cyclegan.training.pace import steps_per_second
from cyclegan.util.progress import duration
from cyclegan.util.provenance import device_name


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
    images: int = 0
    """Images of the whole training; 0 if not known yet."""

    @property
    def hours(self) -> float:
        """The time of the training."""
        return self.images * self.seconds_per_image / 3600

    @property
    def told(self) -> str:
        """The estimate in a line."""
        memory = "" if self.memory_gib is None else f"{self.memory_gib:.1f} GiB of memory and "
        per = f"{self.seconds_per_image:.3g} s per image of {self.size} x {self.size}"
        whole = f"; about {duration(self.images * self.seconds_per_image)} for {self.images:,} images"
        return f"{per} on {self.device}{whole if self.images else ''}; {memory}{self.cache_gib:.1f} GiB for the cache"


def measure(recipe: Recipe, size: int, folders: Sequence[Facts]) -> Cost | None:
    """Train a few steps of a recipe on noise and return what they cost; None if they do not fit into memory."""
    device = choose_device(recipe.speed.device)
    try:
        speed = steps_per_second(recipe, (size, size))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    values = sum(len(each.place.files) * recipe.data.channels.of(each.place.domain) for each in folders[:2])
    plain = all(each.in_bytes for each in recipe.data.formats.values())
    return Cost(
        device=f"{device.type} ({device_name(device)})",
        size=size,
        seconds_per_image=1 / (speed * recipe.training.pairs),
        memory_gib=memory_used(device),
        cache_gib=min(recipe.data.cache_gib, values * (1.117 * size) ** 2 * (1 if plain else 4) / 2**30),
    )
