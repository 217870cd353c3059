"""Training batches as a pure function of (seed, images seen), so that a resumed run sees the same batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from cyclegan.data.enlarge import enlarging
from cyclegan.data.files import UnreadableImage
from cyclegan.data.fit import Size, by
from cyclegan.data.folder import Folder
from cyclegan.data.order import DOMAIN_A, DOMAIN_B, GroupedOrder, Order, Pick, random
from cyclegan.data.picture import Pixels
from cyclegan.data.shapes import groups_of, sizes_of
from cyclegan.data.transforms import Augment
from cyclegan.types import Batch, Domain
from cyclegan.util.prefetch import prefetch
from cyclegan.util.text import shown

T = TypeVar("T")

Take: TypeAlias = Callable[[Sequence[Folder], int, np.random.Generator], list[T]]
"""Makes something of a picture of each folder, of an index, with the random generator of that picture."""


class _NoneReadable(Exception):
    """Neither a picture nor any of those that may replace it can be read."""


class Loader:
    """The training batches of a run.

    The pictures of A are shuffled in each epoch, those of B are drawn at random, and each is augmented independently.
    If the folders are `paired`, pictures of the same index are drawn together and get the same augmentation.
    The pairs of a run are numbered globally, and each of `processes` processes loads those of its `rank`. `pin` puts
    batches into pinned memory, from which a GPU copies without blocking the host.

    `becomes` gives the size (H, W) that a picture has after its augmentation, if that depends on its own size. If there
    are several then, all pictures of a domain in a step have one size, see `GroupedOrder`.
    """

    def __init__(
        self, a: Folder, b: Folder, augment: Augment, *, batch_size: int, seed: int, workers: int = 0,
        rank: int = 0, processes: int = 1, pin: bool = False, paired: bool = False,
        becomes: Callable[[Size], Size] | None = None,
    ) -> None:  # fmt: skip
        self.a, self.b, self.augment, self.paired = a, b, augment, paired
        self.batch_size, self.seed, self.workers = batch_size, seed, workers
        self.rank, self.processes, self.pin = rank, processes, pin
        self.sizes: dict[Domain, int] = {"a": 1, "b": 1}
        """The number of sizes that the pictures of each domain have in training, as far as it is known in advance."""
        self.order: Order | GroupedOrder = Order(len(a), len(b), seed)
        if becomes:
            of_a, of_b = (sizes_of(folder.source, folder.files, becomes) for folder in (a, b))
            self.sizes = {"a": len(set(of_a)), "b": len(set(of_b))}
            if max(self.sizes.values()) > 1 and batch_size * processes > 1:
                self.order = GroupedOrder(groups_of(of_a), groups_of(of_b), seed, batch_size * processes)

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
        return [*chain(*self._pairs(seen, _files))]

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield this process's batches from `start` images seen to `stop`, uint8 or float32 (N, C, H, W).

        Worker threads prepare them ahead. Raises ValueError when the pictures of a batch, or of a pair, differ in size,
        when the transforms reject a picture, and when more than a tenth of a folder cannot be read.
        """
        return prefetch(self._batch, range(start, stop, self.batch_size * self.processes), self.workers)

    def _batch(self, seen: int) -> Batch:
        pairs = self._pairs(seen, self._augmented)
        batch = Batch(_stack([a for a, _ in pairs]), _stack([b for _, b in pairs]))
        return Batch(*(domain.pin_memory() for domain in batch)) if self.pin else batch

    def _pairs(self, seen: int, take: Take[T]) -> list[list[T]]:
        """Return what `take` returns for each pair of this process's batch: for its picture of A, then for that of B.

        `take` returns one result for each folder, or raises UnreadableImage if another picture has to be taken.
        """
        first = seen + self.rank * self.batch_size
        numbers = range(first, first + self.batch_size)
        of_a, of_b = self.order.of_a(numbers, seen), self.order.of_b(numbers, seen)
        if self.paired:
            return self._taken((self.a, self.b), DOMAIN_A, numbers, of_a, take)
        each_a = self._taken((self.a,), DOMAIN_A, numbers, of_a, take)
        each_b = self._taken((self.b,), DOMAIN_B, numbers, of_b, take)
        return [[*a, *b] for a, b in zip(each_a, each_b, strict=True)]

    def _taken(
        self, folders: Sequence[Folder], domain: int, numbers: range, draws: Iterator[list[Pick]], take: Take[T]
    ) -> list[list[T]]:
        """Return what `take` returns for the first of `draws` of which enough can be read."""
        for picks in draws:
            with suppress(_NoneReadable):
                return [
                    _first_readable(partial(take, folders), folders, pick, random(self.seed, domain, number))
                    for pick, number in zip(picks, numbers, strict=True)
                ]
        raise AssertionError("unreachable")

    def _augmented(self, folders: Sequence[Folder], index: int, generator: np.random.Generator) -> list[Pixels]:
        """Return a picture of each folder, augmented with one key: pictures of one size get the same augmentation."""
        prepared = [folder[index] for folder in folders]
        if len({pixels.shape[:2] for pixels in prepared}) > 1:
            found = " and ".join(by(pixels.shape[:2]) for pixels in prepared)
            what = f"its pair has two sizes, {found}; set data.fit to squash, which gives both the same"
            raise ValueError(f"{shown(folders[0].files[index])}: {what}")
        augment = partial(self.augment, key=int(generator.integers(2**32)))
        return [_augmented(augment, *each, index) for each in zip(folders, prepared, strict=True)]


def _files(folders: Sequence[Folder], index: int, _: np.random.Generator) -> list[Path]:
    if broken := next((folder.broken[index] for folder in folders if index in folder.broken), None):
        raise UnreadableImage(broken)
    return [folder.files[index] for folder in folders]


def _first_readable(
    take: Callable[[int, np.random.Generator], T], folders: Sequence[Folder], pick: Pick, generator: np.random.Generator
) -> T:
    """Return the result for the picked picture or, if it cannot be read, for a random replacement."""
    index = pick.chosen
    while True:
        try:
            return take(index, generator)
        except UnreadableImage:
            if all(any(other in folder.broken for folder in folders) for other in pick.others):
                raise _NoneReadable from None
            index = int(pick.others[int(generator.integers(len(pick.others)))])


def _augmented(augment: Callable[[Pixels], Pixels], folder: Folder, pixels: Pixels, number: int) -> Pixels:
    try:
        made, enlarged = enlarging(augment, pixels)
    except ValueError as error:
        raise ValueError(f"{shown(folder.files[number])}: {error}") from None
    if enlarged:
        folder.enlarged.add(number)
    return made


def _stack(pictures: list[Pixels]) -> Tensor:
    shapes = {p.shape for p in pictures}
    if len(shapes) > 1:
        found = ", ".join(by(shape[:2]) for shape in sorted(shapes))
        helps = "set data.fit to crop, which gives all the same, or put a RandomCrop last in data.transforms"
        raise ValueError(f"pictures of one batch differ in size ({found}); {helps}")
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
