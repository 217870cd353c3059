"""Weights that others published: generators in files and checkpoint folders of the reference and of CUT."""

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
"""What the reference and CUT call a generator in a checkpoint folder."""


def read_content(path: Path) -> Any:
    """Tensors and plain data in a file of torch's. Raises ValueError, in one line, for any other."""
    try:
        return load_pickled(path, check=True)
    except ValueError as error:
        raise ValueError(f"{path}: damaged, or no file of weights: {error}") from None


def import_generators(content: object, path: Path, direction: Direction | None = None) -> dict[Direction, Generator]:
    """The generators in what was read from a file, by the direction that their keys say, or else the file's name.

    Where neither says one, it is `direction`, by default AtoB. Raises ValueError, in one line, for any other file.
    """
    try:
        found = generators_in(content)
        unsaid = (direction_of(path.stem) or direction if len(found) == 1 else None) or Direction.AtoB
        return {way or unsaid: generator_from(state) for way, state in found.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def import_folder(folder: Path, direction: Direction | None = None) -> dict[Direction, Generator]:
    """The generators in a checkpoint folder: `latest_net_G*.pth`, else those of the highest epoch, all of one epoch.

    Where there is one of the `direction` asked for, that alone is read. Empty where the folder has no such file. Raises
    ValueError, in one line, for a file that holds no generator.
    """
    files, found = files_in(folder), dict[Direction, Generator]()
    asked = [path for path in files if direction_of(path.stem) == direction]
    for path in asked or files:
        found = import_generators(read_content(path), path, direction) | found
    return found


def files_in(folder: Path) -> list[Path]:
    """The files of generators in a checkpoint folder that are of its last state.

    `latest_net_G.pth` beside `latest_net_G_A.pth` is left out: the authors tell their users to copy one of the two.
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
    """The file of a checkpoint folder that translates so; any other source is what it is."""
    files = files_in(source) if source.is_dir() else []
    return next((path for path in files if direction_of(path.stem) in (direction, None)), source)


def _age(epoch: str) -> tuple[int, int]:
    """The latest is the last; then come epochs, and then numbers of images."""
    number = int(epoch.removeprefix("iter_")) if epoch != "latest" else 0
    return (2 if epoch == "latest" else 0 if epoch.startswith("iter_") else 1), number
