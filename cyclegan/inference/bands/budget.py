"""How much memory a translation may use, and how many rows a band has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
"""Bytes of a band, and its rows in margins: bands that are larger in both ways are hardly faster."""


@dataclass(frozen=True)
class Bands:
    """How a picture is translated in bands."""

    passes: Sequence[Pass]
    rows: Sequence[int]
    """The number of rows of the picture in a band, for each pass."""
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
        of_a_row = 4 * runner.copies * width
        least = max(_bytes(each, each.unit, of_a_row, graph) for each in passes)
        mapped = self.on_cpu and stored + max(ROOMY, least) > room
        left = room if mapped else room - stored
        if left < least:
            need = math.ceil((least + self._used(room)) / 2**20)
            raise ValueError(f"a picture {width:,} pixels wide needs at least --memory {need}MB")
        roomy = [max(ROOMY, _bytes(each, DEEP * each.margin, of_a_row, graph)) for each in passes]
        rows = [_rows(each, min(left, roomy[i]), of_a_row, graph) for i, each in enumerate(passes)]
        return Bands(passes, rows, mapped)

    def _used(self, room: float) -> float:
        return max(0.0, (self.memory or 0) - room)


def _bytes(part: Pass, rows: int, of_a_row: float, graph: Graph) -> float:
    """Return the bytes that a band takes while a pass computes it; `of_a_row` is those of one value in each pixel."""
    return of_a_row * (rows + 2 * part.margin) * part.working(graph.nodes)


def _rows(part: Pass, work: float, of_a_row: float, graph: Graph) -> int:
    """Return the rows of a band that takes at most `work` bytes."""
    rows = int(work / (of_a_row * part.working(graph.nodes))) - 2 * part.margin
    return max(part.unit, rows // part.unit * part.unit)


def _free_on_gpu() -> int:
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return int(torch.mps.recommended_max_memory())
