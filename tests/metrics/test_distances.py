"""FID, KID, precision and recall are what their papers say, and their intervals hold what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from cyclegan.metrics.distances import Gram, distances


def features(number: int, size: int, seed: int, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(size, size, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    drawn = torch.randn(number, size, generator=generator, dtype=torch.float64)
    return drawn.matmul(mixed).div(size**0.5).add(shift)


def frechet(one: np.ndarray, two: np.ndarray) -> float:
    """Heusel et al. 2017, equation 6, as it stands."""
    root = scipy.linalg.sqrtm(np.cov(one, rowvar=False) @ np.cov(two, rowvar=False)).real
    apart = one.mean(axis=0) - two.mean(axis=0)
    return float(apart @ apart + np.trace(np.cov(one, rowvar=False) + np.cov(two, rowvar=False) - 2 * root))


def discrepancy(one: np.ndarray, two: np.ndarray) -> float:
    """Binkowski et al. 2018, equation 4, pair by pair."""

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    def among(points: np.ndarray) -> float:
        return float(np.mean([kernel(x, y) for i, x in enumerate(points) for j, y in enumerate(points) if i != j]))

    return among(one) + among(two) - 2 * float(np.mean([kernel(x, y) for x in one for y in two]))


@pytest.mark.parametrize("number, size", [(60, 8), (30, 12)])
def test_fid_is_the_papers(number: int, size: int) -> None:
    fake, real = features(number, size, 1, shift=0.3), features(number + 9, size, 2)
    expected = frechet(fake.numpy(), real.numpy())
    assert distances(fake, real, resamples=2).fid.value == pytest.approx(expected, rel=1e-6)


def test_the_quick_ways_give_the_same_as_the_papers() -> None:
    fake, real = features(25, 6, 1, shift=0.3).numpy(), features(31, 6, 2).numpy()
    gram, once = Gram(fake, real), (np.ones(25, np.int64), np.ones(31, np.int64))
    assert gram.frechet(*once) == pytest.approx(frechet(fake, real), rel=1e-9)
    assert gram.discrepancy(*once) == pytest.approx(discrepancy(fake, real), rel=1e-9)


def test_a_resample_is_the_set_with_its_pictures_repeated() -> None:
    fake, real = features(25, 6, 1, shift=0.3).numpy(), features(31, 6, 2).numpy()
    random = np.random.default_rng(0)
    n, m = (np.bincount(random.integers(k, size=k), minlength=k) for k in (25, 31))
    expected = frechet(fake.repeat(n, axis=0), real.repeat(m, axis=0))
    assert Gram(fake, real).frechet(n, m) == pytest.approx(expected, rel=1e-6)


def test_fid_of_fewer_pictures_than_features_is_that_of_the_quick_way() -> None:
    fake, real = features(20, 64, 1), features(24, 64, 2)
    quick = Gram(fake.numpy(), real.numpy()).frechet(np.ones(20, np.int64), np.ones(24, np.int64))
    assert distances(fake, real, resamples=2).fid.value == pytest.approx(quick, rel=1e-4)


def test_kid_is_near_that_of_all_pictures_and_zero_for_equal_distributions() -> None:
    fake, real = features(300, 8, 1, shift=0.5), features(300, 8, 2)
    whole = Gram(fake.numpy(), real.numpy()).discrepancy(np.ones(300, np.int64), np.ones(300, np.int64))
    measured = distances(fake, real, resamples=50)
    assert measured.kid.value == pytest.approx(whole, abs=measured.kid_std)
    assert measured.kid.low < measured.kid.value < measured.kid.high
    same = distances(features(300, 8, 3), real, resamples=50).kid
    assert same.low < 0 < same.high


def test_precision_and_recall_see_what_is_missing() -> None:
    real = torch.cat([features(50, 4, 1), features(50, 4, 2, shift=30.0)])
    half = features(60, 4, 3)
    measured = distances(half, real, resamples=50)
    assert measured.precision.value > 0.8 and 0.3 < measured.recall.value < 0.5
    nowhere = distances(features(60, 4, 3, shift=99.0), real, resamples=50)
    assert nowhere.precision == nowhere.recall == (0, 0, 0)


@pytest.mark.parametrize("what", ["fid", "kid"])
def test_most_intervals_hold_the_truth(what: str) -> None:
    """The truth of FID: the value that sets of this size have on average."""
    values: list[Any] = [
        getattr(distances(features(60, 4, 2 * i, shift=0.4), features(60, 4, 2 * i + 1), resamples=60), what)
        for i in range(40)
    ]
    truth = np.mean([estimate.value for estimate in values])
    assert sum(low <= truth <= high for _, low, high in values) >= 32


def test_the_same_features_give_the_same_figures() -> None:
    fake, real = features(20, 4, 1), features(20, 4, 2)
    assert distances(fake, real, resamples=20) == distances(fake, real, resamples=20)


def test_too_few_pictures_are_one_line() -> None:
    with pytest.raises(ValueError, match="3 and 20 pictures are too few to compare; take at least 4 of each"):
        distances(features(3, 4, 1), features(20, 4, 2))


def test_shares_and_their_intervals_stay_between_0_and_1() -> None:
    far = distances(features(10, 4, seed=1), features(10, 4, seed=2))
    for share in (far.precision, far.recall):
        assert 0 <= share.low <= share.value <= share.high <= 1
