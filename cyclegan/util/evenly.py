"""A few of many things, evenly spaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def evenly(items: Sequence[T], number: int) -> list[T]:
    """Return at most `number` items, evenly spaced from the first to the last; only the last if `number` is 1."""
    if len(items) <= number:
        return list(items)
    if number == 1:
        return [items[-1]]
    return [items[round(i * (len(items) - 1) / (number - 1))] for i in range(number)]
