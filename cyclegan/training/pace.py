"""The speed of training a recipe on this machine, measured with a few steps on noise."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from cyclegan.data.format import PictureFormat
from cyclegan.machine.device import choose_device
from cyclegan.recipe import Recipe
from cyclegan.training.learner import Learner
from cyclegan.types import DOMAINS, Batch
from cyclegan.util.untouched import untouched

EPOCH = 1000
"""Images in an epoch, which only the learning rate depends on."""

WARM_UP, TIMED, PATIENCE = 3, 20, 10.0
"""Steps before timing starts, steps that are timed, and seconds after which each of them ends with fewer."""


@untouched()
def steps_per_second(recipe: Recipe, size: tuple[int, int], clock: Callable[[], float] = time.perf_counter) -> float:
    """Measure how fast this machine trains the recipe on images of a size (H, W); the result of the steps is discarded.

    Speed options on `auto` are off. Raises what the steps raise when memory runs out.
    """
    learner = Learner(recipe, choose_device(recipe.speed.device), epoch=EPOCH)
    formats, pairs = recipe.data.formats, recipe.training.pairs
    noise = Batch(*(_noise(formats[domain], pairs, size) for domain in DOMAINS))
    steps, began = 0, clock()
    while steps < WARM_UP and clock() - began < PATIENCE:
        learner.step(noise)
        steps += 1
    steps, began = 0, clock()
    while steps < TIMED and clock() - began < PATIENCE:
        learner.step(noise).finite.item()  # waits for the device
        steps += 1
    speed = steps / (clock() - began)
    learner.release()
    return speed


def _noise(of: PictureFormat, number: int, size: tuple[int, int]) -> Tensor:
    """Return a batch of random pictures in a format, uint8 or float32 in [0, 1]."""
    shape = (number, of.channels, *size)
    return torch.randint(0, 256, shape, dtype=torch.uint8) if of.in_bytes else torch.rand(shape)
