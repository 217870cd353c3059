"""A finding: what is odd about the pictures, why it matters, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]
"""`error`: training stops, or learns nothing. `warning`: worth an action. `note`: good to know."""

LEVELS: tuple[Level, ...] = ("error", "warning", "note")


EXAMPLES = 100
"""Most examples of a finding."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A picture, or several that are alike."""

    told: str
    """Folders and names, or the reason why a picture cannot be read."""
    files: tuple[str, ...]
    """The paths of the pictures."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that was found."""

    level: Level
    kind: str
    """A word for programs, such as `unreadable`."""
    text: str
    """What was found, in one line that begins with the folder."""
    advice: str = ""
    """What to do about it."""
    examples: tuple[Example, ...] = ()
    """Some of the pictures."""


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order of their levels."""
    return tuple(sorted(findings, key=lambda each: LEVELS.index(each.level)))


def counted(number: int, of: str = "picture") -> str:
    """Return a number with its noun: `1 picture`, `1,200 pictures`."""
    return f"{number:,} {of}" + ("" if number == 1 else "s")
