"""Sample grids: fixed held-out pictures, translated again and again while the networks learn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.utils import make_grid

from cyclegan.data.files import UnreadableImage, find_images, read_fitted, to_tensor
from cyclegan.machine.device import Arithmetic
from cyclegan.machine.memory import free_memory, is_out_of_memory
from cyclegan.training.learner import Learner
from cyclegan.types import Batch, Direction, Images


class Samples:
    """Keeps the first `number` pictures of testA and testB (of the training folders where there is no test)."""

    def __init__(self, root: Path, number: int, size: Sequence[int], device: torch.device) -> None:
        self.batch = Batch(*(_first_of(root, domain, number, size).to(device) for domain in "AB"))

    def columns(self, learner: Learner) -> Iterator[tuple[Direction, Images]]:
        """For each direction what its method shows, by name, each (N, 3, H, W) in [-1, 1]."""
        generators = learner.generators
        for direction in generators:
            if not len(self.batch.of(direction.source)):
                continue
            with looking(generators.values(), learner.autocast):
                columns = self._columns(direction, learner)
            yield direction, {name: column.float() for name, column in columns.items()}

    def _columns(self, direction: Direction, learner: Learner) -> Images:
        """All pictures at once; where memory does not hold them, one after another."""
        show = partial(learner.method.samples, direction, generators=learner.generators)
        try:
            return show(self.batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        free_memory()  # here, not above: the error's traceback holds what the failed call had made
        each = [show(one) for one in self.batch.one_by_one()][: len(self.batch.of(direction.source))]
        return {name: torch.cat([columns[name] for columns in each]) for name in each[0]}


@contextmanager
def looking(networks: Iterable[nn.Module], autocast: Arithmetic) -> Iterator[None]:
    """The networks as they are used later: no dropout, no gradients; and not compiled, their shapes are too rare."""
    before = [(network, network.training) for network in networks]
    for network, _ in before:
        network.eval()
    try:
        with torch.no_grad(), autocast, torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for network, training in before:
            network.train(training)


def grid(columns: Sequence[Tensor]) -> Tensor:
    """Pictures side by side, (3, H', W') in [-1, 1]: a row for each picture of the first column, (N, 3, H, W)."""
    rows = torch.stack(list(columns), dim=1).flatten(0, 1)
    together: Tensor = make_grid(rows, nrow=len(columns), padding=4, pad_value=1.0)
    return together


def channels(features: Tensor, most: int = 16) -> Tensor:
    """The first channels of a feature map (C, h, w) as a grid (3, H', W'), each from its 1st to its 99th percentile."""
    maps = features[:most].float()
    low, high = torch.quantile(maps.flatten(1), torch.tensor([0.01, 0.99], device=maps.device), dim=1)[..., None, None]
    scaled = (maps - low) / (high - low).clamp(min=1e-6) * 2 - 1
    together: Tensor = make_grid(scaled[:, None], nrow=4, padding=2, pad_value=1.0)
    return together


def _first_of(root: Path, domain: str, number: int, size: Sequence[int]) -> Tensor:
    """The first readable pictures of testA or testB, else of the training folder, fitted to `size` (H, W).

    Returns (N, 3, H, W) in [-1, 1], N at most `number`.
    """
    folder = root / f"test{domain}"
    pictures: list[Tensor] = []
    for path in find_images(folder if folder.is_dir() else root / f"train{domain}"):
        if len(pictures) == number:
            break
        try:
            pictures.append(to_tensor(read_fitted(path, size)))
        except UnreadableImage:  # named when training meets it
            continue
    return torch.stack(pictures) if pictures else torch.empty(0, 3, *size)
