"""How far two sets of pictures are apart in the features that a network sees, each figure with its uncertainty."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

FEWEST = 4
"""Pictures on either side below which KID, precision and recall are not defined."""

ENOUGH = 50
"""Pictures on either side below which figures come with a doubt."""

NEIGHBOURS = 3
SUBSETS, LARGEST_SUBSET = 100, 1000

RESAMPLES = 200
"""Of the bootstrap."""

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Estimate(NamedTuple):
    """A figure and its 95 % interval: for sets of this size, by the bootstrap over the pictures of both.

    The spread of resamples lies around the value, not around their own mean, because repeated pictures raise FID.
    """

    value: float
    low: float
    high: float


class Distances(NamedTuple):
    """Of translations from real pictures of the domain that they should belong to."""

    fid: Estimate
    """Frechet distance (Heusel et al. 2017, eq. 6): 0 for equal sets; too large where pictures are few."""
    kid: Estimate
    """Squared maximum mean discrepancy (Binkowski et al. 2018, eq. 4), unbiased, the mean over subsets."""
    kid_std: float
    """Standard deviation over the subsets, half of the smaller set each, at most 1000."""
    precision: Estimate
    """Share of translations that lie where real pictures do (Kynkaanniemi et al. 2019, eq. 2, k = 3)."""
    recall: Estimate
    """Share of real pictures that lie where translations do."""


def distances(fake: Tensor, real: Tensor, *, resamples: int = RESAMPLES, seed: int = 0) -> Distances:
    """Of the features of two sets, (N, D) and (M, D). Raises ValueError for fewer than 4 pictures on a side.

    The values are torch-fidelity's. Precision and recall are resampled with the neighbourhoods kept as they are.
    """
    if min(len(fake), len(real)) < FEWEST:
        raise ValueError(f"{len(fake)} and {len(real)} pictures are too few to compare; take at least {FEWEST} of each")
    fake, real = fake.double().cpu(), real.double().cpu()
    subset = min(len(fake) // 2, len(real) // 2, LARGEST_SUBSET)
    fid = fid_statistics_to_metric(fid_features_to_statistics(fake), fid_features_to_statistics(real), verbose=False)
    kid = kid_features_to_metric(fake, real, kid_subsets=SUBSETS, kid_subset_size=subset, rng_seed=seed, verbose=False)
    shares = prc_features_to_metric(fake, real, prc_neighborhood=NEIGHBOURS, verbose=False)

    random = np.random.default_rng(seed)
    gram = Gram(fake.numpy(), real.numpy())
    among_real, among_fake = _inside(fake, real).numpy(), _inside(real, fake).numpy()

    def interval(value: float, statistic: Callable[[Counts, Counts], float]) -> Estimate:
        draws = [statistic(_drawn(len(fake), random), _drawn(len(real), random)) for _ in range(resamples)]
        low, high = np.quantile(draws, [0.025, 0.975]) - np.mean(draws)
        return Estimate(value, float(value + low), float(value + high))

    return Distances(
        fid=interval(fid[KEY_METRIC_FID], gram.frechet),
        kid=interval(kid[KEY_METRIC_KID_MEAN], gram.discrepancy),
        kid_std=float(kid[KEY_METRIC_KID_STD]),
        precision=_share(interval(shares[KEY_METRIC_PRECISION], lambda n, m: float(np.average(among_real, weights=n)))),
        recall=_share(interval(shares[KEY_METRIC_RECALL], lambda n, m: float(np.average(among_fake, weights=m)))),
    )


def _share(estimate: Estimate) -> Estimate:
    """Its interval cut to what a share can be."""
    return Estimate(estimate.value, max(0.0, estimate.low), min(1.0, estimate.high))


class Gram:
    """Inner products of the features, from which FID and KID of any resample follow without touching these again.

    A resample is how often each picture was drawn.
    """

    def __init__(self, fake: Floats, real: Floats) -> None:
        self.fake, self.cross, self.real = fake @ fake.T, fake @ real.T, real @ real.T
        self.kernels = [(products / fake.shape[1] + 1) ** 3 for products in (self.fake, self.cross, self.real)]

    def frechet(self, n: Counts, m: Counts) -> float:
        """FID. The trace of the root of two covariances' product is the sum of singular values of the centred cross."""
        p, q = n / n.sum(), m / m.sum()
        one, both, two = p @ self.fake @ p, p @ self.cross @ q, q @ self.real @ q
        spread = (p @ self.fake.diagonal() - one) * _unbiased(n) + (q @ self.real.diagonal() - two) * _unbiased(m)
        centred = self.cross - (p @ self.cross)[None] - (self.cross @ q)[:, None] + both
        weighted = np.sqrt(p)[:, None] * centred * np.sqrt(q)[None]
        shared = np.linalg.svd(weighted, compute_uv=False).sum() * np.sqrt(_unbiased(n) * _unbiased(m))
        return float(one + two - 2 * both + spread - 2 * shared)

    def discrepancy(self, n: Counts, m: Counts) -> float:
        """KID without subsets; a picture drawn twice is not compared with itself."""
        fake, cross, real = self.kernels
        return _apart(fake, n) + _apart(real, m) - 2 * float(n @ cross @ m) / float(n.sum() * m.sum())


def _unbiased(counts: Counts) -> float:
    """From the variance of what was drawn to that of what it was drawn from."""
    return float(counts.sum() / (counts.sum() - 1))


def _apart(kernel: Floats, counts: Counts) -> float:
    """The mean of the kernel over pairs of different pictures."""
    squares = counts**2
    among, pairs = counts @ kernel @ counts - squares @ kernel.diagonal(), counts.sum() ** 2 - squares.sum()
    return float(among / pairs)


def _drawn(number: int, random: np.random.Generator) -> Counts:
    return np.bincount(random.integers(number, size=number), minlength=number)


def _inside(points: Tensor, others: Tensor) -> Tensor:
    """Whether each point lies no farther from one of the others than that one's third neighbour, float (N,)."""
    reach = torch.cdist(others, others).kthvalue(NEIGHBOURS + 1).values
    return (torch.cdist(points, others) <= reach).any(dim=1).double()
