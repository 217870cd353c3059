"""A moving average of the generators (EMA): steadier pictures than any single step gives."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from cyclegan.networks.base import Generator
from cyclegan.types import Direction


class Ema:
    """Averaged copies of the generators (Karras et al. 2018, section 5; half-life in images as in Karras et al. 2022).

    In the beginning the half-life is a twentieth of the images seen, so that the random start is soon forgotten.
    """

    def __init__(self, generators: Mapping[Direction, Generator], half_life: int) -> None:
        self.half_life = half_life
        self.generators = {direction: copy.deepcopy(network).eval() for direction, network in generators.items()}
        self._averaged = [p.requires_grad_(False) for n in self.generators.values() for p in n.parameters()]
        self._current = [p for network in generators.values() for p in network.parameters()]
        self._statistics = [b for network in self.generators.values() for b in network.buffers()]
        self._of_current = [b for network in generators.values() for b in network.buffers()]

    @torch.no_grad()
    def update(self, batch_size: int, images: int) -> None:
        """Move towards the current weights after a step of `batch_size` images that makes it `images` in all."""
        half_life = min(self.half_life, images / 20)
        torch._foreach_lerp_(self._averaged, [p.detach() for p in self._current], 1 - 0.5 ** (batch_size / half_life))
        if self._statistics:  # those of batch norm, which are means over the last steps themselves
            torch._foreach_copy_(self._statistics, self._of_current)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """The averaged weights by direction."""
        return {direction.value: network.state_dict() for direction, network in self.generators.items()}

    def load_state_dict(self, state: Mapping[str, dict[str, Tensor]]) -> None:
        """Put the averaged weights back."""
        for direction, network in self.generators.items():
            network.load_state_dict(state[direction.value])
