"""The layout of a data set: the folders that it has, and their files by name only."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cyclegan.data.config import DataConfig
from cyclegan.data.listing import Listing
from cyclegan.data.sources import Source, sources, unseen_split
from cyclegan.types import DOMAINS, Domain
from cyclegan.util.text import shown

EXPECTED = (
    "a data set has trainA and trainB, optionally testA and testB; "
    "or train, optionally test, with each pair side by side in one file"
)


class Place(NamedTuple):
    """The pictures of one domain in one split."""

    name: str
    """As it is told: `trainA`, or `train (left)`."""
    domain: Domain
    split: str
    source: Source
    files: Listing


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
                places.append(Place(name, domain, split, source, source.find()))
    return places
