"""What happens while a folder is translated, as lines of JSON for other programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class Started:
    """Translating begins."""

    total: int
    """Number of pictures."""
    skipped: int
    """Number of those that are finished already."""
    model: str = ""
    """The model as the user named it, if it has a name."""
    direction: str = ""
    """`AtoB` or `BtoA`, if known."""
    engine: str = ""
    """The library that runs the network, if known; `auto` may choose another one later."""


@dataclass(frozen=True, kw_only=True)
class Translated:
    """A picture is translated and written."""

    source: str
    output: str
    seconds: float
    """Since the one before it, or since the beginning."""
    size: tuple[int, int] | None
    """Width and height of the output; None if unknown."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A picture could not be read, translated or written."""

    source: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Note:
    """A line for the user."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Translating has ended, even if it was stopped."""

    translated: int
    skipped: int
    failed: int
    elsewhere: int = 0
    """Number of pictures that other processes have translated."""


Event: TypeAlias = Started | Translated | Failed | Note | Ended
Tell: TypeAlias = Callable[[Event], None]

NAMES: dict[type[Event], str] = {
    Started: "start",
    Translated: "picture",
    Failed: "failed",
    Note: "note",
    Ended: "end",
}
"""The name of each event in JSON."""


def as_line(event: Event) -> str:
    """Return an event as a line of JSON in ASCII; names of files that are not UTF-8 have escaped surrogates.

    `{"event": "failed", "source": "in/a.jpg", "reason": "..."}`
    """
    return json.dumps({"event": NAMES[type(event)]} | asdict(event))
