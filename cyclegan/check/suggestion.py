"""A suggested value of a recipe, and the recipe that several of them make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cyclegan.data.config import DataConfig
from cyclegan.recipe import Recipe, recipe_from


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A value of a recipe, and why it fits."""

    key: str
    """With dots: `data.a.range`."""
    value: Any
    """As plain data."""
    reason: str
    """In one line."""


def recipe_of(data: DataConfig, suggestions: Iterable[Suggestion]) -> Recipe:
    """Return the recipe that suggestions make."""
    return recipe_from(nested(data, suggestions), "the suggestions")


def nested(data: DataConfig, suggestions: Iterable[Suggestion]) -> dict[str, Any]:
    """Return suggestions as the nested data of a recipe."""
    recipe: dict[str, Any] = {"data": {"root": data.root.as_posix()}}
    for each in suggestions:
        *above, last = each.key.split(".")
        inner = recipe
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = each.value
    return recipe
