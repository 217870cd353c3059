"""What is odd within one folder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cyclegan.check.facts import Facts
from cyclegan.check.finding import EXAMPLES, Example, Finding, counted
from cyclegan.check.look import DEPTHS, Marks
from cyclegan.data.folder import TOLERATED
from cyclegan.data.kinds import told_unread
from cyclegan.util.text import shown

FEW, SOME = 50, 200
"""Numbers of training pictures below which a network learns hardly anything, or little."""

SMALL = 0.5
"""Share of the median shorter side below which a picture is much smaller than the others."""

LONG = 3.0
"""Width divided by height, or the reverse, from which a crop shows a small part of a picture."""

PALE = 0.4
"""Share of the range of 8 bits below which the values of a folder have little contrast."""

ALL_ONES = tuple(2**bits - 1 for bits in range(10, 16))
"""The largest numbers of 10 to 15 bits."""

ENLARGED = 0.6
"""Median finest detail below which the pictures of a folder look enlarged."""

MARKED = {
    Marks.TRANSPARENT: (
        "transparent",
        "with transparent parts",
        "training makes these white; fill them if that is wrong",
    ),
    Marks.HOLED: ("holed", "with pixels without data", "training gives these the lowest value; remove what has many"),
}
"""For each mark: a word for programs, what such pictures are, and what to do about them."""


def within(facts: Facts) -> Iterator[Finding]:
    """Yield the findings about one folder."""
    yield from _files(facts)
    if len(facts.pictures):
        yield from _colours(facts)
        yield from _values(facts)
        yield from _shapes(facts)


def _files(facts: Facts) -> Iterator[Finding]:
    name, total = facts.place.name, len(facts.rows)
    if facts.unreadable:
        most = facts.unreadable * TOLERATED > total
        yield Finding(
            level="error" if most else "warning",
            kind="unreadable",
            text=f"{name}: {facts.unreadable:,} of {counted(total)} cannot be read",
            advice="repair or remove them; "
            + ("training stops if they are more than a tenth" if most else "training skips them"),
            examples=tuple(
                Example(told=reason.replace(shown(facts.path(row)), facts.name(row)), files=(str(facts.path(row)),))
                for row, reason in list(facts.reasons.items())[:EXAMPLES]
            ),
        )
    if (unread := told_unread(facts.place.files.others)) and facts.place.source.half != "right":
        yield Finding(level="warning", kind="not_read", text=f"{name}: {unread}", advice="training goes without them")
    number = len(facts.place.files)
    if facts.place.split == "train" and number < SOME:
        yield Finding(
            level="warning" if number < FEW else "note",
            kind="few",
            text=f"{name}: only {counted(number)}",
            advice="a few hundred are a good start; published data sets have 400 to 7,000",
        )


def _colours(facts: Facts) -> Iterator[Finding]:
    name = facts.place.name
    flat = int(facts.flat.sum())
    if flat:
        yield Finding(
            level="warning",
            kind="flat",
            text=f"{name}: {counted(flat)} of one colour",
            advice="remove them: there is nothing to learn from them",
            examples=facts.examples(facts.flat),
        )
    channels = set(facts.channels)
    if len(channels) > 1 and not channels <= {1, 3}:
        numbers = ", ".join(f"{number:,} with {count}" for count, number in facts.channels.items())
        odd = facts.readable & (facts.rows["channels"] != max(facts.channels, key=facts.channels.__getitem__))
        yield Finding(
            level="error",
            kind="channels",
            text=f"{name}: pictures have different numbers of channels: {numbers}",
            advice="keep one kind; a folder has one number of channels",
            examples=facts.examples(odd),
        )
    grey = facts.marked(Marks.COLOURLESS) & ~facts.flat
    coloured = facts.readable & ~grey & ~facts.flat
    if grey.any() and coloured.any():
        few, many, *words = (grey, coloured, "in grey", "in colour")
        if grey.sum() > coloured.sum():
            few, many, *words = (coloured, grey, "in colour", "in grey")
        yield Finding(
            level="note",
            kind="colourless",
            text=f"{name}: {counted(int(few.sum()))} {words[0]} among {int(many.sum()):,} {words[1]}",
            advice="remove them, unless both belong to the domain",
            examples=facts.examples(few),
        )
    elif grey.any() and 3 in channels:
        yield Finding(
            level="note",
            kind="colourless",
            text=f"{name}: all pictures are grey, stored as colour",
            advice=f"data.{facts.place.domain}.channels: 1 makes the networks smaller",
        )


def _values(facts: Facts) -> Iterator[Finding]:
    name, depths = facts.place.name, facts.depths
    if len(depths) > 1:
        numbers = ", ".join(f"{number:,} {depth}" for depth, number in depths.items())
        yield Finding(
            level="note",
            kind="depths",
            text=f"{name}: files have values of different types: {numbers}",
            advice=f"training converts them to {facts.usual_depth}; do it yourself where that makes them dark",
            examples=facts.examples(facts.readable & (facts.rows["depth"] != DEPTHS.index(facts.usual_depth))),
        )
    if (range_ := narrow_range(facts)) is not None:
        of_bits = f"the values have {int(range_[1]).bit_length()} bits, stored in 16"
        dark = facts.kinds.keys() != {"grey"}  # the range of grey is found, that of colours is what can be stored
        yield Finding(
            level="warning" if dark else "note",
            kind="range",
            text=f"{name}: {of_bits}" + (", so the pictures look black to the networks" if dark else ""),
            advice=f"set data.{facts.place.domain}.range: [{range_[0]:g}, {range_[1]:g}], as cyclegan init does",
        )
    elif facts.usual_depth == "uint8":
        low, _, high = facts.percentiles
        if high - low < PALE * 255:
            yield Finding(
                level="note",
                kind="range",
                text=f"{name}: nearly all values are between {low:.0f} and {high:.0f} of 255",
                advice=f"set data.{facts.place.domain}.range: [{low:.0f}, {high:.0f}] if the contrast should be full",
            )
    for mark, (kind, what, advice) in MARKED.items():
        marked = facts.marked(mark)
        if marked.any():
            yield Finding(
                level="note", kind=kind, text=f"{name}: {counted(int(marked.sum()))} {what}", advice=advice,
                examples=facts.examples(marked),
            )  # fmt: skip


def _shapes(facts: Facts) -> Iterator[Finding]:
    name, rows = facts.place.name, np.flatnonzero(facts.readable)
    small = rows[facts.shorter < SMALL * np.median(facts.shorter)]
    if len(small):
        yield Finding(
            level="note",
            kind="small",
            text=f"{name}: {counted(len(small))} less than half as large as most",
            advice="enlarged to the size of the others they are blurred; remove them if they are thumbnails",
            examples=facts.examples(small),
        )
    long = rows[np.maximum(facts.aspects, 1 / facts.aspects) >= LONG]
    if len(long):
        yield Finding(
            level="note",
            kind="long",
            text=f"{name}: {counted(len(long))} at least {LONG:g} times as long as wide",
            advice="a crop shows a small part of them; cut them up, or remove them",
            examples=facts.examples(long),
        )
    if len(facts.details) and (median := float(np.median(facts.details))) < ENLARGED:
        yield Finding(
            level="warning",
            kind="enlarged",
            text=f"{name}: pictures look enlarged about {1 / median:.1f} times; they have no finer detail",
            advice="use the originals, or train at a smaller size",
        )


def narrow_range(facts: Facts) -> tuple[float, float] | None:
    """Return the range of grey or colour of fewer than 16 bits that is stored in 16; None for others.

    Files that declare the number of bits are believed; otherwise it is 10, 12 or 14.
    """
    if facts.usual_depth != "uint16" or "bands" in facts.kinds:
        return None
    high = int(facts.pictures["high"].max())
    if facts.window and facts.window[0] == 0 and high <= facts.window[1] in ALL_ONES:
        return facts.window
    return next(((0.0, float(most)) for most in ALL_ONES[::2] if high <= most), None)
