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
from cyclegan.types import Batch, Direction, Images

IN_TARGET = ("fake", "truth")
"""The columns that are pictures of the target domain; the others are of the source domain."""


class Samples:
    """Keeps the first `number` pictures of each domain of the test split, or else of the training folders.

    With paired data, the pictures of A and B are partners.
    """

    def __init__(self, data: DataConfig, number: int, fit: Fit, device: torch.device) -> None:
        self.formats = data.formats
        tests, learned = sources(data, unseen_split(data)), sources(data, "train")
        there = {domain: source.folder.is_dir() for domain, source in tests.items()}
        if data.paired:
            kept = tests if all(there.values()) else learned
            pairs = find_pairs(kept)
            a, b = _first(list(kept.values()), zip(pairs.a, pairs.b, strict=True), number, fit)
        else:
            each = [tests[domain] if there[domain] else learned[domain] for domain in tests]
            a, b = (_first([source], ((path,) for path in source.find()), number, fit)[0] for source in each)
        self.batch = Batch(a.to(device), b.to(device))

    def columns(self, learner: Learner) -> Iterator[tuple[Direction, Images]]:
        """The columns that the method shows of each direction, by name, each (N, C, H, W) in [-1, 1]."""
        generators = learner.generators
        for direction in generators:
            if not len(self.batch.of(direction.source)):
                continue
            with looking(generators.values(), learner.autocast):
                columns = self._columns(direction, learner)
            yield direction, {name: column.float() for name, column in columns.items()}

    def as_rgb(self, direction: Direction, columns: Images) -> Images:
        """The RGB views of the columns of a direction, each (N, 3, H, W) in [-1, 1]."""
        source, target = self.formats[direction.source], self.formats[direction.target]
        return {name: (target if name in IN_TARGET else source).as_rgb(column) for name, column in columns.items()}

    def _columns(self, direction: Direction, learner: Learner) -> Images:
        """The columns of all pictures in one batch or, if memory is too small for it, one picture after another."""
        show = partial(learner.method.samples, direction, generators=learner.generators)
        try:
            return show(self.batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        free_memory()  # here, not above: the traceback of the error keeps the tensors of the failed call alive
        each = [show(one) for one in self.batch.one_by_one()][: len(self.batch.of(direction.source))]
        return {name: torch.cat([columns[name] for columns in each]) for name in each[0]}


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


def _first(places: Sequence[Source], files: Iterable[Sequence[Path]], number: int, fit: Fit) -> tuple[Tensor, ...]:
    """The first rows of files whose pictures can all be read, one file of each source, fitted.

    Returns (N, C, H, W) in [-1, 1] for each source, N at most `number`.
    """
    rows: list[list[Tensor]] = []
    for paths in files:
        if len(rows) == number:
            break
        with suppress(UnreadableImage):  # reported when training reads it
            pictures = zip(places, paths, strict=True)
            rows.append([tensor_of(source.read(path, fit))[0] for source, path in pictures])
    if not rows:
        return tuple(torch.empty(0, source.format.channels, 1, 1) for source in places)
    return tuple(map(torch.stack, zip(*rows, strict=True)))
