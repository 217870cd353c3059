"""Distances between two sets of pictures in feature space (FID, KID, precision, recall), with 95 % intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cyclegan.metrics.bootstrap import RESAMPLES, estimate
from cyclegan.metrics.discrepancy import discrepancy
from cyclegan.metrics.frechet import frechet, frechet_of
from cyclegan.metrics.neighbours import NEIGHBOURS, find_neighbours, within
from cyclegan.metrics.result import Estimate

FEWEST = NEIGHBOURS + 1
"""Fewest pictures in each set for which KID, precision and recall are defined."""

ENOUGH = 50
"""Fewest pictures in each set for scores without a warning."""

SUBSETS, LARGEST_SUBSET = 100, 1000
"""The number of subsets for KID, and the most pictures in one."""

EXACT = 500
"""Most pictures of the larger set for which FID is recomputed for every resample."""

INTERVAL = f"95 %, bootstrap of {RESAMPLES}; of FID to first order where a set has more than {EXACT} pictures"
"""A description of the intervals, recorded with the scores."""

Counts = npt.NDArray[np.int64]


class Distances(NamedTuple):
    """The distances of translations from the real pictures of the target domain."""

    figures: dict[str, Estimate]
    """`fid`, `kid`, `precision`, `recall`, and `kid_std`, the standard deviation of KID over subsets (each has half as
    many pictures as the smaller set, between 2 and 1000)."""
    warnings: tuple[str, ...] = ()
    """Reasons why these scores are unreliable, one sentence each."""


class Draws(NamedTuple):
    """How often each picture of both sets was drawn, for R draws."""

    fake: Tensor
    """(R, N), float64."""
    real: Tensor
    """(R, M), float64."""


def distances(fake: Tensor, real: Tensor, *, resamples: int = RESAMPLES, seed: int = 0) -> Distances:
    """Return FID, KID, precision and recall of the features of two sets, (N, D) and (M, D), with 95 % intervals.

    The values equal those of torch-fidelity except for rounding. The resamples of precision and recall keep the
    neighbourhoods of the whole sets. Memory is needed for float64 copies of the features, and for 1000 rows of a matrix
    of all pairs of pictures.
    Raises ValueError for fewer than 4 pictures in a set, and for features that are not finite.
    """
    if min(len(fake), len(real)) < FEWEST:
        raise ValueError(f"{len(fake)} and {len(real)} pictures are too few to compare; take at least {FEWEST} of each")
    fake, real = fake.cpu().double(), real.cpu().double()
    if not (fake.isfinite().all() and real.isfinite().all()):
        raise ValueError("the features of some pictures are not finite: check the weights of --features")
    draw = partial(_resamples, len(fake), len(real), resamples, np.random.default_rng(seed))
    fid = _fid(fake, real, draw())
    kid, kid_std = _kid(fake, real, draw(), seed)
    of_fake, of_real = find_neighbours(fake), find_neighbours(real)
    precision = _share(within(fake, real, of_real.reach), draw().fake)
    recall = _share(within(real, fake, of_fake.reach), draw().real)
    figures = {"fid": fid, "kid": kid, "kid_std": Estimate(kid_std), "precision": precision, "recall": recall}
    warnings = _warnings((len(fake), of_fake.different), (len(real), of_real.different))
    return Distances(figures, tuple(warnings))


def _fid(fake: Tensor, real: Tensor, draws: Draws) -> Estimate:
    whole = frechet(fake, real)
    if max(len(fake), len(real)) > EXACT:
        return estimate(whole.value, whole.resampled(*draws))
    exact = (frechet_of(fake, real, n, m) for n, m in zip(*draws, strict=True))
    return estimate(whole.value, torch.tensor(list(exact), dtype=torch.float64))


def _kid(fake: Tensor, real: Tensor, draws: Draws, seed: int) -> tuple[Estimate, float]:
    """Return KID and its standard deviation over subsets."""
    both = map(torch.cat, zip(_subsets(len(fake), len(real), seed), draws, strict=True))
    subsets, resampled = torch.split(discrepancy(fake, real, *both), [SUBSETS, len(draws.fake)])
    return estimate(float(subsets.mean()), resampled), float(subsets.std(correction=0))


def _share(inside: Tensor, draws: Tensor) -> Estimate:
    """Return the share of pictures that are inside, with its interval."""
    return estimate(float(inside.mean()), draws @ inside / len(inside), least=0.0, most=1.0)


def _warnings(fake: tuple[int, int], real: tuple[int, int]) -> Iterator[str]:
    """Yield the warnings for two sets, given their numbers of pictures and of different pictures."""
    if min(fake[0], real[0]) < ENOUGH:
        numbers = f"{fake[0]} pictures against {real[0]}"
        yield f"{numbers} are few, so the scores are unreliable; use at least {ENOUGH} of each"
    for (number, different), what in ((fake, "pictures"), (real, "real pictures")):
        if different < FEWEST or 2 * different < number:
            yield f"the {number} {what} are copies of only {different}: the scores and their intervals are meaningless"


def _resamples(fake: int, real: int, number: int, random: np.random.Generator) -> Draws:
    """Draw `number` bootstrap resamples of two sets, given their numbers of pictures."""
    return _stacked((_drawn(fake, random), _drawn(real, random)) for _ in range(number))


def _drawn(number: int, random: np.random.Generator) -> Counts:
    """Draw with replacement, again if only one picture was drawn, which has neither a variance nor pairs."""
    while True:
        counts = np.bincount(random.integers(number, size=number), minlength=number)
        if np.count_nonzero(counts) > 1:
            return counts


def _subsets(fake: int, real: int, seed: int) -> Draws:
    """Draw the subsets from which torch-fidelity computes KID."""
    size = min(min(fake, real) // 2, LARGEST_SUBSET)
    random = np.random.RandomState(seed)

    def some(number: int) -> Counts:
        return np.bincount(random.choice(number, size, replace=False), minlength=number)

    return _stacked((some(fake), some(real)) for _ in range(SUBSETS))


def _stacked(pairs: Iterable[tuple[Counts, Counts]]) -> Draws:
    return Draws(*(torch.from_numpy(np.stack(counts)).double() for counts in zip(*pairs, strict=True)))
