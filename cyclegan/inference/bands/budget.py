"""How much memory a translation may use, and how many rows a band has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cyclegan.data.fit import Size
from cyclegan.inference.bands.plan import Pass, plan_of, stored_values, whole
from cyclegan.inference.bands.runner import Runner
from cyclegan.inference.graph.nodes import Graph
from cyclegan.machine.memory_limit import free_bytes
from cyclegan.machine.memory_used import own_bytes

if TYPE_CHECKING:
    from cyclegan.inference.engine import Engine

COPIES = 2.5
"""How many times more memory than its layers have in float32 a picture at once takes; 2.1 was measured with torch."""

SHARE = 0.7
"""The share of the free memory that may be used, unless `memory` says how much."""

BESIDE = 2**27
"""Bytes of a budget that are left for reading, converting and writing the pictures before and after."""

ROOMY, DEEP = 2**29, 40
"""Bytes of a tile or a band, and rows of a band in margins: what is larger in both ways is hardly faster."""

NARROW = 256
"""Columns of a tile, at least."""


@dataclass(frozen=True)
class Bands:
    """How a picture is translated in bands."""

    passes: Sequence[Pass]
    tiles: Sequence[Size]
    """The rows and columns of the picture in a tile, for each pass; most are as wide as the picture."""
    mapped: bool
    """Whether layers are stored in a file, because they would leave too little memory for bands."""


@dataclass(frozen=True)
class Budget:
    """The memory of a translation."""

    on_cpu: bool
    memory: int | None = None
    """The most bytes to use: of the process on a CPU, of the GPU otherwise; None for most of what is free."""

    def room(self) -> float:
        """Return the bytes that may still be used."""
        if not self.on_cpu:
            return self.memory or SHARE * _free_on_gpu()
        return SHARE * free_bytes() if self.memory is None else self.memory - own_bytes() - BESIDE

    def is_exceeded(self, engine: Engine, height: int, width: int, number: int = 1) -> bool:
        """Return whether this number of pictures of this size takes too much memory at once."""
        return number > self.number(engine, height, width)

    def number(self, engine: Engine, height: int, width: int) -> float:
        """Return how many pictures of this size fit at once; infinity if the engine has no graph to tell from."""
        graph = engine.graph
        if graph is None:
            return math.inf
        return self.room() // (COPIES * 4 * graph.padded(height) * graph.padded(width) * whole(graph))

    def bands(self, graph: Graph, height: int, width: int, runner: Runner[Any]) -> Bands:
        """Return the passes and bands for a picture of this size.

        Raises ValueError when even the smallest bands need more memory.
        """
        passes, room = plan_of(graph), self.room()
        height, width = graph.padded(height), graph.padded(width)
        stored = stored_values(passes, graph) * height * width * runner.bytes_of_a_value
        of_a_pixel = 4 * runner.copies
        values = [each.working(graph.nodes) for each in passes]
        fewest = [
            min(_pixels(each, (each.unit, columns), width) for columns in _columns(each, width)) for each in passes
        ]
        least = max(each * values[i] * of_a_pixel for i, each in enumerate(fewest))
        mapped = self.on_cpu and stored + max(ROOMY, least) > room
        left = room if mapped else room - stored
        if left < least:
            need = math.ceil((least + self._used(room)) / 10**6)
            raise ValueError(f"a picture {width:,} pixels wide needs at least --memory {need}MB")
        roomy = [ROOMY / each / of_a_pixel for each in values]
        deep = [0 if each.columns_free else DEEP * each.margin * width for each in passes]
        pixels = [min(left / each / of_a_pixel, max(roomy[i], deep[i])) for i, each in enumerate(values)]
        tiles = [_tile(each, pixels[i], (height, width)) for i, each in enumerate(passes)]
        return Bands(passes, tiles, mapped)

    def _used(self, room: float) -> float:
        return max(0.0, (self.memory or 0) - room)


def _columns(part: Pass, width: int) -> list[int]:
    """Return how many columns a tile may have, from the width of the picture down to about `NARROW`."""
    strips = range(1, max(1, width // NARROW) + 1) if part.columns_free else [1]
    return [min(width, -(-width // (number * part.unit)) * part.unit) for number in strips]


def _pixels(part: Pass, tile: Size, width: int) -> int:
    """Return how many pixels a tile has with its margins."""
    beside = 2 * part.margin if tile[1] < width else 0
    return (tile[0] + 2 * part.margin) * (tile[1] + beside)


def _tile(part: Pass, pixels: float, size: Size) -> Size:
    """Return the tile of at most so many pixels, with its margins, of which the fewest are margins."""
    height, width = size
    tiles = [_deepest(part, pixels, height, columns, width) for columns in _columns(part, width)]
    return min(tiles, key=lambda tile: _pixels(part, tile, width) / (tile[0] * tile[1] or 1e-9))


def _deepest(part: Pass, pixels: float, height: int, columns: int, width: int) -> Size:
    """Return the deepest tile with this many columns; one of no rows if none is small enough."""
    beside = 2 * part.margin if columns < width else 0
    rows = int(pixels / (columns + beside)) - 2 * part.margin
    return max(0, min(rows // part.unit * part.unit, height)), columns


def _free_on_gpu() -> int:
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return int(torch.mps.recommended_max_memory())
