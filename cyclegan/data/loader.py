"""Training batches as a pure function of (seed, images seen), so that a resumed run sees the same batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cyclegan.data.enlarge import by, enlarging
from cyclegan.data.files import UnreadableImage
from cyclegan.data.folder import Folder
from cyclegan.data.picture import Pixels
from cyclegan.data.transforms import Augment
from cyclegan.types import Batch
from cyclegan.util.prefetch import prefetch
from cyclegan.util.text import shown

DOMAIN_A, DOMAIN_B, ORDER = range(3)


class Loader:
    """The training batches of a run.

    The pictures of A are shuffled in each epoch, those of B are drawn at random, and each is augmented independently.
    If the folders are `paired`, pictures of the same index are drawn together and get the same augmentation.
    The pairs of a run are numbered globally, and each of `processes` processes loads those of its `rank`. `pin` puts
    batches into pinned memory, from which a GPU copies without blocking the host.
    """

    def __init__(
        self, a: Folder, b: Folder, augment: Augment, *, batch_size: int, seed: int, workers: int = 0,
        rank: int = 0, processes: int = 1, pin: bool = False, paired: bool = False,
    ) -> None:  # fmt: skip
        self.a, self.b, self.augment, self.paired = a, b, augment, paired
        self.batch_size, self.seed, self.workers = batch_size, seed, workers
        self.rank, self.processes, self.pin = rank, processes, pin
        self._order = lru_cache(maxsize=2)(self._shuffled)

    @property
    def epoch(self) -> int:
        """The number of pairs in an epoch: the size of the larger folder."""
        return max(len(self.a), len(self.b))

    @property
    def names(self) -> tuple[list[str], list[str]]:
        """The names of the pictures of A and of B (paths below their folders)."""
        return self.a.files.names, self.b.files.names

    def files(self, seen: int) -> list[Path]:
        """Return the files of this process's batch that starts at `seen` images: A, B, A, B, ..."""
        found = []
        for number in self._numbers(seen):
            for folders, index, generator in self._drawn(number):
                broken = {i for folder in folders for i in folder.broken}
                whole = next(i for i in _candidates(folders[0], index, generator) if i not in broken)
                found += [folder.files[whole] for folder in folders]
        return found

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield this process's batches from `start` images seen to `stop`, uint8 or float32 (N, C, H, W).

        Worker threads prepare them ahead. Raises ValueError when the pictures of a batch, or of a pair, differ in size,
        when the transforms reject a picture, and when more than a tenth of a folder cannot be read.
        """
        return prefetch(self._batch, range(start, stop, self.batch_size * self.processes), self.workers)

    def _batch(self, seen: int) -> Batch:
        drawn = [self._drawn(number) for number in self._numbers(seen)]
        pairs = [[pixels for each in pair for pixels in self._augmented(*each)] for pair in drawn]
        batch = Batch(_stack([a for a, _ in pairs]), _stack([b for _, b in pairs]))
        return Batch(*(domain.pin_memory() for domain in batch)) if self.pin else batch

    def _numbers(self, seen: int) -> range:
        first = seen + self.rank * self.batch_size
        return range(first, first + self.batch_size)

    def _drawn(self, number: int) -> Iterator[tuple[Sequence[Folder], int, np.random.Generator]]:
        """Yield for A and for B, or once for a pair: the folders, the index of the picture, its random generator."""
        epoch, position = divmod(number, self.epoch)
        a = int(self._order(epoch)[position]) % len(self.a)
        if self.paired:
            yield (self.a, self.b), a, self._generator(DOMAIN_A, number)
            return
        b = int(self._generator(ORDER, DOMAIN_B, number).integers(len(self.b)))
        yield (self.a,), a, self._generator(DOMAIN_A, number)
        yield (self.b,), b, self._generator(DOMAIN_B, number)

    def _augmented(self, folders: Sequence[Folder], index: int, generator: np.random.Generator) -> list[Pixels]:
        """Return a picture of each folder, augmented with one key: pictures of one size get the same augmentation."""
        for candidate in _candidates(folders[0], index, generator):
            try:
                prepared = [folder[candidate] for folder in folders]
            except UnreadableImage:
                continue
            if len({pixels.shape[:2] for pixels in prepared}) > 1:
                found = " and ".join(by(pixels.shape[:2]) for pixels in prepared)
                whose = shown(folders[0].files[candidate])
                what = f"its pair has two sizes, {found}; put a Resize first in data.transforms"
                raise ValueError(f"{whose}: {what}")
            augment = partial(self.augment, key=int(generator.integers(2**32)))
            return [_augmented(augment, *each, candidate) for each in zip(folders, prepared, strict=True)]
        raise AssertionError("unreachable")

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *key])

    def _shuffled(self, epoch: int) -> np.ndarray:
        return self._generator(ORDER, DOMAIN_A, epoch).permutation(self.epoch)


def _augmented(augment: Callable[[Pixels], Pixels], folder: Folder, pixels: Pixels, number: int) -> Pixels:
    try:
        made, enlarged = enlarging(augment, pixels)
    except ValueError as error:
        raise ValueError(f"{shown(folder.files[number])}: {error}") from None
    if enlarged:
        folder.enlarged.add(number)
    return made


def _candidates(folder: Folder, index: int, generator: np.random.Generator) -> Iterator[int]:
    """Yield the drawn index, and then random replacements in case that picture cannot be read."""
    yield index
    while True:
        yield int(generator.integers(len(folder)))


def _stack(pictures: list[Pixels]) -> Tensor:
    shapes = {p.shape for p in pictures}
    if len(shapes) > 1:
        what = f"pictures of one batch differ in size {sorted(shapes)}; put a RandomCrop last"
        raise ValueError(f"data.transforms: {what}")
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
