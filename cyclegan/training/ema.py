"""An exponential moving average (EMA) of the generators: its images vary less than those of a single step."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from cyclegan.networks.base import Generator
from cyclegan.types import Direction


class Ema:
    """Averaged copies of the generators (Karras et al. 2018, section 5; half-life in images as in Karras et al. 2022).

    The half-life is at most a twentieth of the images seen, so that the random initial weights are soon forgotten.
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
        """Update the averages after a step of `batch_size` images, with `images` seen in total."""
        half_life = min(self.half_life, images / 20)
        torch._foreach_lerp_(self._averaged, [p.detach() for p in self._current], 1 - 0.5 ** (batch_size / half_life))
        if self._statistics:  # of batch norm; they already are means over recent steps
            torch._foreach_copy_(self._statistics, self._of_current)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Return the state dict of each averaged generator by direction."""
        return {direction.value: network.state_dict() for direction, network in self.generators.items()}

    def load_state_dict(self, state: Mapping[str, dict[str, Tensor]]) -> None:
        """Load what `state_dict` returned."""
        for direction, network in self.generators.items():
            network.load_state_dict(state[direction.value])
