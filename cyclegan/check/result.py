"""The result of a check as plain data: what `--json` writes, and what the text and the page show."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cyclegan.check.cost import Cost
from cyclegan.check.facts import Facts, Spread, spread
from cyclegan.check.finding import Finding
from cyclegan.check.look import Marks
from cyclegan.check.suggestion import Suggestion


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The facts about a folder."""

    name: str
    domain: str
    split: str
    files: int
    """Number of picture files."""
    checked: int
    """Number of files that were decoded; all, unless the check is quick."""
    unreadable: int
    not_read: dict[str, int]
    """Number of other files, by kind, with `sidecar` for those that go along with pictures."""
    suffixes: dict[str, int]
    """Number of files by suffix."""
    kinds: dict[str, int]
    """Number of pictures by kind: grey, rgb, cmyk, lab, bands."""
    depths: dict[str, int]
    """Number of pictures by type of their values."""
    channels: dict[str, int]
    """Number of pictures by number of channels."""
    sizes: int
    """Number of different sizes."""
    width: Spread | None
    height: Spread | None
    shorter_side: Spread | None
    aspect: Spread | None
    """Width divided by height."""
    values: Spread | None
    """Percentiles 0.1, 50 and 99.9 of the values, in the units of the files."""
    lowest: float | None
    highest: float | None
    detail: Spread | None
    """Finest detail; 1 is the highest frequency that pixels can hold."""
    flat: int
    colourless: int
    transparent: int
    converted: int
    """Number of pictures that are CMYK or Lab, or whose profile is not that of sRGB."""
    turned: int
    """Number of pictures that their EXIF data rotates or mirrors."""
    holed: int
    """Number of pictures with pixels without data."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that a check has found."""

    data: str
    """The folder of the data set."""
    pairs: str
    """`none`, or `side_by_side`."""
    quick: bool
    folders: tuple[Folder, ...]
    findings: tuple[Finding, ...]
    """Errors, then warnings, then notes."""
    suggestions: tuple[Suggestion, ...]
    """The recipe that fits."""
    cost: Cost | None
    """What that recipe costs on this machine; None if it was not measured."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop a training."""
        return tuple(each for each in self.findings if each.level == "error")

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data."""
        plain = asdict(self)
        for folder in plain["folders"]:
            for key, value in folder.items():
                if isinstance(value, Spread):
                    folder[key] = value._asdict()
        if self.cost:
            plain["cost"]["hours"] = round(self.cost.hours, 2)
        return plain


def folder_of(facts: Facts) -> Folder:
    """Return the facts about a folder as plain data."""
    pictures, place = facts.pictures, facts.place
    some = len(pictures) > 0

    def of(values: Any) -> Spread | None:
        return spread(np.asarray(values)) if len(values) else None

    return Folder(
        name=place.name,
        domain=place.domain,
        split=place.split,
        files=len(place.files),
        checked=len(facts.rows),
        unreadable=facts.unreadable,
        not_read={kind: unread.number for kind, unread in place.files.others.items()},
        suffixes=facts.suffixes,
        kinds=facts.kinds,
        depths=facts.depths,
        channels={str(count): number for count, number in facts.channels.items()},
        sizes=facts.sizes,
        width=of(pictures["width"]),
        height=of(pictures["height"]),
        shorter_side=of(facts.shorter),
        aspect=of(facts.aspects),
        values=Spread(*facts.percentiles) if some else None,
        lowest=float(pictures["low"].min()) if some else None,
        highest=float(pictures["high"].max()) if some else None,
        detail=of(facts.details),
        flat=int(facts.flat.sum()),
        colourless=int(facts.marked(Marks.COLOURLESS).sum()),
        transparent=int(facts.marked(Marks.TRANSPARENT).sum()),
        converted=int(facts.marked(Marks.CONVERTED).sum()),
        turned=int(facts.marked(Marks.TURNED).sum()),
        holed=int(facts.marked(Marks.HOLED).sum()),
    )
