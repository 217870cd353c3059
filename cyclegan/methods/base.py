"""What a method is: networks, and players that move in turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from cyclegan.methods.pool import Gather, Pool
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.types import Batch, Direction, Images, Losses


class Player(NamedTuple):
    """One side of the game: it may change its networks, and wants the sum of its losses small."""

    name: str
    networks: tuple[nn.Module, ...]
    loss: Callable[[Batch, Images], Losses]
    """Called once a step, in the player's turn, with what the method made of the batch before anyone moved."""


class Judge(NamedTuple):
    """A network that scores pictures, patch by patch, higher where they look more real."""

    network: nn.Module
    boundary: float
    """The score between real and fake."""


class Method(nn.Module, ABC):
    """Mathematics only: no devices, files, optimizers or logs. All of its state is in its `state_dict`."""

    @abstractmethod
    def forward(self, batch: Batch) -> Images:
        """Every image that the players need, with its graph."""

    @property
    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """The players, in the order in which they move."""

    @abstractmethod
    def translators(self) -> dict[Direction, ResnetGenerator]:
        """The networks that translate once training is over, by direction."""

    def judges(self) -> dict[Direction, Judge]:
        """Who scores the translations of a direction, beside real pictures of its target; none by default."""
        return {}

    @property
    def pools(self) -> list[Pool]:
        """What remembers images from step to step."""
        return [module for module in self.modules() if isinstance(module, Pool)]

    def share(self, gather: Gather, random: torch.Generator | None) -> None:
        """Let what remembers images, the pools, see those of every process, and draw alike in all of them."""
        for pool in self.pools:
            pool.gather, pool.random = gather, random
