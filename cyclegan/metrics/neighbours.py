"""Nearest neighbours in feature space, from which precision and recall are computed, and copies are found."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NEIGHBOURS = 3
"""The neighbourhood of a picture extends to its third nearest neighbour in its set."""

ROUNDING = 1e-5
"""Largest distance between copies of a picture, relative to the root mean square norm of the features."""

ROWS = 1000
"""Rows of a matrix of all distances that are in memory at once."""


class Neighbours(NamedTuple):
    """The neighbourhoods of the pictures of a set."""

    reach: Tensor
    """The radius of the neighbourhood of each picture, (N,)."""
    different: int
    """The number of pictures that are not a copy of an earlier one."""


def find_neighbours(points: Tensor) -> Neighbours:
    """Return the neighbourhoods of a set of more than 3 features, float64 (N, D)."""
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
    """Return for each point, float64 (N, D), 1 if it is in the neighbourhood of any of `others` (M, D), else 0: (N,).

    (Kynkaanniemi et al. 2019, eq. 1.) `reach` (M,) are the radii of the neighbourhoods. The mean of the result is the
    precision if the points are fakes and the others real, and the recall if it is the other way round.
    """
    return torch.cat([(torch.cdist(some, others) <= reach).any(dim=1) for some in torch.split(points, ROWS)]).double()
