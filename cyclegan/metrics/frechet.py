"""Frechet distance between two sets of features (FID): of the sets, of resamples of them, and its slope by picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Frechet(NamedTuple):
    """The distance of two sets, and how it changes, to first order, with the share that a picture has in its set."""

    value: float
    by_fake: Tensor
    """Slopes, (N,), their mean 0."""
    by_real: Tensor
    """Slopes, (M,), their mean 0."""

    def resampled(self, n: Tensor, m: Tensor) -> Tensor:
        """Of resamples to first order, (R,), where `n` (R, N) and `m` (R, M) count how often each picture was drawn.

        The delta method: one decomposition serves all resamples, where the exact distance needs one for each.
        """
        return self.value + n @ self.by_fake / n.shape[1] + m @ self.by_real / m.shape[1]


def frechet(fake: Tensor, real: Tensor) -> Frechet:
    """Of float64 features, (N, D) and (M, D), by unbiased covariances (Heusel et al. 2017, eq. 6).

    The trace of the root of two covariances' product is the sum of the singular values s of X Y', where X'X and Y'Y
    are the covariances. By X = QR only a matrix of min(N, D) x min(M, D) is decomposed. The slope of that sum by the
    share p of a picture is the sum of u^2 s / 2p, where u is the picture's row of the singular vectors.
    """
    apart, x, y = _centred(fake, real, torch.ones(len(fake)).double(), torch.ones(len(real)).double())
    (basis_x, rest_x), (basis_y, rest_y) = torch.linalg.qr(x), torch.linalg.qr(y)
    left, values, right = torch.linalg.svd(rest_x @ rest_y.T, full_matrices=False)
    by_fake = _slopes(x, 2 * apart, basis_x @ left, values)
    by_real = _slopes(y, -2 * apart, basis_y @ right.T, values)
    return Frechet(_value(apart, x, y, values), by_fake, by_real)


def frechet_of(fake: Tensor, real: Tensor, n: Tensor, m: Tensor) -> float:
    """Of one resample, exactly: `n` (N,) and `m` (M,) count how often each picture was drawn, two or more of a set."""
    apart, x, y = _centred(fake[n > 0], real[m > 0], n[n > 0], m[m > 0])
    return _value(apart, x, y, torch.linalg.svdvals(x @ y.T))


def _centred(fake: Tensor, real: Tensor, n: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The difference of the means, and X and Y: less their mean, and so scaled that X'X and Y'Y are the covariances."""
    means = n @ fake / n.sum(), m @ real / m.sum()
    x, y = (
        (points - mean) * (counts / (counts.sum() - 1)).sqrt()[:, None]
        for points, mean, counts in zip((fake, real), means, (n, m), strict=True)
    )
    return means[0] - means[1], x, y


def _value(apart: Tensor, x: Tensor, y: Tensor, values: Tensor) -> float:
    return float(apart.square().sum() + x.square().sum() + y.square().sum() - 2 * values.sum())


def _slopes(x: Tensor, pull: Tensor, vectors: Tensor, values: Tensor) -> Tensor:
    """Of the distance by the shares in one set: through its mean (`pull`), its covariance's trace, and the root's."""
    number = len(x)
    slopes: Tensor = x @ pull * (number - 1) ** 0.5 + number * (x.square().sum(dim=1) - vectors.square() @ values)
    return slopes - slopes.mean()
