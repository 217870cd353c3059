"""A moving average of the generators (EMA): steadier pictures than any single step gives."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cyclegan.types import Direction


class Average:
    """Averaged copies of the translators (Karras et al. 2018, section 5; half-life in images as in Karras et al. 2022).

    In the beginning the half-life is a twentieth of the images seen, so that the random start is soon forgotten.
    """

    def __init__(self, translators: Mapping[Direction, nn.Module], half_life: int) -> None:
        self.half_life = half_life
        self.translators = {direction: copy.deepcopy(network).eval() for direction, network in translators.items()}
        self._averaged = [p.requires_grad_(False) for n in self.translators.values() for p in n.parameters()]
        self._current = [p for network in translators.values() for p in network.parameters()]

    @torch.no_grad()
    def update(self, batch: int, images: int) -> None:
        """Move towards the current weights after a step of `batch` images that makes it `images` in all."""
        half_life = min(self.half_life, images / 20)
        torch._foreach_lerp_(self._averaged, [p.detach() for p in self._current], 1 - 0.5 ** (batch / half_life))

    def state_dict(self) -> dict[Direction, dict[str, Tensor]]:
        """The averaged weights by direction."""
        return {direction: network.state_dict() for direction, network in self.translators.items()}

    def load_state_dict(self, state: Mapping[Direction, dict[str, Tensor]]) -> None:
        """Put the averaged weights back."""
        for direction, network in self.translators.items():
            network.load_state_dict(state[direction])
