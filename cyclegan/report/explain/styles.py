"""What a style changes: each number of the code on its own, random styles, styles of pictures, and their strength."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from cyclegan.networks.base import StyleGenerator
from cyclegan.report.explain.change import change_between

STEPS = (-2.0, 0.0, 2.0)
"""Values of one number of a code, while the others stay: two standard deviations of the prior to either side."""

MOST_NUMBERS = 32
"""Largest number of numbers of a code that get a row each."""

DRAWN = 5
"""Number of random styles."""

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Strengths of a style."""


class Row(NamedTuple):
    """Translations of one picture with several styles."""

    name: str
    translations: dict[str, Tensor]
    """Each (1, C, H, W) in [-1, 1], by what it is called."""

    @property
    def spread(self) -> float:
        """How far the first and the last are apart, as a share of the range of values."""
        first, *_, last = self.translations.values()
        return change_between(first, last).mean


class Styles(NamedTuple):
    """Rows of translations; those that a model cannot have, or that nobody asked for, are empty."""

    size: int
    """The length of a code."""
    numbers: tuple[Row, ...]
    """A row for each number of a code; only of a model with a prior."""
    drawn: Row | None
    """Random styles; only of a model with a prior."""
    given: Row | None
    """The styles of the given pictures."""
    strengths: Row | None
    """The first given style, from its weakest to its full strength."""


@torch.no_grad()
def styles_of(
    network: StyleGenerator,
    source: Tensor,
    given: Mapping[str, Tensor],
    seed: int,
    report: Callable[[], object] = lambda: None,
) -> Styles:
    """Translate a picture (1, C, H, W) in [-1, 1] in many styles; `report` is called after each row.

    `given` are codes (1, style_size) of pictures, by their names. `seed` is that of random styles.
    """

    def row(name: str, codes: Mapping[str, Tensor]) -> Row:
        made = Row(name, {called: network(source, code) for called, code in codes.items()})
        report()
        return made

    numbers: list[Row] = []
    drawn = strengths = None
    if network.has_prior:
        for number in range(shown_numbers(network)):
            steps = {f"{step:+g}".replace("+0", "0"): _only(number, step, source, network) for step in STEPS}
            numbers.append(row(f"number {number + 1}", steps))
        codes = network.random_styles(DRAWN, torch.Generator().manual_seed(seed))
        drawn = row("random styles", {f"random {i + 1}": codes[i : i + 1] for i in range(DRAWN)})
    if given:
        name, first = next(iter(given.items()))
        weaker = {f"{strength:g}": network.weaken(first, strength) for strength in STRENGTHS}
        strengths = row(f"strength of the style of {name}", weaker)
    return Styles(
        network.style_size, tuple(numbers), drawn, row("styles of pictures", given) if given else None, strengths
    )


def shown_numbers(network: StyleGenerator) -> int:
    """Return how many numbers of a code get a row."""
    return min(network.style_size, MOST_NUMBERS) if network.has_prior else 0


def _only(number: int, value: float, like: Tensor, network: StyleGenerator) -> Tensor:
    """Return the code of zeros with one number set."""
    code = like.new_zeros(1, network.style_size)
    code[0, number] = value
    return code
