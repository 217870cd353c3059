"""Choose the held-out pictures of a folder by a hash of their names, so that the choice of one ignores other files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from cyclegan.data.files import UnreadableImage, contents
from cyclegan.data.read import read_picture
from cyclegan.types import Domain
from cyclegan.util.text import shown

Chosen: TypeAlias = "dict[str, str]"
"""The names of held-out pictures (paths below their folder) and the `mark` of each file. An empty mark means that the
picture is used neither for training nor for validation."""


class Changes(NamedTuple):
    """How the files of a folder changed since their names were recorded."""

    added: list[str]
    removed: list[str]
    again: dict[str, str]
    """Renamed or copied held-out pictures: the new name of each, and the old one."""


def draw(
    folder: Path, files: Mapping[str, Path], number: int, seed: int, warn: Callable[[str], None],
    partners: Mapping[str, Path] | None = None,
) -> Chosen:  # fmt: skip
    """Choose `number` readable pictures to hold out: those whose names have the lowest BLAKE2b hashes, keyed by `seed`.

    A picture that cannot be read, or whose partner cannot be read, is reported with `warn` and replaced by another; it
    is chosen with an empty mark. Pictures that have the same name in two folders are chosen in both.
    Raises ValueError when the folder has too few pictures.
    """
    chosen: Chosen = {}
    found = 0
    few = f"but data.validation holds out {number}; lower it"
    if number >= len(files):
        raise ValueError(f"{shown(folder)}: has {len(files)} pictures, {few}")
    for name in sorted(files, key=partial(_hash, seed)):
        if found == number:
            return chosen
        try:
            read_picture(files[name])
            if partners:
                read_picture(partners[name])
            chosen[name], found = mark(files[name]), found + 1
        except UnreadableImage as error:
            warn(f"skipped, and another picture is held out instead: {error}")
            chosen[name] = ""
    raise ValueError(f"{shown(folder)}: only {found} pictures can be read, {few}")


def alike(a: Mapping[str, Path], b: Mapping[str, Path], held_out: Mapping[Domain, Chosen]) -> dict[Domain, Chosen]:
    """Return the held-out pictures of both domains, extended by the partner of each.

    `a` and `b` list the pairs in the same order. A pair of which one picture has an empty mark gets empty marks.
    """
    chosen: dict[Domain, Chosen] = {"a": dict(held_out["a"]), "b": dict(held_out["b"])}
    for (name_a, path_a), (name_b, path_b) in zip(a.items(), b.items(), strict=True):
        if name_a in chosen["a"] or name_b in chosen["b"]:
            mark_a = chosen["a"][name_a] if name_a in chosen["a"] else mark(path_a)
            mark_b = chosen["b"][name_b] if name_b in chosen["b"] else mark(path_b)
            whole = bool(mark_a and mark_b)
            chosen["a"][name_a], chosen["b"][name_b] = (mark_a, mark_b) if whole else ("", "")
    return chosen


def changes(files: Mapping[str, Path], noted: Collection[str], chosen: Chosen) -> Changes:
    """Compare the files of a folder with the recorded names. A held-out picture with a new name is found by its mark.

    `noted` are the names recorded for training, and `chosen` are the held-out pictures.
    """
    known = {*noted, *chosen}
    added = [name for name in files if name not in known]
    marked = {bytes_of: name for name, bytes_of in chosen.items() if bytes_of}
    sizes = {bytes_of.partition("-")[0] for bytes_of in marked}
    suspects = {name: mark(files[name]) for name in added if _size(files[name]) in sizes}
    again = {name: marked[found] for name, found in suspects.items() if found in marked}
    removed = [name for name in noted if name not in files and name not in again.values()]
    return Changes([name for name in added if name not in again], removed, again)


def mark(path: Path) -> str:
    """Return the fingerprint of a file, its size and the BLAKE2b hash of its bytes; "" if it cannot be read."""
    try:
        data = contents(path)
    except (OSError, ValueError):
        return ""
    return f"{len(data)}-{hashlib.blake2b(data, digest_size=16).hexdigest()}"


def _size(path: Path) -> str:
    try:
        return str(path.stat().st_size)
    except OSError:
        return ""


def _hash(seed: int, name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), key=seed.to_bytes(8, "big")).digest()
