"""The generators of another model, from which a training starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from cyclegan.networks.base import Generator
from cyclegan.networks.start import start_from
from cyclegan.training.learner import Learner
from cyclegan.types import Direction

Start: TypeAlias = Callable[[], Mapping[Direction, Generator]]
"""Loads the generators that a training starts from; called in a new run only."""


def start_with(learner: Learner, model: Path, start: Start | None) -> None:
    """Copy the weights of `model`, which `start` loads, into the generators of a learner, and into their EMA.

    Raises ValueError when there is no `start`, and for a model of other directions or another architecture.
    """
    if start is None:
        raise ValueError("training.start: call train with `start`, a function that loads the generators")
    key, found, networks = f"training.start: {model}", start(), learner.method.generators()
    for direction, network in networks.items():
        if direction not in found:
            raise ValueError(f"{key}: has no generator {direction}; it has {' and '.join(found)}")
        try:
            start_from(network, found[direction])
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
    if learner.ema:
        learner.ema.load_state_dict({direction.value: network.state_dict() for direction, network in networks.items()})
