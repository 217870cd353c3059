"""Published weights: generators in files and checkpoint folders of the reference implementation and of CUT."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from cyclegan.inference.architecture import generator_from
from cyclegan.inference.state_dicts import direction_of, generators_in
from cyclegan.networks.base import Generator
from cyclegan.types import Direction
from cyclegan.util.torchfile import load_pickled

FILE = re.compile(r"(?P<epoch>latest|iter_[0-9]{1,18}|[0-9]{1,18})_net_G(?:_[AB])?\.(?:pth|pt)")
"""File names of generators in checkpoint folders of the reference and of CUT."""


def read_content(path: Path) -> Any:
    """Load tensors and plain data from a file written by `torch.save`. Raises ValueError for any other file."""
    try:
        return load_pickled(path, check=True)
    except ValueError as error:
        raise ValueError(f"{path}: damaged, or not a file of weights: {error}") from None


def import_generators(content: object, path: Path, direction: Direction | None = None) -> dict[Direction, Generator]:
    """Build the generators in the content of a file; returns them by direction.

    The direction is taken from their keys, else from the file name, else it is `direction` (default: AtoB). Raises
    ValueError when the content holds no generator.
    """
    try:
        found = generators_in(content)
        unsaid = (direction_of(path.stem) or direction if len(found) == 1 else None) or Direction.AtoB
        return {way or unsaid: generator_from(state) for way, state in found.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def import_folder(folder: Path, direction: Direction | None = None) -> dict[Direction, Generator]:
    """Load the generators of a checkpoint folder: `latest_net_G*.pth`, else those of the highest epoch.

    If there is one for `direction`, only that one is read. Returns an empty dict if the folder has no such file. Raises
    ValueError when a file holds no generator.
    """
    files, found = files_in(folder), dict[Direction, Generator]()
    asked = [path for path in files if direction_of(path.stem) == direction]
    for path in asked or files:
        found = import_generators(read_content(path), path, direction) | found
    return found


def files_in(folder: Path) -> list[Path]:
    """Return the generator files of the latest epoch in a checkpoint folder.

    `latest_net_G.pth` beside `latest_net_G_A.pth` is left out: it is a copy of one of them that users are told to make.
    """
    epochs: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if (match := FILE.fullmatch(path.name)) and path.is_file():
            epochs[match["epoch"]].append(path)
    if not epochs:
        return []
    files = epochs[max(epochs, key=_age)]
    return [path for path in files if direction_of(path.stem)] or files


def file_for(source: Path, direction: Direction) -> Path:
    """Return the file in a checkpoint folder for a direction; any other source is returned unchanged."""
    files = files_in(source) if source.is_dir() else []
    return next((path for path in files if direction_of(path.stem) in (direction, None)), source)


def _age(epoch: str) -> tuple[int, int]:
    """Sort key: `latest` is newest, then epoch numbers, then iteration numbers."""
    number = int(epoch.removeprefix("iter_")) if epoch != "latest" else 0
    return (2 if epoch == "latest" else 0 if epoch.startswith("iter_") else 1), number
