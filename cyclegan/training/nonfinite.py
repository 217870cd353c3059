"""The record of steps that were skipped because a loss or gradient was not finite."""

from __future__ import annotations

import torch
from torch import Tensor


class Diverged(ArithmeticError):
    """Training ended: too many steps in a row had non-finite losses or gradients."""


class NonfiniteSteps:
    """Keeps whether each step was finite, on the device until it is read, because reading waits for the device."""

    def __init__(self) -> None:
        self.in_a_row, self.skipped = 0, 0
        self._unseen: list[tuple[int, Tensor]] = []

    def record(self, images: int, finite: Tensor) -> None:
        """Record whether the step at `images` was finite, bool (); a copy is kept, because a graph overwrites it."""
        self._unseen.append((images, finite.clone()))

    def new_ones(self) -> list[int]:
        """Return where the steps that were skipped since the last call began, in images."""
        seen, self._unseen = self._unseen, []
        if not seen:
            return []
        finite = torch.stack([flag for _, flag in seen]).tolist()
        for well in finite:
            self.in_a_row = 0 if well else self.in_a_row + 1
        skipped = [images for (images, _), well in zip(seen, finite, strict=True) if not well]
        self.skipped += len(skipped)
        return skipped
