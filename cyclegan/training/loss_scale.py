"""Dynamic loss scaling for fp16."""

from __future__ import annotations

import torch
from torch import Tensor


class LossScale:
    """Scales the loss so that small fp16 gradients do not underflow (Micikevicius et al. 2018, section 3.2).

    The scale is halved when gradients overflow and doubled after `PATIENCE` steps without overflow; all on the device.
    """

    FIRST, PATIENCE = 2.0**16, 2000

    def __init__(self, device: torch.device) -> None:
        self.state = torch.tensor([self.FIRST, 0.0], device=device)
        """The scale, and the number of consecutive steps with finite gradients."""

    def up(self, loss: Tensor) -> Tensor:
        """Return the scaled loss."""
        return loss * self.state[0]

    def down(self, gradient: Tensor) -> Tensor:
        """Return the gradient of the unscaled loss; exact, because the scale is a power of 2."""
        return gradient / self.state[0]

    def adapt(self, finite: Tensor) -> Tensor:
        """Update the scale after a step, given whether its gradients were finite, bool ().

        Returns whether the step is in order, bool (): gradients were finite, or overflowed while the scale can fall.
        """
        scale, well = self.state
        well = torch.where(finite, well + 1, 0.0)
        grows, falls = well >= self.PATIENCE, ~finite & (scale > 1)
        factor = torch.where(grows, 2.0, torch.where(falls, 0.5, 1.0))
        self.state.copy_(torch.stack([scale * factor, torch.where(grows, 0.0, well)]))
        in_order: Tensor = finite | falls
        return in_order
