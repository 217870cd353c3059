"""Sample grids: the same held-out pictures, translated repeatedly during training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from cyclegan.data.config import DataConfig
from cyclegan.data.convert import tensor_of
from cyclegan.data.files import UnreadableImage
from cyclegan.data.fit import Fit
from cyclegan.data.sources import Source, find_pairs, sources, unseen_split
from cyclegan.machine.device import Arithmetic
from cyclegan.machine.memory import free_memory, is_out_of_memory
from cyclegan.training.learner import Learner
from cyclegan.types import Batch, Direction, Domain, Images

IN_SOURCE = ("real", "cycle", "identity", "reconstruction")
"""The columns that are pictures of the source domain; the others are of the target domain."""


class Samples:
    """Keeps the first `number` pictures of each domain of the test split, or else of the training folders.

    With paired data, the pictures of A and B are partners.
    """

    def __init__(self, data: DataConfig, number: int, fit: Fit, device: torch.device) -> None:
        self.formats, self.device = data.formats, device
        tests, learned = sources(data, unseen_split(data)), sources(data, "train")
        there = {domain: source.folder.is_dir() for domain, source in tests.items()}
        if data.paired:
            kept = tests if all(there.values()) else learned
            pairs = find_pairs(kept)
            a, b = _first(list(kept.values()), zip(pairs.a, pairs.b, strict=True), number, fit)
        else:
            each = [tests[domain] if there[domain] else learned[domain] for domain in tests]
            a, b = (_first([source], ((path,) for path in source.find()), number, fit)[0] for source in each)
        self.pictures: dict[Domain, list[Tensor]] = {
            "a": [one.to(device) for one in a],
            "b": [one.to(device) for one in b],
        }
        """The pictures of each domain, each (1, C, H, W) in [-1, 1]."""

    def first(self, direction: Direction) -> Tensor | None:
        """The first picture of the source of a direction, (1, C, H, W) in [-1, 1]; None if there is none."""
        return next(iter(self.pictures[direction.source]), None)

    def columns(self, learner: Learner) -> Iterator[tuple[Direction, list[Images]]]:
        """The columns that the method shows of each direction, by name, each (N, C, H, W) in [-1, 1].

        They are in one part, or, if pictures differ in size, in one part for each picture.
        """
        generators = learner.generators
        for direction in generators:
            if not self.pictures[direction.source]:
                continue
            with looking(generators.values(), learner.autocast):
                parts = self._columns(direction, learner)
            yield direction, [{name: column.float() for name, column in columns.items()} for columns in parts]

    def as_rgb(self, direction: Direction, columns: Images) -> Images:
        """The RGB views of the columns of a direction, each (N, 3, H, W) in [-1, 1]."""
        source, target = self.formats[direction.source], self.formats[direction.target]
        return {name: (source if name in IN_SOURCE else target).as_rgb(column) for name, column in columns.items()}

    def _columns(self, direction: Direction, learner: Learner) -> list[Images]:
        """The columns of all pictures in one batch or, if memory is too small for it, one picture after another."""
        show = partial(learner.method.samples, direction, generators=learner.generators)
        if any(len({one.shape for one in pictures}) > 1 for pictures in self.pictures.values()):
            return [show(batch) for batch in self._one_by_one(direction)]
        try:
            return [show(Batch(self._together("a"), self._together("b")))]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        free_memory()  # here, not above: the traceback of the error keeps the tensors of the failed call alive
        each = [show(batch) for batch in self._one_by_one(direction)]
        return [{name: torch.cat([columns[name] for columns in each]) for name in each[0]}]

    def _together(self, domain: Domain) -> Tensor:
        """The pictures of a domain in one batch, which may be empty."""
        return torch.cat(self.pictures[domain]) if self.pictures[domain] else self._nothing(domain)

    def _nothing(self, domain: Domain) -> Tensor:
        return torch.empty(0, self.formats[domain].channels, 1, 1, device=self.device)

    def _one_by_one(self, direction: Direction) -> Iterator[Batch]:
        """Batches of one picture of each domain, one for each picture of the direction's source.

        The last picture of the other domain repeats if it has fewer.
        """
        a, b = self.pictures["a"] or [self._nothing("a")], self.pictures["b"] or [self._nothing("b")]
        for number in range(len(self.pictures[direction.source])):
            yield Batch(a[min(number, len(a) - 1)], b[min(number, len(b) - 1)])


@contextmanager
def looking(networks: Iterable[nn.Module], autocast: Arithmetic) -> Iterator[None]:
    """Run networks as in inference: no dropout, no gradients; not compiled, because their shapes here are rare."""
    before = [(network, network.training) for network in networks]
    for network, _ in before:
        network.eval()
    try:
        with torch.no_grad(), autocast, torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for network, training in before:
            network.train(training)


def _first(places: Sequence[Source], files: Iterable[Sequence[Path]], number: int, fit: Fit) -> list[list[Tensor]]:
    """The first rows of files whose pictures can all be read, one file of each source, fitted.

    Returns at most `number` pictures (1, C, H, W) in [-1, 1] of each source.
    """
    rows: list[list[Tensor]] = []
    for paths in files:
        if len(rows) == number:
            break
        with suppress(UnreadableImage):  # reported when training reads it
            pictures = zip(places, paths, strict=True)
            rows.append([tensor_of(source.read(path, fit)) for source, path in pictures])
    return [[row[column] for row in rows] for column in range(len(places))]
