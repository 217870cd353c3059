"""The mean of everything that training has seen of a quantity: a target that gets more exact with each batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cyclegan.methods.pool import Gather


class RunningMean(nn.Module):
    """The mean of all vectors that were passed to it, which all count the same.

    The mean is a buffer: it is part of `state_dict`, stays on the device, and never makes the host wait. Its length is
    that of the first vectors. A vector that is not finite does not count. With `gather`, the vectors of all processes
    count in each of them.
    """

    rests = False
    """While true, vectors do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.gather: Gather = lambda vectors: (vectors, slice(None))
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.mean: Tensor
        self.count: Tensor

    @torch.no_grad()
    def forward(self, vectors: Tensor) -> Tensor:
        """Count vectors (N, D), and return the mean (D,) with them; at rest, without them if there are others."""
        if self.rests:
            return self.mean if self.mean.numel() else vectors.mean(dim=0)
        if not self.mean.numel():
            self.mean = vectors.new_zeros(vectors.shape[1])
        finite = vectors.isfinite().all(dim=1, keepdim=True)
        sums = torch.cat([torch.where(finite, vectors, 0).sum(dim=0), finite.sum(dim=0)])
        everybodys = self.gather(sums[None])[0].sum(dim=0)
        total, number = everybodys[:-1], everybodys[-1]
        self.count += number.long()
        self.mean += (total - number * self.mean) / self.count.clamp(min=1)
        return self.mean.clone()

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        saved = state_dict.get(prefix + "mean")
        if saved is not None:  # a fresh one does not know the length before its first vectors
            self.mean = self.mean.new_empty(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)
