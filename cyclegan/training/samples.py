"""Sample grids: the same held-out pictures, translated repeatedly during training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn
from torchvision.utils import make_grid

from cyclegan.data.config import DataConfig
from cyclegan.data.files import UnreadableImage, to_tensor
from cyclegan.data.sources import Source, find_pairs, sources, unseen_split
from cyclegan.machine.device import Arithmetic
from cyclegan.machine.memory import free_memory, is_out_of_memory
from cyclegan.training.learner import Learner
from cyclegan.types import Batch, Direction, Images

GUTTER, FRAME, INK = 4, 24, "#e8e8e8"
"""Pixels between pictures, the grey level between and around them, the colour of the names above them.

The frame is dark so that a grid suits light and dark pages."""
SMALLEST = 8
"""Size of the smallest font that can still be read."""


class Samples:
    """Keeps the first `number` pictures of each domain of the test split (of the training folders where there is none).

    With paired data, the pictures of A and B are partners.
    """

    def __init__(self, data: DataConfig, number: int, size: Sequence[int], device: torch.device) -> None:
        tests, learned = sources(data, unseen_split(data)), sources(data, "train")
        there = {domain: source.folder.is_dir() for domain, source in tests.items()}
        if data.paired:
            kept = tests if all(there.values()) else learned
            pairs = find_pairs(kept)
            a, b = _first(list(kept.values()), zip(pairs.a, pairs.b, strict=True), number, size)
        else:
            each = [tests[domain] if there[domain] else learned[domain] for domain in tests]
            a, b = (_first([source], ((path,) for path in source.find()), number, size)[0] for source in each)
        self.batch = Batch(a.to(device), b.to(device))

    def columns(self, learner: Learner) -> Iterator[tuple[Direction, Images]]:
        """The columns that the method shows of each direction, by name, each (N, 3, H, W) in [-1, 1]."""
        generators = learner.generators
        for direction in generators:
            if not len(self.batch.of(direction.source)):
                continue
            with looking(generators.values(), learner.autocast):
                columns = self._columns(direction, learner)
            yield direction, {name: column.float() for name, column in columns.items()}

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


def grid(columns: Images) -> Tensor:
    """The columns (N, 3, H, W) side by side, their names above them, as a picture (3, H', W') in [-1, 1]."""
    rows = torch.stack(list(columns.values()), dim=1).flatten(0, 1)
    together = make_grid(rows, nrow=len(columns), padding=GUTTER, pad_value=FRAME / 127.5 - 1)
    return torch.cat([header(list(columns), rows.shape[-1]).to(together), together], dim=1)


def header(names: Sequence[str], width: int) -> Tensor:
    """A strip (3, h, W') in [-1, 1] with a name above each column of a grid, set to fit columns of `width` pixels."""
    font = _font(names, width)
    height = round(1.5 * font.size)
    strip = Image.new("RGB", (GUTTER + (width + GUTTER) * len(names), height), (FRAME,) * 3)
    draw = ImageDraw.Draw(strip)
    for column, name in enumerate(names):
        while len(name) > 1 and font.getlength(name) > width:
            name = name[:-1]
        middle = GUTTER + (width + GUTTER) * column + width / 2
        draw.text((middle, (height + GUTTER) / 2), name, fill=INK, font=font, anchor="mm")
    return to_tensor(strip)


def channels(features: Tensor, most: int = 16) -> Tensor:
    """The first channels of a feature map (C, h, w) as a grid (3, H', W'), from its 1st to its 99th percentile."""
    maps = features[:most].float()
    low, high = torch.quantile(maps.flatten(1), torch.tensor([0.01, 0.99], device=maps.device), dim=1)[..., None, None]
    scaled = (maps - low) / (high - low).clamp(min=1e-6) * 2 - 1
    together: Tensor = make_grid(scaled[:, None], nrow=4, padding=2, pad_value=FRAME / 127.5 - 1)
    return together


def _font(names: Sequence[str], width: int) -> ImageFont.FreeTypeFont:
    """The largest size, from 8 pixels to what suits the width, in which the longest name fits."""
    sizes = range(max(SMALLEST, round(10 + width / 24)), SMALLEST - 1, -1)
    fonts = (ImageFont.load_default(size) for size in sizes)
    chosen = next(
        (font for font in fonts if max(map(font.getlength, names)) <= width), ImageFont.load_default(SMALLEST)
    )
    assert isinstance(chosen, ImageFont.FreeTypeFont)
    return chosen


def _first(
    places: Sequence[Source], files: Iterable[Sequence[Path]], number: int, size: Sequence[int]
) -> tuple[Tensor, ...]:
    """The first rows of files whose pictures can all be read, one file of each source, fitted to `size` (H, W).

    Returns (N, 3, H, W) in [-1, 1] for each source, N at most `number`.
    """
    rows: list[list[Tensor]] = []
    for paths in files:
        if len(rows) == number:
            break
        with suppress(UnreadableImage):  # reported when training reads it
            pictures = zip(places, paths, strict=True)
            rows.append([to_tensor(source.read_fitted(path, size)) for source, path in pictures])
    return tuple(map(torch.stack, zip(*rows, strict=True))) if rows else (torch.empty(0, 3, *size),) * len(places)
