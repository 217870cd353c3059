"""How far two sets of pictures are apart in the features that a network sees, each figure with its uncertainty."""

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
"""Pictures on either side below which KID, precision and recall are not defined."""

ENOUGH = 50
"""Pictures on either side below which figures come with a warning."""

SUBSETS, LARGEST_SUBSET = 100, 1000

EXACT = 500
"""Pictures of the larger set up to which FID is computed anew for every resample."""

INTERVAL = f"95 %, bootstrap of {RESAMPLES}; of FID to first order where a set has more than {EXACT} pictures"
"""How intervals are made, in words."""

Counts = npt.NDArray[np.int64]


class Distances(NamedTuple):
    """Of translations from real pictures of the domain that they should belong to."""

    figures: dict[str, Estimate]
    """`fid`, `kid`, its standard deviation `kid_std` over subsets (half of the smaller set each, from 2 to 1000),
    `precision` and `recall`."""
    warnings: tuple[str, ...] = ()
    """Why these figures mean little, a sentence each."""


class Draws(NamedTuple):
    """How often each picture of both sets was drawn, in R draws."""

    fake: Tensor
    """(R, N), float64."""
    real: Tensor
    """(R, M), float64."""


def distances(fake: Tensor, real: Tensor, *, resamples: int = RESAMPLES, seed: int = 0) -> Distances:
    """Of the features of two sets, (N, D) and (M, D).

    The values are torch-fidelity's but for rounding. Precision and recall are resampled with the neighbourhoods kept.
    Beside copies of the features in float64 no more is in memory than 1000 rows of a matrix of all pairs of pictures.
    Raises ValueError for fewer than 4 pictures on a side, and for features that are not finite.
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
    """KID, and its standard deviation over subsets."""
    both = map(torch.cat, zip(_subsets(len(fake), len(real), seed), draws, strict=True))
    subsets, resampled = torch.split(discrepancy(fake, real, *both), [SUBSETS, len(draws.fake)])
    return estimate(float(subsets.mean()), resampled), float(subsets.std(correction=0))


def _share(inside: Tensor, draws: Tensor) -> Estimate:
    """The share of pictures that are inside."""
    return estimate(float(inside.mean()), draws @ inside / len(inside), least=0.0, most=1.0)


def _warnings(fake: tuple[int, int], real: tuple[int, int]) -> Iterator[str]:
    """Of sets of so many pictures each, and so many of them no copies."""
    if min(fake[0], real[0]) < ENOUGH:
        yield f"{fake[0]} pictures against {real[0]} are few: the figures mean little; use at least {ENOUGH} of each"
    for (number, different), what in ((fake, "pictures"), (real, "real pictures")):
        if different < FEWEST or 2 * different < number:
            yield f"the {number} {what} are copies of only {different}: the figures and their intervals mean nothing"


def _resamples(fake: int, real: int, number: int, random: np.random.Generator) -> Draws:
    """Of sets of so many pictures."""
    return _stacked((_drawn(fake, random), _drawn(real, random)) for _ in range(number))


def _drawn(number: int, random: np.random.Generator) -> Counts:
    """With replacement; once more where all are one picture, which alone has neither a spread nor pairs."""
    while True:
        counts = np.bincount(random.integers(number, size=number), minlength=number)
        if np.count_nonzero(counts) > 1:
            return counts


def _subsets(fake: int, real: int, seed: int) -> Draws:
    """Those that torch-fidelity takes KID of."""
    size = min(min(fake, real) // 2, LARGEST_SUBSET)
    random = np.random.RandomState(seed)

    def some(number: int) -> Counts:
        return np.bincount(random.choice(number, size, replace=False), minlength=number)

    return _stacked((some(fake), some(real)) for _ in range(SUBSETS))


def _stacked(pairs: Iterable[tuple[Counts, Counts]]) -> Draws:
    return Draws(*(torch.from_numpy(np.stack(counts)).double() for counts in zip(*pairs, strict=True)))
