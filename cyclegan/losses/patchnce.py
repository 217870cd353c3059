"""PatchNCE, the contrastive loss of CUT: a patch of a translation should match the source at the same place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

APART = -10.0
"""The similarity that replaces that of a place to itself among the negatives."""


def patch_nce(query: Tensor, key: Tensor, tau: float) -> Tensor:
    """Return the PatchNCE loss, a scalar: the mean over patches of -log softmax at the matching place.

    (Park et al. 2020, eq. 3 and 4.) `query` and `key` are unit vectors (N, P, C) of the same P places; the negatives of
    a patch are the other places of the same image. `tau` is the temperature.
    """
    similar = query @ key.transpose(1, 2)
    here = torch.eye(query.shape[1], dtype=torch.bool, device=query.device)
    right = similar.diagonal(dim1=1, dim2=2).unsqueeze(2)
    logits = torch.cat([right, similar.masked_fill(here, APART)], dim=2).flatten(0, 1) / tau
    return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def patches_at(features: Tensor, places: Tensor) -> Tensor:
    """Return the features (N, C, H, W) at `places`, indices (P,) into H * W, as (N, P, C)."""
    return features.flatten(2).index_select(2, places).transpose(1, 2)


def draw_places(features: Tensor, number: int) -> Tensor:
    """Draw `number` distinct places (all, if there are fewer) of features (N, C, H, W); returns indices (P,).

    The places are the same for each image of the batch.
    """
    count = features.shape[2] * features.shape[3]
    return torch.rand(count, device=features.device).topk(min(number, count)).indices
