"""The base class of methods: networks, and players that are optimised in turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple, overload

import torch
from torch import Tensor, nn

from cyclegan.methods.pool import Gather, Pool
from cyclegan.networks.base import Critic, Generator
from cyclegan.types import Batch, Direction, Domain, Images, Losses, Scores


class Player(NamedTuple):
    """One player of the adversarial game: networks that are optimised together, and their losses."""

    name: str
    networks: Mapping[str, nn.Module]
    """The networks whose weights the player updates, by name."""
    loss: Callable[[Batch, Images], Losses]
    """Returns the losses, whose sum the player minimises, from a batch and the output of `Method.forward`."""
    after_moves: bool = False
    """Whether the loss must be computed after the earlier players have updated their weights. If false, it does not
    depend on those weights."""


class Method(nn.Module, ABC):
    """The networks and losses of a method.

    A method knows no devices, files, optimizers or logs. All of its state is in its `state_dict`.
    """

    boundary = 0.0
    """The score of a discriminator half-way between the targets for real and fake."""

    remark = ""
    """What the user should know about a setting that does not apply, in a line; empty if all apply."""

    saves_backbone = False
    """Whether the `state_dict` has what `load_backbone` loads, so that a run need not load it again to resume."""

    @abstractmethod
    def forward(self, batch: Batch) -> Images:
        """Return all images that the players need, by name, with their autograd graph."""

    @property
    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """The players, in the order in which they are optimised."""

    @abstractmethod
    def generators(self) -> dict[Direction, Generator]:
        """Return the networks that translate after training, by direction."""

    def critics(self) -> dict[Direction, Critic]:
        """Return the discriminators that score the translations of each direction; none by default."""
        return {}

    def samples(self, direction: Direction, batch: Batch, generators: Mapping[Direction, Generator]) -> Images:
        """Return the columns of a sample grid by name, `real` and `fake` first. `generators` may be the EMA."""
        real = batch.of(direction.source)
        return {"real": real, "fake": generators[direction](real)}

    def load_backbone(self) -> None:
        """Load the frozen network that the losses compare with; nothing by default. Called before training.

        Raises what `networks.backbones.load_backbone` raises.
        """

    @property
    def pools(self) -> list[Pool]:
        """The pools, which store images from step to step."""
        return [module for module in self.modules() if isinstance(module, Pool)]

    def expect(self, sizes: Mapping[Domain, int]) -> None:
        """Tell the method how many sizes the pictures of each domain have in training, before the first step."""

    def share(self, gather: Gather, random: torch.Generator | None) -> None:
        """Make the pools store the images of all processes, and draw the same random numbers in each process."""
        for pool in self.pools:
            pool.gather, pool.random = gather, random


@overload
def in_one_call(network: Generator, *batches: Tensor) -> tuple[Tensor, ...]: ...
@overload
def in_one_call(network: Critic, *batches: Tensor) -> tuple[Scores, ...]: ...
def in_one_call(network: Generator | Critic, *batches: Tensor) -> tuple[Tensor, ...] | tuple[Scores, ...]:
    """Apply a network to each batch, in one pass if that gives the same result.

    It does if the images have one shape and the network processes each image independently.
    """
    if len({batch.shape[1:] for batch in batches}) > 1 or not network.independent:
        return tuple(network(batch) for batch in batches)
    together, lengths = network(torch.cat(batches)), [len(batch) for batch in batches]
    if isinstance(network, Generator):
        return torch.split(together, lengths)
    return tuple(zip(*(torch.split(scale, lengths) for scale in together), strict=True))
