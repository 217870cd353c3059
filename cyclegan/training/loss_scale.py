"""The scale of the loss in fp16."""

from __future__ import annotations

import torch
from torch import Tensor


class LossScale:
    """Keeps the small gradients of fp16 above its smallest number (Micikevicius et al. 2018, section 3.2).

    Halved when gradients overflow, doubled after `PATIENCE` steps in which none did; all on the device.
    """

    FIRST, PATIENCE = 2.0**16, 2000

    def __init__(self, device: torch.device) -> None:
        self.state = torch.tensor([self.FIRST, 0.0], device=device)
        """The scale, and how many steps in a row went well."""

    def up(self, loss: Tensor) -> Tensor:
        """The loss to take the gradient of."""
        return loss * self.state[0]

    def down(self, gradient: Tensor) -> Tensor:
        """What is the gradient of the loss itself; exact, because the scale is a power of 2."""
        return gradient / self.state[0]

    def adapt(self, finite: Tensor) -> Tensor:
        """Take note of a step; returns whether it was in order: finite, or too large for a scale that can fall."""
        scale, well = self.state
        well = torch.where(finite, well + 1, 0.0)
        grows, falls = well >= self.PATIENCE, ~finite & (scale > 1)
        factor = torch.where(grows, 2.0, torch.where(falls, 0.5, 1.0))
        self.state.copy_(torch.stack([scale * factor, torch.where(grows, 0.0, well)]))
        in_order: Tensor = finite | falls
        return in_order
