"""Choose the held-out pictures of a folder by a hash of their names, so that the choice of one ignores other files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from cyclegan.data.files import UnreadableImage, contents
from cyclegan.data.listing import Listing
from cyclegan.data.read import read_picture
from cyclegan.types import Domain
from cyclegan.util.text import shown

Chosen: TypeAlias = "dict[str, str]"
"""The names of held-out pictures (paths below their folder) and the `mark` of each file. An empty mark means that the
picture is used neither for training nor for validation."""

FEWEST = 4
"""The lowest value of `data.validation`."""


class Changes(NamedTuple):
    """How the files of a folder changed since their names were recorded."""

    added: list[str]
    removed: list[str]
    again: dict[str, str]
    """Renamed or copied held-out pictures: the new name of each, and the old one."""


def draw(
    files: Listing, number: int, seed: int, warn: Callable[[str], None], partners: Listing | None = None
) -> Chosen:
    """Choose `number` readable pictures to hold out: those whose names have the lowest BLAKE2b hashes, keyed by `seed`.

    A picture that cannot be read, or whose partner (of the same index) cannot be read, is reported with `warn` and
    replaced by another; it is chosen with an empty mark. Pictures that have the same name in two folders are chosen in
    both. Raises ValueError when the folder has too few pictures.
    """
    chosen: Chosen = {}
    found = 0
    few = f"but data.validation holds out {number}; lower it"
    if len(files) <= FEWEST:
        has = "has 1 picture" if len(files) == 1 else f"has {len(files)} pictures"
        told = f"{has}, too few to hold out {FEWEST} or more for scores; set log.evaluate_every to null"
        raise ValueError(f"{shown(files.folder)}: {told}")
    if number >= len(files):
        raise ValueError(f"{shown(files.folder)}: has {len(files)} pictures, {few}")
    for index in _order(files.names, seed):
        if found == number:
            return chosen
        name = files.names[index]
        try:
            read_picture(files[index])
            if partners:
                read_picture(partners[index])
            chosen[name], found = mark(files[index]), found + 1
        except UnreadableImage as error:
            warn(f"skipped, and another picture is held out instead: {error}")
            chosen[name] = ""
    raise ValueError(f"{shown(files.folder)}: only {found} pictures can be read, {few}")


def alike(a: Listing, b: Listing, held_out: Mapping[Domain, Chosen]) -> dict[Domain, Chosen]:
    """Return the held-out pictures of both domains, extended by the partner of each.

    `a` and `b` list the pairs in the same order. A pair of which one picture has an empty mark gets empty marks.
    """
    chosen: dict[Domain, Chosen] = {"a": dict(held_out["a"]), "b": dict(held_out["b"])}
    for index, (name_a, name_b) in enumerate(zip(a.names, b.names, strict=True)):
        if name_a in chosen["a"] or name_b in chosen["b"]:
            mark_a = chosen["a"][name_a] if name_a in chosen["a"] else mark(a[index])
            mark_b = chosen["b"][name_b] if name_b in chosen["b"] else mark(b[index])
            whole = bool(mark_a and mark_b)
            chosen["a"][name_a], chosen["b"][name_b] = (mark_a, mark_b) if whole else ("", "")
    return chosen


def changes(files: Listing, noted: Sequence[str], chosen: Chosen) -> Changes:
    """Compare the files of a folder with the recorded names. A held-out picture with a new name is found by its mark.

    `noted` are the names recorded for training, and `chosen` are the held-out pictures.
    """
    added, gone = _without(files.names, {*noted, *chosen}), _without(noted, {*files.names})
    marked = {bytes_of: name for name, bytes_of in chosen.items() if bytes_of}
    sizes = {bytes_of.partition("-")[0] for bytes_of in marked}
    suspects = {name: mark(path) for name in added if _size(path := files.folder / name) in sizes}
    again = {name: marked[found] for name, found in suspects.items() if found in marked}
    return Changes(_without(added, again), _without(gone, {*again.values()}), again)


def mark(path: Path) -> str:
    """Return the fingerprint of a file, its size and the BLAKE2b hash of its bytes; "" if it cannot be read."""
    try:
        data = contents(path)
    except (OSError, ValueError):
        return ""
    return f"{len(data)}-{hashlib.blake2b(data, digest_size=16).hexdigest()}"


def _without(names: Sequence[str], known: Container[str]) -> list[str]:
    return [name for name in names if name not in known]


def _size(path: Path) -> str:
    try:
        return str(path.stat().st_size)
    except OSError:
        return ""


def _order(names: Sequence[str], seed: int) -> Iterator[int]:
    """Return the indices of the names, sorted by their hashes, of which the first 8 bytes are compared."""
    hashes = (int.from_bytes(_hash(seed, name)[:8]) for name in names)
    return map(int, np.argsort(np.fromiter(hashes, np.uint64, len(names)), kind="stable"))


def _hash(seed: int, name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), key=seed.to_bytes(8, "big")).digest()
