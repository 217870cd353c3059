"""Frechet distance between two sets of features (FID), of resamples of them, and its derivative by each picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Frechet(NamedTuple):
    """The Frechet distance of two sets, and its derivatives by the share of each picture in its set."""

    value: float
    by_fake: Tensor
    """The derivatives by the pictures of `fake`, (N,), with mean 0."""
    by_real: Tensor
    """The derivatives by the pictures of `real`, (M,), with mean 0."""

    def resampled(self, n: Tensor, m: Tensor) -> Tensor:
        """Return the distances of R resamples to first order, (R,).

        `n` (R, N) and `m` (R, M) count how often each picture was drawn. This is the delta method: it needs one
        decomposition for all resamples, while the exact distance needs one for each.
        """
        return self.value + n @ self.by_fake / n.shape[1] + m @ self.by_real / m.shape[1]


def frechet(fake: Tensor, real: Tensor) -> Frechet:
    """Return the Frechet distance of float64 features (N, D) and (M, D) with unbiased covariances.

    (Heusel et al. 2017, eq. 6.) The trace of the square root of the product of two covariances is the sum of the
    singular values s of X Y', where X'X and Y'Y are the covariances. With X = QR, the decomposed matrix has only
    min(N, D) x min(M, D) elements. The derivative of that sum by the share p of a picture is the sum of u^2 s / 2p,
    where u is the row of the picture in the singular vectors.
    """
    apart, x, y = _centred(fake, real, torch.ones(len(fake)).double(), torch.ones(len(real)).double())
    (basis_x, rest_x), (basis_y, rest_y) = torch.linalg.qr(x), torch.linalg.qr(y)
    left, values, right = torch.linalg.svd(rest_x @ rest_y.T, full_matrices=False)
    by_fake = _slopes(x, 2 * apart, basis_x @ left, values)
    by_real = _slopes(y, -2 * apart, basis_y @ right.T, values)
    return Frechet(_value(apart, x, y, values), by_fake, by_real)


def frechet_of(fake: Tensor, real: Tensor, n: Tensor, m: Tensor) -> float:
    """Return the exact Frechet distance of one resample of features (N, D) and (M, D).

    `n` (N,) and `m` (M,) count how often each picture was drawn; each set needs at least two draws.
    """
    apart, x, y = _centred(fake[n > 0], real[m > 0], n[n > 0], m[m > 0])
    return _value(apart, x, y, torch.linalg.svdvals(x @ y.T))


def _centred(fake: Tensor, real: Tensor, n: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the difference of the means, and X and Y: centred and scaled, so that X'X and Y'Y are the covariances."""
    means = n @ fake / n.sum(), m @ real / m.sum()
    x, y = (
        (points - mean) * (counts / (counts.sum() - 1)).sqrt()[:, None]
        for points, mean, counts in zip((fake, real), means, (n, m), strict=True)
    )
    return means[0] - means[1], x, y


def _value(apart: Tensor, x: Tensor, y: Tensor, values: Tensor) -> float:
    return float(apart.square().sum() + x.square().sum() + y.square().sum() - 2 * values.sum())


def _slopes(x: Tensor, pull: Tensor, vectors: Tensor, values: Tensor) -> Tensor:
    """Return the derivatives of the distance by the shares of the pictures in one set.

    They have three terms: from the mean (`pull`), from the trace of the covariance, and from the square root.
    """
    number = len(x)
    slopes: Tensor = x @ pull * (number - 1) ** 0.5 + number * (x.square().sum(dim=1) - vectors.square() @ values)
    return slopes - slopes.mean()
