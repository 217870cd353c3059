"""What a method is: networks, and players that move in turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple, overload

import torch
from torch import Tensor, nn

from cyclegan.methods.pool import Gather, Pool
from cyclegan.networks.base import Critic, Generator
from cyclegan.types import Batch, Direction, Images, Losses, Scores


class Player(NamedTuple):
    """One side of the game: it changes its networks so that the sum of its losses becomes small."""

    name: str
    networks: Mapping[str, nn.Module]
    loss: Callable[[Batch, Images], Losses]
    """Of a batch, and of what the method made of it before anyone moved."""
    after_moves: bool = False
    """Its loss sees the new weights of those who move before it; else it does not depend on them."""


class Method(nn.Module, ABC):
    """Mathematics only: no devices, files, optimizers or logs. All of its state is in its `state_dict`."""

    boundary = 0.0
    """The score of a critic half-way between real and fake."""

    @abstractmethod
    def forward(self, batch: Batch) -> Images:
        """Every image that the players need, with its graph."""

    @property
    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """The players, in the order in which they move."""

    @abstractmethod
    def generators(self) -> dict[Direction, Generator]:
        """The networks that translate once training is over, by direction."""

    def critics(self) -> dict[Direction, Critic]:
        """Who scores the translations of a direction, beside real pictures of its target; none by default."""
        return {}

    def samples(self, direction: Direction, batch: Batch, generators: Mapping[Direction, Generator]) -> Images:
        """Columns to show of a batch, by name; `real` and `fake` first. `generators` may be averaged ones."""
        real = batch.of(direction.source)
        return {"real": real, "fake": generators[direction](real)}

    @property
    def pools(self) -> list[Pool]:
        """What remembers images from step to step."""
        return [module for module in self.modules() if isinstance(module, Pool)]

    def share(self, gather: Gather, random: torch.Generator | None) -> None:
        """Let what remembers images, the pools, see those of every process, and draw alike in all of them."""
        for pool in self.pools:
            pool.gather, pool.random = gather, random


@overload
def in_one_call(network: Generator, *batches: Tensor) -> tuple[Tensor, ...]: ...
@overload
def in_one_call(network: Critic, *batches: Tensor) -> tuple[Scores, ...]: ...
def in_one_call(network: Generator | Critic, *batches: Tensor) -> tuple[Tensor, ...] | tuple[Scores, ...]:
    """What a network makes of each batch, in one pass where that is the same: of one shape, and blind to each other."""
    if len({batch.shape[1:] for batch in batches}) > 1 or not network.independent:
        return tuple(network(batch) for batch in batches)
    together, lengths = network(torch.cat(batches)), [len(batch) for batch in batches]
    if isinstance(network, Generator):
        return torch.split(together, lengths)
    return tuple(zip(*(torch.split(scale, lengths) for scale in together), strict=True))
