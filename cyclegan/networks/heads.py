"""Small networks on patches of features."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchHead(nn.Module):
    """Features of patches to unit vectors by two layers (Park et al. 2020, section 3: the two-layer MLP H)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, patches: Tensor) -> Tensor:
        """(N, P, C) to (N, P, width) of length 1, at least float32."""
        vectors: Tensor = self.layers(patches)
        vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
        unit: Tensor = vectors / (torch.linalg.vector_norm(vectors, dim=2, keepdim=True) + 1e-7)
        return unit
