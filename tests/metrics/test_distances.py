"""FID, KID, precision and recall equal the definitions in their papers, and their intervals cover 95 %."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from cyclegan.metrics import discrepancy as kid
from cyclegan.metrics import distances as module
from cyclegan.metrics import neighbours
from cyclegan.metrics.bootstrap import estimate, estimate_mean
from cyclegan.metrics.discrepancy import discrepancy
from cyclegan.metrics.distances import Distances, distances
from cyclegan.metrics.frechet import frechet, frechet_of
from cyclegan.metrics.neighbours import find_neighbours
from cyclegan.metrics.result import Estimate


def features(number: int, size: int, seed: int, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(size, size, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    drawn = torch.randn(number, size, generator=generator, dtype=torch.float64)
    return drawn.matmul(mixed).div(size**0.5).add(shift)


def frechet_by_hand(one: Tensor, two: Tensor) -> float:
    """FID, computed directly from its definition (Heusel et al. 2017, equation 6)."""
    x, y = one.numpy(), two.numpy()
    root = scipy.linalg.sqrtm(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False)).real
    apart = x.mean(axis=0) - y.mean(axis=0)
    return float(apart @ apart + np.trace(np.cov(x, rowvar=False) + np.cov(y, rowvar=False) - 2 * root))


def discrepancy_by_hand(one: Tensor, two: Tensor) -> float:
    """KID, computed pair by pair (Binkowski et al. 2018, equation 4); copies are not compared with each other."""

    def kernel(x: Tensor, y: Tensor) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    def among(points: Tensor) -> float:
        return float(np.mean([kernel(x, y) for x in points for y in points if not x.equal(y)]))

    return among(one) + among(two) - 2 * float(np.mean([kernel(x, y) for x in one for y in two]))


def values(measured: Distances) -> dict[str, float]:
    """Return the values of the distances without their intervals."""
    return {name: figure.value for name, figure in measured.figures.items()}


def holds(figure: Estimate, truth: float) -> bool:
    """Return whether the interval contains the value."""
    _, low, high = astuple(figure)
    return bool(low <= truth <= high)


def width(figure: Estimate) -> float:
    _, low, high = astuple(figure)
    return float(high - low)


def drawn(number: int, seed: int) -> Tensor:
    """Return how often each picture is in a resample."""
    picked = np.random.default_rng(seed).integers(number, size=number)
    return torch.from_numpy(np.bincount(picked, minlength=number)).double()


def repeated(points: Tensor, counts: Tensor) -> Tensor:
    return points.repeat_interleave(counts.long(), dim=0)


@pytest.mark.parametrize("number, size", [(60, 8), (30, 12)])
def test_fid_is_the_papers(number: int, size: int) -> None:
    fake, real = features(number, size, 1, shift=0.3), features(number + 9, size, 2)
    assert frechet(fake, real).value == pytest.approx(frechet_by_hand(fake, real), rel=1e-9)


@pytest.mark.parametrize("number, size", [(60, 8), (20, 64), (9, 3), (4, 5)])
def test_values_are_those_of_torch_fidelity(number: int, size: int) -> None:
    fake, real = features(number, size, 1, shift=0.3), features(number + 9, size, 2)
    measured = values(distances(fake, real, resamples=2))
    fid = fid_statistics_to_metric(fid_features_to_statistics(fake), fid_features_to_statistics(real), verbose=False)
    assert measured["fid"] == pytest.approx(fid["frechet_inception_distance"], rel=1e-5)
    subset = {"kid_subsets": 100, "kid_subset_size": number // 2, "rng_seed": 0, "verbose": False}
    mean, std = kid_features_to_metric(fake, real, **subset).values()
    assert (measured["kid"], measured["kid_std"]) == pytest.approx((mean, std), rel=1e-9)
    precision, recall, _ = prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False).values()
    assert (measured["precision"], measured["recall"]) == pytest.approx((precision, recall), rel=1e-6)


@pytest.mark.parametrize("size", [6, 64])
def test_a_resample_is_the_set_with_its_pictures_repeated(size: int) -> None:
    fake, real = features(25, size, 1, shift=0.3), features(31, size, 2)
    n, m = drawn(25, 1), drawn(31, 2)
    many = repeated(fake, n), repeated(real, m)
    assert frechet_of(fake, real, n, m) == pytest.approx(frechet(*many).value, rel=1e-9)
    assert discrepancy(fake, real, n[None], m[None]).item() == pytest.approx(discrepancy_by_hand(*many), rel=1e-9)


@pytest.mark.parametrize("numbers, size", [((12, 15), 4), ((12, 15), 30), ((12, 40), 20)])
def test_the_slopes_of_fid_are_its_derivatives(numbers: tuple[int, int], size: int) -> None:
    fake, real = features(numbers[0], size, 1, shift=0.3), features(numbers[1], size, 2)
    n, m = torch.ones(len(fake)).double(), torch.ones(len(real)).double()
    found = frechet(fake, real)
    for picture in (0, 11):
        more, of_real = _more_of(n, picture), _more_of(m, picture)
        by_fake = frechet_of(fake, real, n + more, m) - frechet_of(fake, real, n - more, m)
        by_real = frechet_of(fake, real, n, m + of_real) - frechet_of(fake, real, n, m - of_real)
        assert by_fake == pytest.approx(found.by_fake[picture].item() * 2e-4 / len(fake), rel=1e-4)
        assert by_real == pytest.approx(found.by_real[picture].item() * 2e-4 / len(real), rel=1e-4)


def _more_of(counts: Tensor, picture: int) -> Tensor:
    """Increase the count of one picture a little, and reduce all counts equally, so that the sum stays the same."""
    more = torch.zeros_like(counts)
    more[picture] = 1e-4
    return more - more.mean()


def test_intervals_to_first_order_are_nearly_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, real = features(150, 6, 1, shift=0.8), features(160, 6, 2)
    exact = distances(fake, real).figures["fid"]
    monkeypatch.setattr(module, "EXACT", 0)
    quick = distances(fake, real).figures["fid"]
    assert quick.value == pytest.approx(exact.value, rel=1e-9) and holds(quick, quick.value)
    assert width(quick) == pytest.approx(width(exact), rel=0.15)


@pytest.mark.parametrize("number, size", [(100, 4), (40, 60)])
def test_most_intervals_to_first_order_hold_the_truth(number: int, size: int) -> None:
    """The truth of FID: the value that sets of this size have on average."""
    random = np.random.default_rng(0)
    estimates = []
    for i in range(60):
        fake, real = features(number, size, 2 * i, shift=0.4), features(number, size, 2 * i + 1)
        found = frechet(fake, real)
        estimates.append(estimate(found.value, found.resampled(*module._resamples(number, number, 60, random))))
    truth = float(np.mean([each.value for each in estimates]))
    assert sum(holds(each, truth) for each in estimates) >= 50


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the number of elements of the largest tensor that was made."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return out


def test_no_matrix_of_all_pairs_is_ever_held(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, real = features(400, 4, 1, shift=0.3), features(401, 4, 2)
    whole = distances(fake, real, resamples=5)
    monkeypatch.setattr(module, "EXACT", 300)
    monkeypatch.setattr(kid, "ROWS", 50)
    monkeypatch.setattr(neighbours, "ROWS", 50)
    with Largest() as largest:  # type: ignore[no-untyped-call]
        parts = distances(fake, real, resamples=5)
    assert largest.numbers < 120 * 401  # the draws
    for name in ("kid", "precision", "recall"):
        assert astuple(parts.figures[name]) == pytest.approx(astuple(whole.figures[name]), rel=1e-9)
    assert values(parts)["fid"] == pytest.approx(values(whole)["fid"], rel=1e-9)


def test_kid_is_near_that_of_all_pictures_and_zero_for_equal_distributions() -> None:
    fake, real = features(300, 8, 1, shift=0.5), features(300, 8, 2)
    once = torch.ones(1, 300).double()
    whole = discrepancy(fake, real, once, once).item()
    measured = distances(fake, real, resamples=50)
    kid, kid_std = measured.figures["kid"], measured.figures["kid_std"]
    assert kid.value == pytest.approx(whole, abs=kid_std.value)
    assert holds(kid, kid.value) and width(kid) > 0
    assert holds(distances(features(300, 8, 3), real, resamples=50).figures["kid"], 0)


def test_precision_and_recall_see_what_is_missing() -> None:
    real = torch.cat([features(50, 4, 1), features(50, 4, 2, shift=30.0)])
    half = features(60, 4, 3)
    measured = values(distances(half, real, resamples=50))
    assert measured["precision"] > 0.8 and 0.3 < measured["recall"] < 0.5
    nowhere = distances(features(60, 4, 3, shift=99.0), real, resamples=50).figures
    assert nowhere["precision"] == nowhere["recall"] == Estimate(0, 0, 0)


def test_most_intervals_hold_the_truth() -> None:
    """The truth of FID: the value that sets of this size have on average."""
    measured = [
        distances(features(60, 4, 2 * i, shift=0.4), features(60, 4, 2 * i + 1), resamples=60) for i in range(40)
    ]
    for name in ("fid", "kid"):
        figures = [each.figures[name] for each in measured]
        truth = float(np.mean([figure.value for figure in figures]))
        assert sum(holds(figure, truth) for figure in figures) >= 32


def test_the_same_features_give_the_same_figures() -> None:
    fake, real = features(20, 4, 1), features(20, 4, 2)
    one, two = distances(fake, real, resamples=20), distances(fake, real, resamples=20)
    assert list(one.figures) == ["fid", "kid", "kid_std", "precision", "recall"] == list(two.figures)
    for name, figure in one.figures.items():
        assert figure.value == pytest.approx(two.figures[name].value, rel=1e-9)
        if name != "kid_std":  # a standard deviation, which has no interval
            assert astuple(figure) == pytest.approx(astuple(two.figures[name]), rel=1e-9)


def test_too_few_pictures_are_one_line() -> None:
    with pytest.raises(ValueError, match="3 and 20 pictures are too few to compare; take at least 4 of each"):
        distances(features(3, 4, 1), features(20, 4, 2))


def test_features_that_are_not_finite_are_one_line() -> None:
    broken = features(9, 4, 1)
    broken[3, 2] = torch.nan
    with pytest.raises(ValueError, match="features of some pictures are not finite"):
        distances(broken, features(9, 4, 2))


def test_shares_and_their_intervals_stay_between_0_and_1() -> None:
    far = distances(features(10, 4, seed=1), features(10, 4, seed=2))
    for name in ("precision", "recall"):
        share, low, high = astuple(far.figures[name])
        assert 0 <= low <= share <= high <= 1


# Means over pictures


def test_the_mean_of_more_pictures_has_a_narrower_interval() -> None:
    random = torch.Generator().manual_seed(0)
    few, many = (estimate_mean(torch.randn(number, generator=random)) for number in (20, 2000))
    assert width(many) == pytest.approx(2 * 1.96 / 2000**0.5, rel=0.15)  # the width for a normal distribution
    assert width(many) < width(few) / 5
    assert holds(few, few.value) and holds(many, many.value)


def test_most_intervals_of_a_mean_hold_the_truth() -> None:
    random = torch.Generator().manual_seed(0)
    estimates = [estimate_mean(torch.rand(50, generator=random).square()) for _ in range(200)]
    assert sum(holds(figure, 1 / 3) for figure in estimates) >= 180


def test_the_interval_of_a_mean_is_the_same_each_time() -> None:
    numbers = torch.rand(30, generator=torch.Generator().manual_seed(0))
    assert estimate_mean(numbers) == estimate_mean(numbers) != estimate_mean(numbers, seed=1)


def test_the_mean_of_equal_pictures_is_certain() -> None:
    assert astuple(estimate_mean(torch.full((9,), 0.3))) == pytest.approx((0.3, 0.3, 0.3), rel=1e-6)


# What figures are worth


@pytest.mark.parametrize("numbers", [(4, 4), (4, 60), (60, 7)])
def test_four_pictures_are_scored_with_a_warning(numbers: tuple[int, int]) -> None:
    few = distances(features(numbers[0], 4, 1), features(numbers[1], 4, 2))
    told = f"{numbers[0]} pictures against {numbers[1]} are few, so the scores are unreliable; use at least 50 of each"
    assert few.warnings == (told,)
    for name in ("fid", "kid", "precision", "recall"):
        figure = few.figures[name]
        assert np.isfinite(astuple(figure)).all() and holds(figure, figure.value)


def test_enough_pictures_have_no_warning() -> None:
    assert not distances(features(50, 4, 1), features(60, 4, 2), resamples=2).warnings


def test_copies_have_a_warning_whatever_rounding_makes_of_them() -> None:
    fake, real = features(60, 64, 1), features(50, 64, 2).float()
    same = real[:1].repeat(50, 1) * (1 + 1e-7 * torch.randn(50, 64, generator=torch.Generator().manual_seed(0)))
    nothing = "the scores and their intervals are meaningless"
    assert distances(fake, same, resamples=5).warnings == (f"the 50 real pictures are copies of only 1: {nothing}",)
    halves = fake[:29].repeat(3, 1)[:60]
    assert distances(halves, real, resamples=5).warnings == (f"the 60 pictures are copies of only 29: {nothing}",)
    equal = distances(same, same, resamples=5)
    assert len(equal.warnings) == 2
    assert equal.figures["precision"] == equal.figures["recall"] == Estimate(1, 1, 1)
    assert astuple(equal.figures["fid"]) == pytest.approx((0, 0, 0), abs=1e-3)


def test_copies_are_counted_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "ROWS", 7)
    points = features(10, 4, 1)
    assert find_neighbours(points).different == 10
    assert find_neighbours(torch.cat([points, points.flip(0), points[:3]])).different == 10
