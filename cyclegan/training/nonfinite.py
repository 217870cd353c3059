"""Steps skipped because a number was not finite: counted, named by their pictures, and not too many in a row."""

from __future__ import annotations

import torch
from torch import Tensor


class Diverged(ArithmeticError):  # noqa: N818  # reads well where it is raised
    """Training ended: too many steps in a row had losses or gradients that are not finite."""


class NonfiniteSteps:
    """Keeps what each step said, until somebody asks: looking makes the host wait for the device."""

    def __init__(self) -> None:
        self.in_a_row, self.skipped = 0, 0
        self._unseen: list[tuple[int, Tensor]] = []

    def record(self, images: int, finite: Tensor) -> None:
        """The step from `images` on was finite, or was skipped; bool (), copied, for a graph writes it again."""
        self._unseen.append((images, finite.clone()))

    def new_ones(self) -> list[int]:
        """Where the steps skipped since the last time began, in images."""
        seen, self._unseen = self._unseen, []
        if not seen:
            return []
        finite = torch.stack([flag for _, flag in seen]).tolist()
        for well in finite:
            self.in_a_row = 0 if well else self.in_a_row + 1
        skipped = [images for (images, _), well in zip(seen, finite, strict=True) if not well]
        self.skipped += len(skipped)
        return skipped
