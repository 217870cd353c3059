"""What is odd between folders: A and B, pictures for training and for tests, copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cyclegan.check.copies import Copies, Picture
from cyclegan.check.facts import Facts
from cyclegan.check.finding import EXAMPLES, Example, Finding, Level, counted
from cyclegan.data.config import DataConfig
from cyclegan.data.listing import split_suffix

UNBALANCED, LOPSIDED = 4.0, 20.0
"""Ratios of the numbers of pictures that are noted, and that are warned about."""

LARGER = 1.5
"""Ratio of the median shorter sides from which the domains differ in size."""

SHARPER = 1.7
"""Ratio of the finest details, at equal size, from which one domain is blurred compared with the other."""

ENOUGH = 512.0
"""Detail in pixels that no training needs more of."""

WIDER = 1.3
"""Ratio of the median aspects from which the shapes differ."""

MANY = 0.02
"""Share of copies in a folder from which they are warned about."""

SAME_NAMES = 0.9
"""Share of equal names from which two folders look like pairs."""


def between(data: DataConfig, folders: Sequence[Facts]) -> Iterator[Finding]:
    """Yield the findings about the folders of A and B that are trained on, and about missing tests."""
    a, b = folders[:2]
    tests = {facts.place.domain for facts in folders[2:]}
    missing = ["test" if data.paired else f"test{domain.upper()}" for domain in ("a", "b") if domain not in tests]
    if missing:
        yield Finding(
            level="note",
            kind="no_test",
            text=f"no {' and no '.join(dict.fromkeys(missing))}: there is nothing to score a run on",
            advice="move some pictures of each domain there; 50 or more give scores",
        )
    if not data.paired:
        yield from _numbers(a, b)
        yield from _names(a, b)
    if len(a.pictures) and len(b.pictures):
        yield from _channels(a, b)
        yield from _sizes(a, b)
        yield from _details(a, b)
        if data.paired:
            yield from _halves(a)


def about_copies(data: DataConfig, folders: Sequence[Facts], copies: Sequence[Copies]) -> Iterator[Finding]:
    """Yield the findings about copies; halves of one file may look alike."""
    places = {facts.place.name: facts for facts in folders}
    for found in copies:
        first, second = places[found.first].place, places[found.second].place
        if found.near and data.paired and first.domain != second.domain:
            continue
        one = found.pictures == 1
        like = ("looks like" if one else "look like") if found.near else ("equals" if one else "equal")
        level: Level = "warning"
        what, others = f"{found.second}: {counted(found.pictures)} {like}", "one" if one else "some"
        if found.first == found.second:
            many = not found.near and found.pictures > MANY * len(places[found.second].pictures)
            kind, text = "copies", f"{what} {'another one' if one else 'others'}"
            level = "warning" if many else "note"
            advice = "look at them, and remove what is there twice"
        elif first.domain != second.domain:
            kind, text = "a_in_b", f"{what} {others} of {found.first}"
            advice = "look at them, and keep each in one domain only"
        else:
            kind, text = "test_in_train", f"{what} {others} of {found.first}"
            advice = "keep each in one folder only: scores on pictures that were trained on are too good"
        yield Finding(
            level=level,
            kind=f"near_{kind}" if found.near else kind,
            text=text,
            advice=advice,
            examples=tuple(_example(folders, pair) for pair in found.pairs[:EXAMPLES]),
        )


def _example(folders: Sequence[Facts], pair: Sequence[Picture]) -> Example:
    names = " = ".join(folders[each.folder].name(each.row) for each in pair)
    return Example(told=names, files=tuple(str(folders[each.folder].path(each.row)) for each in pair))


def real_detail(facts: Facts) -> float:
    """Return the finest detail that the median picture has, as the shorter side that could still hold it, in pixels."""
    share = float(np.median(facts.details)) if len(facts.details) else 1.0
    return float(np.median(facts.shorter)) * share


def equal_names(a: Facts, b: Facts) -> float:
    """Return the share of the names of the larger folder, without suffixes, that the other folder has too."""
    # Hashes, because a million names take more memory.
    stems = [{hash(split_suffix(name)[0]) for name in facts.place.files.names} for facts in (a, b)]
    return len(stems[0] & stems[1]) / max(map(len, stems))


def _numbers(a: Facts, b: Facts) -> Iterator[Finding]:
    few, many = sorted((a, b), key=lambda facts: len(facts.place.files))
    ratio = len(many.place.files) / len(few.place.files)
    advice = f"each picture of {few.place.name} is seen that much more often; collect more of them"
    if len(few.place.files) == 1:
        advice = "one picture is enough for method.kind: perceptual, as its style; other methods need many more"
    if ratio >= UNBALANCED:
        yield Finding(
            level="warning" if ratio >= LOPSIDED else "note",
            kind="balance",
            text=f"{many.place.name} has {ratio:.3g} times as many pictures as {few.place.name}",
            advice=advice,
        )


def _names(a: Facts, b: Facts) -> Iterator[Finding]:
    if (share := equal_names(a, b)) >= SAME_NAMES:
        yield Finding(
            level="note",
            kind="names",
            text=f"{a.place.name} and {b.place.name}: {100 * share:.0f} % of the names are equal",
            advice="if equal names are pairs, set data.pairs: stem, and consider method.kind: pix2pix",
        )


def _channels(a: Facts, b: Facts) -> Iterator[Finding]:
    one, other = (max(facts.channels, key=facts.channels.__getitem__) for facts in (a, b))
    if one != other and {one, other} != {1, 3}:
        yield Finding(
            level="warning",
            kind="channels",
            text=f"{a.place.name} has {counted(one, 'channel')}, {b.place.name} {other}",
            advice="cyclegan and pix2pix train on them; CUT and FastCUT do not, and identity losses are left out",
        )


def _sizes(a: Facts, b: Facts) -> Iterator[Finding]:
    one, other = (float(np.median(facts.shorter)) for facts in (a, b))
    if max(one / other, other / one) >= LARGER:
        yield Finding(
            level="warning",
            kind="scale",
            text=f"shorter sides differ: {one:.0f} pixels in {a.place.name}, {other:.0f} in {b.place.name} (medians)",
            advice="scale both to one shorter side before cropping, or crops show things at different scales",
        )
    one, other = (float(np.median(facts.aspects)) for facts in (a, b))
    if max(one / other, other / one) >= WIDER:
        yield Finding(
            level="note",
            kind="aspect",
            text=f"width / height differs: {one:.2f} in {a.place.name}, {other:.2f} in {b.place.name} (medians)",
            advice="do not squash them to squares, or the network learns to squash",
        )


def _details(a: Facts, b: Facts) -> Iterator[Finding]:
    """Compare what both could show if their shorter sides were equal."""
    blurred, sharp = sorted((a, b), key=real_detail)
    low, high = real_detail(blurred), real_detail(sharp)
    if not (len(a.details) and len(b.details)) or high / low < SHARPER or low >= ENOUGH:
        return
    yield Finding(
        level="warning",
        kind="detail",
        text=f"{blurred.place.name} has detail as of {low:.0f} pixels, {sharp.place.name} as of {high:.0f} (medians)",
        advice=f"train at {low:.0f} pixels or less, or the network learns to blur and to sharpen",
    )


def _halves(a: Facts) -> Iterator[Finding]:
    aspect = float(np.median(a.aspects))
    if not 0.6 <= aspect <= 1.7:
        yield Finding(
            level="warning",
            kind="halves",
            text=f"{a.place.source.folder.name}: halves of its files have width / height {aspect:.2f}",
            advice="each file must hold A on its left and B on its right half",
        )
