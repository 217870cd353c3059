"""Batches as a pure function of (seed, images seen): a run can stop anywhere and go on as if it had not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import count

import numpy as np
import torch
from torch import Tensor

from cyclegan.images.ahead import ahead
from cyclegan.images.files import UnreadableImage
from cyclegan.images.folders import Folder
from cyclegan.images.transforms import Augment, Pixels
from cyclegan.paths import shown
from cyclegan.types import Batch

DOMAIN_A, DOMAIN_B, ORDER = range(3)


class Loader:
    """Pairs number 0, 1, 2, ... of a run, in batches: A shuffled anew each epoch, B at random, each augmented apart.

    Pairs have global numbers, so `processes` of them share the work by `rank` without overlap. `pin` puts batches where
    a GPU can fetch them without the host waiting.
    """

    def __init__(
        self, a: Folder, b: Folder, augment: Augment, *, batch: int, seed: int, threads: int = 0,
        rank: int = 0, processes: int = 1, pin: bool = False,
    ) -> None:  # fmt: skip
        self.a, self.b, self.augment = a, b, augment
        self.batch, self.seed, self.threads = batch, seed, threads
        self.rank, self.processes, self.pin = rank, processes, pin
        self._order = lru_cache(maxsize=2)(self._shuffled)

    @property
    def epoch(self) -> int:
        """Pairs in an epoch: the size of the larger folder."""
        return max(len(self.a), len(self.b))

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """This process's batches from `start` images seen until `stop`, uint8 (N, 3, H, W), made ahead by threads."""
        return ahead(self._batch, range(start, stop, self.batch * self.processes), self.threads)

    def _batch(self, seen: int) -> Batch:
        first = seen + self.rank * self.batch
        pairs = [self._pair(number) for number in range(first, first + self.batch)]
        batch = Batch(_stack([a for a, _ in pairs]), _stack([b for _, b in pairs]))
        return Batch(*(domain.pin_memory() for domain in batch)) if self.pin else batch

    def _pair(self, number: int) -> tuple[Pixels, Pixels]:
        epoch, position = divmod(number, self.epoch)
        a = int(self._order(epoch)[position]) % len(self.a)
        b = int(self._generator(ORDER, DOMAIN_B, number).integers(len(self.b)))
        return self._draw(self.a, a, DOMAIN_A, number), self._draw(self.b, b, DOMAIN_B, number)

    def _draw(self, folder: Folder, index: int, domain: int, number: int) -> Pixels:
        """The picture, augmented; in place of a broken one another, drawn by the same key."""
        generator = self._generator(domain, number)
        for _ in count():
            try:
                pixels = folder[index]
            except UnreadableImage:
                index = int(generator.integers(len(folder)))
                continue
            try:
                return self.augment(pixels, int(generator.integers(2**32)))
            except ValueError as error:
                raise ValueError(f"{shown(folder.files[index])}: {error}") from None
        raise AssertionError("unreachable")

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *key])

    def _shuffled(self, epoch: int) -> np.ndarray:
        return self._generator(ORDER, DOMAIN_A, epoch).permutation(self.epoch)


def _stack(pictures: list[Pixels]) -> Tensor:
    shapes = {p.shape for p in pictures}
    if len(shapes) > 1:
        raise ValueError(f"data.transforms: pictures of one batch differ in size {sorted(shapes)}; end in a RandomCrop")
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
