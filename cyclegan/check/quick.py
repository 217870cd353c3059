"""The quick part of the check, which `cyclegan train` runs when it starts: no picture is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from cyclegan.check.between import LARGER, UNBALANCED
from cyclegan.check.finding import counted
from cyclegan.data.config import DataConfig
from cyclegan.data.held_out import mark
from cyclegan.data.listing import Listing
from cyclegan.data.shapes import size_of
from cyclegan.data.sources import Source, sources, unseen_split
from cyclegan.types import DOMAINS, Domain
from cyclegan.util.evenly import evenly
from cyclegan.util.text import as_typed, shown

SAMPLE = 32
"""Number of files of each folder whose sizes are looked at."""

MOST = 20_000
"""Number of files in a folder from which it is not compared with the test pictures; a slow disk needs 1 ms for each."""

SUSPECTS = 1000
"""Number of files of equal sizes that are compared."""


def quick_notes(data: DataConfig, files: Mapping[Domain, Listing], *, one_style: bool = False) -> list[str]:
    """Return lines about what is odd in the training pictures `files`; nothing if all is well.

    With `one_style`, one of the folders needs no more than one picture.
    """
    places = sources(data, "train")
    found = [*_copies(data, places, files)]
    if data.pairs != "side_by_side":  # halves of one file have equal numbers and sizes
        found += [*([] if one_style else _numbers(places, files)), *_sizes(places, files)]
    if not found:
        return []
    more = as_typed("cyclegan", "check", shown(data.root))
    return [*(f"check: {line}" for line in found), f"check: {more} says more"]


def _numbers(places: Mapping[Domain, Source], files: Mapping[Domain, Listing]) -> Iterator[str]:
    few, many = sorted(DOMAINS, key=lambda domain: len(files[domain]))
    if (ratio := len(files[many]) / len(files[few])) >= UNBALANCED:
        names = shown(places[many].folder), shown(places[few].folder)
        yield f"{names[0]} has {ratio:.3g} times as many pictures as {names[1]}"


def _sizes(places: Mapping[Domain, Source], files: Mapping[Domain, Listing]) -> Iterator[str]:
    sampled = {domain: map(size_of, evenly(files[domain], SAMPLE)) for domain in DOMAINS}
    shorter = {domain: [min(size) for size in sizes if size] for domain, sizes in sampled.items()}
    if not all(shorter.values()):
        return
    a, b = (median(shorter[domain]) for domain in DOMAINS)
    if max(a / b, b / a) >= LARGER:
        names = " and ".join(shown(places[domain].folder) for domain in DOMAINS)
        yield f"the shorter sides in {names} differ: {a:.0f} and {b:.0f} pixels (medians of samples)"


def _copies(data: DataConfig, places: Mapping[Domain, Source], files: Mapping[Domain, Listing]) -> Iterator[str]:
    """Compare the bytes of training and test pictures whose files have equal sizes."""
    for domain, source in sources(data, unseen_split(data)).items():
        if not source.folder.is_dir() or len(files[domain]) > MOST or source.half == "right":
            continue
        tests = source.find()
        if len(tests) > MOST:
            continue
        by_size = _by_size(tests)
        suspects = [path for path in files[domain] if _size(path) in by_size][:SUSPECTS]
        marks = {mark(path): path for size in {_size(path) for path in suspects} for path in by_size[size][:SUSPECTS]}
        same = [(path, marks[found]) for path in suspects if (found := mark(path)) and found in marks]
        if same:
            where, (one, other) = shown(places[domain].folder), same[0]
            both = f"{shown(Path(one.name))} = {shown(Path(other.name))}"
            yield f"{where}: {counted(len(same))} also in {shown(source.folder)}, so scores are too good: {both}"


def _by_size(paths: Listing) -> dict[int, list[Path]]:
    sizes: dict[int, list[Path]] = {}
    for path in paths:
        sizes.setdefault(_size(path), []).append(path)
    return {size: found for size, found in sizes.items() if size > 0}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reading it reports why
        return 0
