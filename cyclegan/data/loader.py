"""Batches as a pure function of (seed, images seen): a run can stop anywhere and go on as if it had not."""

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
from cyclegan.data.transforms import Augment, Pixels
from cyclegan.types import Batch
from cyclegan.util.prefetch import prefetch
from cyclegan.util.text import shown

DOMAIN_A, DOMAIN_B, ORDER = range(3)


class Loader:
    """Pairs number 0, 1, 2, ... of a run, in batches: A shuffled anew each epoch, B at random, each augmented apart.

    Where the folders are `paired`, pictures of one number are partners: drawn together, and augmented alike.
    Pairs have global numbers, so `processes` of them share the work by `rank` without overlap. `pin` puts batches where
    a GPU can fetch them without the host waiting.
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
        """Pairs in an epoch: the size of the larger folder."""
        return max(len(self.a), len(self.b))

    @property
    def names(self) -> tuple[list[str], list[str]]:
        """The pictures of A and of B, named from their folder on."""
        return list(self.a.by_name), list(self.b.by_name)

    def files(self, seen: int) -> list[Path]:
        """The pictures in this process's batch from `seen` images on: A, B, A, B, ..."""
        found = []
        for number in self._numbers(seen):
            for folders, index, generator in self._drawn(number):
                broken = {i for folder in folders for i in folder.broken}
                whole = next(i for i in _candidates(folders[0], index, generator) if i not in broken)
                found += [folder.files[whole] for folder in folders]
        return found

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """This process's batches from `start` images seen until `stop`, uint8 (N, 3, H, W), made ahead by workers."""
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
        """For A and for B, or for both together: the folder, the picture in it, what decides about its augmentation."""
        epoch, position = divmod(number, self.epoch)
        a = int(self._order(epoch)[position]) % len(self.a)
        if self.paired:
            yield (self.a, self.b), a, self._generator(DOMAIN_A, number)
            return
        b = int(self._generator(ORDER, DOMAIN_B, number).integers(len(self.b)))
        yield (self.a,), a, self._generator(DOMAIN_A, number)
        yield (self.b,), b, self._generator(DOMAIN_B, number)

    def _augmented(self, folders: Sequence[Folder], index: int, generator: np.random.Generator) -> list[Pixels]:
        """A picture of each folder, by one key: the same draws for pictures of the same size."""
        for candidate in _candidates(folders[0], index, generator):
            try:
                prepared = [folder[candidate] for folder in folders]
            except UnreadableImage:
                continue
            if len({pixels.shape for pixels in prepared}) > 1:
                found = " and ".join(by(pixels.shape[:2]) for pixels in prepared)
                whose = shown(folders[0].files[candidate])
                raise ValueError(f"{whose}: its pair differs in size, {found}; begin data.transforms with a Resize")
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
    """The picture drawn and, should it be broken, others by the same key."""
    yield index
    while True:
        yield int(generator.integers(len(folder)))


def _stack(pictures: list[Pixels]) -> Tensor:
    shapes = {p.shape for p in pictures}
    if len(shapes) > 1:
        raise ValueError(f"data.transforms: pictures of one batch differ in size {sorted(shapes)}; end in a RandomCrop")
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
