"""Squared maximum mean discrepancy between two sets of features (KID), for any number of draws from them."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 1000
"""Rows of a matrix of all pairs that are in memory at once."""


def discrepancy(fake: Tensor, real: Tensor, n: Tensor, m: Tensor) -> Tensor:
    """Return the unbiased squared discrepancy of each of R draws, (R,) (Binkowski et al. 2018, eq. 4).

    `fake` (N, D) and `real` (M, D) are float64 features. `n` (R, N) and `m` (R, M) count how often each picture was
    drawn; copies of a picture are not compared with each other. Each draw needs at least two different pictures of each
    set.
    """
    across = _sums(fake, real, n, m) / (n.sum(dim=1) * m.sum(dim=1))
    return _among(fake, n) + _among(real, m) - 2 * across


def _among(points: Tensor, counts: Tensor) -> Tensor:
    """Return the mean of the kernel over pairs of different pictures, (R,)."""
    squares = counts.square()
    same = squares @ _kernel(points.square().sum(dim=1), points.shape[1])
    return (_sums(points, points, counts, counts) - same) / (counts.sum(dim=1).square() - squares.sum(dim=1))


def _sums(one: Tensor, two: Tensor, n: Tensor, m: Tensor) -> Tensor:
    """Return the sum of the kernel over all pairs, weighted by both counts, (R,)."""
    sums = n.new_zeros(len(n))
    for some, counts in zip(torch.split(one, ROWS), torch.split(n, ROWS, dim=1), strict=True):
        sums += (counts @ _kernel(some @ two.T, one.shape[1]) * m).sum(dim=1)
    return sums


def _kernel(products: Tensor, size: int) -> Tensor:
    return (products / size + 1) ** 3
