"""Which pictures a training step reads, as a pure function of (seed, images seen)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

DOMAIN_A, DOMAIN_B, ORDER, GROUPS = range(4)


class Pick(NamedTuple):
    """The picture at one place of a step, by index."""

    chosen: int
    others: Sequence[int] | npt.NDArray[np.int64]
    """Pictures that may replace it if it cannot be read."""


class Order:
    """The order of a run whose pictures all have one size: A shuffled in each epoch, B drawn at random.

    The pairs of a run are numbered; `a` and `b` are the numbers of pictures in both folders. Both methods yield the
    pictures of the pairs `numbers` of the step that starts at `seen` images, one for each number.
    """

    def __init__(self, a: int, b: int, seed: int) -> None:
        self.a, self.b, self.seed, self.epoch = range(a), range(b), seed, max(a, b)
        self._shuffled = lru_cache(maxsize=2)(self._shuffle)

    def of_a(self, numbers: range, seen: int) -> Iterator[list[Pick]]:
        """Yield the pictures of A."""
        places = (divmod(number, self.epoch) for number in numbers)
        yield [Pick(int(self._shuffled(epoch)[place]) % len(self.a), self.a) for epoch, place in places]

    def of_b(self, numbers: range, seen: int) -> Iterator[list[Pick]]:
        """Yield the pictures of B."""
        drawn = (random(self.seed, ORDER, DOMAIN_B, number) for number in numbers)
        yield [Pick(int(generator.integers(len(self.b))), self.b) for generator in drawn]

    def _shuffle(self, epoch: int) -> npt.NDArray[np.int64]:
        return random(self.seed, ORDER, DOMAIN_A, epoch).permutation(self.epoch)


class GroupedOrder:
    """The order of a run whose pictures have several sizes: all pictures of a domain in a step have one size.

    `a` and `b` give the group of each picture, which are the pictures of one size, and `together` is the number of
    pictures of a domain in a step of all processes. Methods are those of `Order`; if no picture of a group can be read,
    the next that they yield are of other groups.

    A: the pictures are shuffled, and one after another decides of which group a step is. The step takes the next
    `together` pictures of that group, which is shuffled anew each time it was passed through. So after as many steps as
    there are pictures, each of them was seen `together` times exactly.
    B: the group is drawn in proportion to its pictures, and the pictures are drawn from it at random.
    """

    def __init__(self, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64], seed: int, together: int) -> None:
        self.a, self.b, self.seed, self.together = a, b, seed, together
        self.groups_a, self.groups_b = _members(a), _members(b)
        self._decided, self._shuffled = lru_cache(maxsize=2)(self._decide), lru_cache(maxsize=64)(self._shuffle)

    def of_a(self, numbers: range, seen: int) -> Iterator[list[Pick]]:
        """Yield the pictures of A."""
        cycle, place = divmod(seen // self.together, len(self.a))
        decided, before = self._decided(cycle)
        first = int(before[place]) * self.together - seen
        for group in _first(int(decided[place]), self.groups_a):
            members = self.groups_a[group]
            places = (divmod(first + number, len(members)) for number in numbers)
            yield [Pick(int(self._shuffled(cycle, group, passed)[at]), members) for passed, at in places]

    def of_b(self, numbers: range, seen: int) -> Iterator[list[Pick]]:
        """Yield the pictures of B."""
        decides = random(self.seed, GROUPS, DOMAIN_B, seen // self.together).integers(len(self.b))
        for group in _first(int(self.b[decides]), self.groups_b):
            members = self.groups_b[group]
            drawn = (random(self.seed, ORDER, DOMAIN_B, number).integers(len(members)) for number in numbers)
            yield [Pick(int(members[at]), members) for at in drawn]

    def _decide(self, cycle: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the group of each step of a cycle, and how many earlier steps of the cycle have the same."""
        groups = random(self.seed, GROUPS, DOMAIN_A, cycle).permutation(self.a)
        before = np.empty_like(groups)
        for members in _members(groups):
            before[members] = np.arange(len(members))
        return groups, before

    def _shuffle(self, cycle: int, group: int, passed: int) -> npt.NDArray[np.int64]:
        return random(self.seed, GROUPS, ORDER, cycle, group, passed).permutation(self.groups_a[group])


def random(seed: int, *key: int) -> np.random.Generator:
    """Return the random generator of a key."""
    return np.random.default_rng([seed, *key])


def _members(groups: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Return the pictures of each group."""
    ends = np.cumsum(np.bincount(groups))
    return np.split(np.argsort(groups, kind="stable"), ends[:-1])


def _first(group: int, groups: Sequence[npt.NDArray[np.int64]]) -> list[int]:
    """Return the numbers of all groups, `group` first."""
    return [group, *(other for other in range(len(groups)) if other != group)]
