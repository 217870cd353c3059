"""The files of a folder by their names only, so that a million of them take little memory; paths are made on demand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias, overload

from cyclegan.util.text import shown

EXAMPLES = 3
"""Number of names that are kept of the files of one kind that are not read."""

KindOf: TypeAlias = Callable[[str], "str | None"]
"""Return None for the name of a picture (its path below the folder), else the kind that the file is counted under."""


class Unread(NamedTuple):
    """Files of one kind that are not pictures."""

    number: int
    examples: tuple[str, ...]
    """The first `EXAMPLES` of their names (paths below the folder)."""


class Listing(Sequence[Path]):
    """Pictures in a folder; `names` are their paths below it, with forward slashes."""

    def __init__(self, folder: Path, names: list[str], others: Mapping[str, Unread] | None = None) -> None:
        self.folder, self.names = folder, names
        self.others = dict(others or {})
        """The other files in the folder, by their kind; hidden ones are not counted."""

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> Listing: ...
    def __getitem__(self, index: int | slice) -> Path | Listing:
        names = self.names[index]
        return self.folder / names if isinstance(names, str) else self.only(names)

    def __iter__(self) -> Iterator[Path]:
        return map(self.folder.joinpath, self.names)

    def only(self, names: list[str]) -> Listing:
        """Return a listing of some of the pictures."""
        return Listing(self.folder, names, self.others)


def list_files(folder: Path, kind_of: KindOf) -> Listing:
    """List the pictures in a folder and its subfolders, sorted by name; `kind_of` says which files are pictures.

    Names that begin with a dot are ignored. Broken links and pipes count as files. Linked folders are entered once.
    Raises FileNotFoundError when there is no such folder, and OSError when one of its subfolders cannot be read.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{shown(folder)} is not a folder; give a folder of pictures")
    names, others = list[str](), dict[str, Unread]()
    for name in _files(folder):
        kind = kind_of(name)
        if kind is None:
            names.append(name)
        else:
            number, examples = others.get(kind, Unread(0, ()))
            others[kind] = Unread(number + 1, tuple(sorted((*examples, name))[:EXAMPLES]))
    names.sort()
    return Listing(folder, names, others)


def split_suffix(name: str) -> tuple[str, str]:
    """Split a name into the part before its suffix, and the suffix as `Path.suffix` defines it; faster than a Path."""
    return os.path.splitext(name)  # noqa: PTH122


def _files(folder: Path) -> Iterator[str]:
    """Yield the paths of all files below a folder, except hidden ones."""
    entered, waiting = set[str](), [("", os.path.realpath(folder))]
    while waiting:
        parent, place = waiting.pop()
        if place in entered:
            continue
        entered.add(place)
        below = list[tuple[str, str]]()
        with os.scandir(folder / parent) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = f"{parent}/{entry.name}" if parent else entry.name
                if _is_folder(entry):
                    below.append((name, _place(entry, place)))
                else:
                    yield name
        waiting += sorted(below, reverse=True)  # the last one is entered first


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be entered
        return False


def _place(entry: os.DirEntry[str], parent: str) -> str:
    """Return the path of a subfolder without links, given that of its parent."""
    if entry.is_symlink() or os.name == "nt":  # a junction of Windows is a link, but not a symlink
        return os.path.realpath(entry.path)
    return f"{parent}/{entry.name}"
