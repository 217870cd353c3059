"""Small networks that embed feature patches, for PatchNCE."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchHead(nn.Module):
    """A two-layer MLP that maps the features of patches to unit vectors (Park et al. 2020, section 3: H)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, patches: Tensor) -> Tensor:
        """Map (N, P, C) to unit vectors (N, P, width), in float32 or higher precision."""
        vectors: Tensor = self.layers(patches)
        vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
        unit: Tensor = vectors / (torch.linalg.vector_norm(vectors, dim=2, keepdim=True) + 1e-7)
        return unit
