"""The layout of a data set: the folders that it has, and their files by name only."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from cyclegan.data.config import DataConfig
from cyclegan.data.kinds import READ as SUFFIXES
from cyclegan.data.sources import Source, sources, unseen_split
from cyclegan.types import DOMAINS, Domain
from cyclegan.util.text import shown

EXPECTED = (
    "a data set has trainA and trainB, optionally testA and testB; "
    "or train, optionally test, with each pair side by side in one file"
)

BESIDE = frozenset({".txt", ".md", ".json", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".html", ".ini", ".db", ".log"})
"""Suffixes of files that often lie beside pictures, and are no surprise."""


class Place(NamedTuple):
    """The pictures of one domain in one split."""

    name: str
    """As it is told: `trainA`, or `train (left)`."""
    domain: Domain
    split: str
    source: Source
    files: Sequence[Path]
    not_read: dict[str, int]
    """The number of files of each suffix that are not read."""


def find_data(root: Path) -> DataConfig:
    """Return a config with the layout of a data set. Raises FileNotFoundError that says what is expected."""
    if not root.is_dir():
        raise FileNotFoundError(f"{shown(root)}: no such folder; {EXPECTED}")
    missing = [name for name in ("trainA", "trainB") if not (root / name).is_dir()]
    if not missing:
        return DataConfig(root=root)
    if (root / "train").is_dir():
        return DataConfig(root=root, pairs="side_by_side")
    there = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    has = f"it has {', '.join(shown(Path(name)) for name in there[:10])}" if there else "it has no folders"
    raise FileNotFoundError(f"{shown(root)}: has no {' and no '.join(missing)}, {has}; {EXPECTED}")


def find_places(data: DataConfig) -> list[Place]:
    """Return the folders for training, then those for tests if there are some. Raises what `find_images` raises."""
    places = []
    for split in ("train", unseen_split(data)):
        for domain in DOMAINS:
            source = sources(data, split)[domain]
            if split == "train" or source.folder.is_dir():
                half = f" ({source.half})" if source.half else ""
                name = f"{source.folder.name}{half}"
                files = source.find()
                places.append(Place(name, domain, split, source, files, not_read(source.folder)))
    return places


def not_read(folder: Path) -> dict[str, int]:
    """Count the files that are not read, by suffix; hidden files and those of `BESIDE` are left out."""
    counts = Counter[str]()
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        suffixes = (PurePath(name).suffix.lower() for name in names if not name.startswith("."))
        counts.update(suffix for suffix in suffixes if suffix not in {*SUFFIXES, *BESIDE})
    return {suffix or "none": number for suffix, number in counts.most_common()}
