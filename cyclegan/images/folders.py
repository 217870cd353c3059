"""The pictures of one domain: found, read, prepared, kept in RAM while they fit; broken ones are told and left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cyclegan.images.enlarge import enlarging
from cyclegan.images.files import UnreadableImage, find_images, read_image
from cyclegan.images.transforms import Pixels
from cyclegan.words import shown

HELD_OUT = 0x76616C  # tells this draw from all others of the seed

TOLERATED = 10
"""Training stops when more than one in this many pictures of a folder cannot be read."""


class Folder:
    """Pictures by number. `prepare` is applied once to each; up to `memory` bytes of the results stay in RAM.

    So many as `validation` says, chosen by `seed`, are not among them, but in `held_out`.
    Raises FileNotFoundError when the folder is missing or holds no picture, ValueError when none would be left.
    """

    def __init__(
        self, path: Path, prepare: Callable[[Pixels], Pixels], *, memory: int, warn: Callable[[str], None],
        validation: int = 0, seed: int = 0,
    ) -> None:  # fmt: skip
        if not path.is_dir():
            needed = "a data set holds trainA and trainB; cyclegan fetch downloads known ones"
            raise FileNotFoundError(f"{shown(path)}: no such folder; {needed}")
        self.path, (self.files, self.held_out) = path, _split(find_images(path), validation, seed)
        if not self.files:
            found = f"{shown(path)}: holds {len(self.held_out)} pictures"
            raise ValueError(f"{found}, and data.validation keeps {validation} out of training; give it a lower number")
        self.broken: dict[int, str] = {}
        self.enlarged: set[int] = set()
        """Those that were too small for a crop."""
        self._prepare, self._warn = prepare, warn
        self._kept: dict[int, Pixels] = {}
        self._room = memory

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Pixels:
        """The prepared picture, (H, W, 3) in 0..255.

        Raises UnreadableImage for a broken one, and ValueError for one that `prepare` does not take, or once more than
        a tenth of the folder is broken.
        """
        if index in self._kept:
            return self._kept[index]
        if index in self.broken:
            raise UnreadableImage(self.broken[index])
        try:
            image = read_image(self.files[index])
        except UnreadableImage as error:
            self._leave_out(index, str(error))
            raise
        try:
            pixels, enlarged = enlarging(self._prepare, np.asarray(image))
        except ValueError as error:
            raise ValueError(f"{shown(self.files[index])}: {error}") from None
        if enlarged:
            self.enlarged.add(index)
        if pixels.nbytes <= self._room:
            self._room -= pixels.nbytes
            self._kept[index] = pixels
        return pixels

    def enlarged_told(self) -> str:
        """How many were too small for a crop, in one line; empty where none was."""
        if not self.enlarged:
            return ""
        first = shown(self.files[min(self.enlarged)].relative_to(self.path))
        are, more = ("is", "") if len(self.enlarged) == 1 else ("are", ", ...")
        small = f"{len(self.enlarged):,} of {len(self):,} pictures {are} smaller than a crop in data.transforms takes"
        return f"{shown(self.path)}: {small}, and {are} enlarged: {first}{more}"

    def _leave_out(self, index: int, reason: str) -> None:
        if index in self.broken:  # another thread met it at the same moment
            return
        self.broken[index] = reason
        self._warn(f"left out: {reason}")
        if len(self.broken) * TOLERATED > len(self.files):
            some = "; ".join(list(self.broken.values())[:3])
            of_all = f"{len(self.broken)} of {len(self.files)} pictures"
            raise ValueError(f"{shown(self.path)}: {of_all} cannot be read; repair or remove them: {some}")


def _split(files: list[Path], validation: int, seed: int) -> tuple[list[Path], list[Path]]:
    """The pictures to learn from, and so many others, a function of the seed and of how many there are."""
    chosen = set(np.random.default_rng([HELD_OUT, seed]).permutation(len(files))[:validation].tolist())
    files_by_fate: tuple[list[Path], list[Path]] = ([], [])
    for index, path in enumerate(files):
        files_by_fate[index in chosen].append(path)
    return files_by_fate
