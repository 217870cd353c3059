"""The sizes at which a picture is painted, from coarse to fine (Gatys et al. 2017, section 6.2)."""

from __future__ import annotations

from typing import NamedTuple

from cyclegan.data.fit import Size
from cyclegan.painting.settings import Settings

SMALLEST = 96
"""Pixels of the shorter side below which no smaller size is added."""

FEWER = 0.6
"""Iterations at a size, as a share of those at half that size."""


class Level(NamedTuple):
    """One size, and how long it is painted at."""

    size: Size
    """(H, W)."""
    iterations: int

    @property
    def work(self) -> int:
        """Pixels times iterations, which the time is about proportional to."""
        return self.size[0] * self.size[1] * self.iterations


def levels_of(size: Size, settings: Settings) -> list[Level]:
    """Return the levels of a painting of `size` (H, W): each has twice the sides of the one before.

    The coarse ones get most iterations. Every level has at least one.
    """
    sizes = [size]
    while len(sizes) != settings.levels and min(sizes[0]) >= 2 * SMALLEST:
        part = 2 ** len(sizes)
        sizes.insert(0, (round(size[0] / part), round(size[1] / part)))
    shares = [FEWER**number for number in range(len(sizes))]
    counts = [max(1, round(settings.iterations * share / sum(shares))) for share in shares]
    return [Level(*each) for each in zip(sizes, counts, strict=True)]
