"""The files that a translation writes: their names, which say the format, and how they are written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cyclegan.data.format import PictureFormat
from cyclegan.data.kinds import READ, kind_of
from cyclegan.data.listing import Listing, split_suffix
from cyclegan.data.stores import SUFFIXES, suffix_for
from cyclegan.data.write import Output
from cyclegan.util.text import shown


def namer(folder: Path, target: PictureFormat, output: Output) -> Callable[[str], str]:
    """Return a function from the name of a source in `folder` (its path below it) to that of its translation.

    It keeps the suffix if that format can store pictures of the target domain. Raises ValueError when `output.format`
    cannot, or is no suffix of a format that is written.
    """
    if output.format is not None:
        suffix = f".{output.format.removeprefix('.').lower()}"
        if suffix not in SUFFIXES:
            raise ValueError(f"--output_format: expected one of {' '.join(sorted(SUFFIXES))}, not {output.format}")
        if suffix_for(suffix, target.depth, target.channels) != suffix:
            best = suffix_for(".png", target.depth, target.channels)
            raise ValueError(f"--output_format: {suffix} does not store {target.told}; {best} does")
        return lambda name: (split_suffix(name)[0] if _known(name) else name) + suffix
    kept = {suffix for suffix in SUFFIXES if suffix_for(suffix, target.depth, target.channels) == suffix}

    def named(name: str) -> str:
        stem, suffix = split_suffix(name)
        if suffix.lower() in kept:
            return name
        if not _known(name):  # a slice of a scanner, 1.2.840.113619
            stem, suffix = name, ".dcm" if kind_of(folder / name).name == "DICOM" else ""
        return stem + suffix_for(suffix, target.depth, target.channels)

    return named


def check_names(files: Listing, named: Callable[[str], str]) -> None:
    """Raise ValueError when two sources would have the same output."""
    outputs = dict[str, str]()
    for name in files.names:
        if (first := outputs.setdefault(named(name), name)) != name:
            both = f"{shown(files.folder / first)} and {shown(Path(name))}"
            raise ValueError(f"{both} would both be written to {shown(Path(named(name)))}; rename one of them")


def _known(name: str) -> bool:
    """Return whether a name ends in the suffix of a format, rather than in a part of a number."""
    suffix = split_suffix(name)[1].lower()
    return suffix in SUFFIXES or suffix in READ
