"""Which pictures of a set lie where those of another do, the heart of precision and recall, and which are copies."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NEIGHBOURS = 3
"""A picture reaches as far as to the third of the others of its set."""

ROUNDING = 1e-5
"""Of the size of the features (root mean square): copies of a picture lie no farther apart."""

ROWS = 1000
"""Of a matrix of all distances that are in memory at once."""


class Neighbours(NamedTuple):
    """What the pictures of a set are to each other."""

    reach: Tensor
    """How far each reaches, (N,)."""
    different: int
    """How many are no copies of one before them."""


def find_neighbours(points: Tensor) -> Neighbours:
    """Of features, float64 (N, D), more than 3."""
    rounding = ROUNDING * float(points.square().sum(dim=1).mean().sqrt())
    reach: list[Tensor] = []
    copies, before = 0, 0
    for some in torch.split(points, ROWS):
        apart = torch.cdist(some, points)
        reach.append(apart.kthvalue(NEIGHBOURS + 1).values)
        copies += int((apart <= rounding).tril(before - 1).any(dim=1).sum())
        before += len(some)
    return Neighbours(torch.cat(reach).clamp(min=rounding), len(points) - copies)


def within(points: Tensor, others: Tensor, reach: Tensor) -> Tensor:
    """Whether each point, of float64 (N, D), lies within the reach of one of the others, (M, D): float64 (N,).

    (Kynkaanniemi et al. 2019, eq. 1.) The mean is the precision of points among real others, and the recall of real
    points among others.
    """
    return torch.cat([(torch.cdist(some, others) <= reach).any(dim=1) for some in torch.split(points, ROWS)]).double()
