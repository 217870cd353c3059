"""Steps left out because a number was not finite: counted, named by their pictures, and not too many in a row."""

from __future__ import annotations

import torch
from torch import Tensor


class Diverged(ArithmeticError):  # noqa: N818  # reads well where it is raised
    """Training ended: too many steps in a row had losses or gradients that are not finite."""


class Finite:
    """Keeps what each step said, until somebody asks: looking makes the host wait for the device."""

    def __init__(self) -> None:
        self.in_a_row, self.left_out = 0, 0
        self._unseen: list[tuple[int, Tensor]] = []

    def saw(self, images: int, finite: Tensor) -> None:
        """The step from `images` on was finite, or was left out; bool (), copied, for a graph writes it again."""
        self._unseen.append((images, finite.clone()))

    def news(self) -> list[int]:
        """Where the steps left out since the last time began, in images."""
        seen, self._unseen = self._unseen, []
        if not seen:
            return []
        finite = torch.stack([flag for _, flag in seen]).tolist()
        for well in finite:
            self.in_a_row = 0 if well else self.in_a_row + 1
        left_out = [images for (images, _), well in zip(seen, finite, strict=True) if not well]
        self.left_out += len(left_out)
        return left_out
