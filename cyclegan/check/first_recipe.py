"""The first recipe for a data set: a text with a comment for each value, from a quick look at the pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cyclegan import __version__
from cyclegan.check.check import check
from cyclegan.check.recipe_text import commented
from cyclegan.check.result import Result
from cyclegan.types import Device

WIDE = 110
"""Most characters in a line of the head of a recipe."""


class First(NamedTuple):
    """A recipe, and what to know about it."""

    recipe: str
    """In YAML."""
    told: str
    """The cost and the errors, in lines."""


def first_recipe(
    root: Path, *, device: Device = "auto",
    report: Callable[[int, int], None] = lambda done, total: None, note: Callable[[str], None] = lambda line: None,
) -> First:  # fmt: skip
    """Write the recipe that fits a data set and this machine; measures a few steps of it.

    `report` and `note` are as in `check`. Raises ValueError when the pictures do not make a training possible, and what
    `check` raises.
    """
    result = check(root, quick=True, measured=True, device=device, report=report, note=note).result
    if result.errors or not result.suggestions:
        worst = result.errors[0]
        raise ValueError(f"{worst.text}; {worst.advice}" if worst.advice else worst.text)
    suggestions = result.suggestions
    return First(f"{_head(result)}{commented(root.as_posix(), suggestions)}", _cost(result))


def _head(result: Result) -> str:
    a, b = result.folders[:2]
    lines = [
        f"Written by cyclegan init ({__version__}) for {result.data}: {a.files:,} + {b.files:,} pictures.",
        _cost(result),
        "Keys that are not here have the defaults of the authors; cyclegan train --help lists all.",
    ]
    return "".join(f"# {part}\n" for line in lines for part in textwrap.wrap(line, WIDE, break_on_hyphens=False))


def _cost(result: Result) -> str:
    if result.cost is None:
        return "The steps did not fit into memory: choose smaller networks."
    return f"Estimate, without the speed options that training tries: {result.cost.told}."
