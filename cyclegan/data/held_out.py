"""Which pictures of a folder are held out of training: chosen by their names, so that no other file has a say in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from cyclegan.data.files import UnreadableImage, contents, read_image
from cyclegan.types import Domain
from cyclegan.util.text import shown

Chosen: TypeAlias = "dict[str, str]"
"""Pictures held out: their names, from their folder on, and a mark of each file's bytes; "" for those never scored."""


class Changes(NamedTuple):
    """What became of a folder's files since their names were noted."""

    added: list[str]
    removed: list[str]
    again: dict[str, str]
    """New names of pictures that are held out, and the old ones."""


def draw(
    folder: Path, files: Mapping[str, Path], number: int, seed: int, warn: Callable[[str], None],
    partners: Mapping[str, Path] | None = None,
) -> Chosen:  # fmt: skip
    """So many pictures that can be read, those whose names hash lowest, with BLAKE2b keyed by the seed.

    One that cannot be read, or whose partner cannot, is told, counts for nothing, and stays out of training too.
    Pictures of one name in two folders are drawn together. Raises ValueError when the folder does not hold enough.
    """
    chosen: Chosen = {}
    found = 0
    few = f"and data.validation keeps {number} out of training; give it a lower number"
    if number >= len(files):
        raise ValueError(f"{shown(folder)}: holds {len(files)} pictures, {few}")
    for name in sorted(files, key=partial(_hash, seed)):
        if found == number:
            return chosen
        try:
            read_image(files[name])
            if partners:
                read_image(partners[name])
            chosen[name], found = mark(files[name]), found + 1
        except UnreadableImage as error:
            warn(f"left out, and another picture held out for it: {error}")
            chosen[name] = ""
    raise ValueError(f"{shown(folder)}: only {found} pictures can be read, {few}")


def alike(a: Mapping[str, Path], b: Mapping[str, Path], held_out: Mapping[Domain, Chosen]) -> dict[Domain, Chosen]:
    """The pictures held out of two domains, with the partners of each; only pairs that are whole are scored.

    The files of the domains are in the order of their pairs.
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
    """What became of the files whose names were noted. A picture held out is known by its bytes under any new name."""
    known = {*noted, *chosen}
    added = [name for name in files if name not in known]
    marked = {bytes_of: name for name, bytes_of in chosen.items() if bytes_of}
    sizes = {bytes_of.partition("-")[0] for bytes_of in marked}
    suspects = {name: mark(files[name]) for name in added if _size(files[name]) in sizes}
    again = {name: marked[found] for name, found in suspects.items() if found in marked}
    removed = [name for name in noted if name not in files and name not in again.values()]
    return Changes([name for name in added if name not in again], removed, again)


def mark(path: Path) -> str:
    """By which a file is known again: its size and the BLAKE2b of its bytes; "" where there are none to read."""
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
