"""The files that a translation writes: their names, which say the format, and how they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from cyclegan.data.codecs.signature import HEAD, format_of
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
    if (suffix := asked_suffix(target, output)) is not None:
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


def asked_suffix(target: PictureFormat, output: Output) -> str | None:
    """Return the suffix that `output.format` asks for; None if it asks for none. Raises ValueError like `namer`."""
    if output.format is None:
        return None
    suffix = f".{output.format.removeprefix('.').lower()}"
    if suffix not in SUFFIXES:
        raise ValueError(f"--output_format: expected one of {' '.join(sorted(SUFFIXES))}, not {output.format}")
    if suffix_for(suffix, target.depth, target.channels) != suffix:
        best = suffix_for(".png", target.depth, target.channels)
        raise ValueError(f"--output_format: {suffix} does not store {target.told}; {best} does")
    return suffix


def stream_suffix(data: bytes, name: str, target: PictureFormat, output: Output) -> str:
    """Return the suffix of a translation that has no name: of the format of the source, by its first bytes.

    If that format cannot store pictures of the target domain, it is `.png` or `.tif`; `output.format` chooses another.
    Raises ValueError like `namer`.
    """
    found = format_of(data[:HEAD], Path(name))
    own = next((suffix for suffix, written in SUFFIXES.items() if written == found), ".png")
    return asked_suffix(target, output) or suffix_for(own, target.depth, target.channels)


def check_names(files: Listing, named: Callable[[str], str]) -> None:
    """Raise ValueError when two sources would have the same output."""
    outputs = dict[str, str]()
    for name in files.names:
        if (first := outputs.setdefault(named(name), name)) != name:
            both = f"{shown(files.folder / first)} and {shown(Path(name))}"
            raise ValueError(f"{both} would both be written to {shown(Path(named(name)))}; rename one of them")


def check_sources(files: Listing, named: Callable[[str], str], out: Path, *, is_folder: bool) -> None:
    """Raise ValueError when an output would overwrite a source, or when `out` lies in the folder of the sources."""
    inside = is_folder and _place(files.folder) in map(_place, (out.resolve(), *out.resolve().parents))
    if inside or _overwrites(files, Listing(out, [*map(named, files.names)])):
        raise ValueError(f"{shown(out)}: lies among the sources, which are never overwritten; choose another directory")


def _known(name: str) -> bool:
    """Return whether a name ends in the suffix of a format, rather than in a part of a number."""
    suffix = split_suffix(name)[1].lower()
    return suffix in SUFFIXES or suffix in READ


def _overwrites(sources: Listing, outputs: Listing) -> bool:
    """Return whether an output would overwrite a source, with links resolved."""
    place = cache(_place)
    written = {place(outputs.folder / parent) for parent in {name.rpartition("/")[0] for name in outputs.names}}
    files = (Path(os.path.realpath(path)) if path.is_symlink() else path for path in sources)
    near = {(place(path.parent), path.name) for path in files if place(path.parent) in written}
    if not near:
        return False
    return any((place(path.parent), path.name) in near for path in outputs)  # an output replaces a link itself


def _place(folder: Path) -> object:
    """Return an identity of a folder that does not depend on spelling: on macOS and Windows, PHOTOS is photos."""
    try:
        about = folder.stat()
    except OSError:  # it does not exist yet
        return os.path.realpath(folder)
    return (about.st_dev, about.st_ino) if about.st_ino else os.path.realpath(folder)
