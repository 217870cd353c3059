"""What makes a step fast, or small, and leaves its result alone: graphs, checkpointing; and what a recipe sets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from cyclegan.levers import Levers
from cyclegan.recipe import SpeedConfig
from cyclegan.types import Batch

Result = TypeVar("Result")

UNRECORDED = 3
"""Steps before a CUDA graph is recorded: compiling, choice of kernels and lasting allocations belong to them."""


def set_determinism(on: bool) -> None:
    """Let CUDA choose kernels that give the same bits each time, or else the fastest for the shape of the batches."""
    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(on)
    torch.backends.cudnn.benchmark = not on


def by_hand(config: SpeedConfig) -> dict[str, Any]:
    """The levers that a recipe sets, as fields of `Levers`; those on `auto` are not among them."""
    fields = {name: getattr(config, name) for name in Levers._fields if getattr(config, name) != "auto"}
    return fields | {name: fields[name] == "on" for name in ("channels_last", "graph") if name in fields}


def checkpoint_activations(networks: Iterable[nn.Module]) -> None:
    """Let generators keep only what goes into each stage, and compute the rest again (Chen et al. 2016)."""
    for network in networks:
        for stage in getattr(network, "stages", ()):
            stage.forward = partial(checkpoint, stage.forward, use_reentrant=False)


def has_graphs(config: SpeedConfig, device: torch.device, processes: int = 1) -> bool:
    """Whether steps can be replayed as CUDA graphs. Raises ValueError when that is asked of another device."""
    if config.graph == "on" and device.type != "cuda":
        raise ValueError(f"speed.graph: only cuda has graphs, and this run is on {device.type}; leave it at auto")
    # Checkpointing asks for the random state in the middle of a step, which no graph can record.
    return device.type == "cuda" and not config.checkpoint_activations and processes == 1


class Graphed(Generic[Result]):
    """Plays `step` as a CUDA graph once it has run a few times, so that the GPU never waits for Python.

    `step` must launch the same kernels on the same memory each time and never fetch a number from the device; what
    changes is read from tensors. The batch is copied in, and random streams go on from the seed set before each call.
    A batch of another shape is played as usual.
    """

    def __init__(self, step: Callable[[Batch], Result]) -> None:
        self.step, self.played = step, 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Batch) -> Result:
        """One step, and what it returns; the next call overwrites its tensors."""
        self.played += 1
        if self.played <= UNRECORDED:
            return self._aside(batch)
        if self.graph is None:
            self._record(batch)
        if any(kept.shape != new.shape for kept, new in zip(self.batch, batch, strict=True)):
            return self.step(batch)
        for kept, new in zip(self.batch, batch, strict=True):
            kept.copy_(new, non_blocking=True)
        assert self.graph
        self.graph.replay()
        return self.result

    def _aside(self, batch: Batch) -> Result:
        """As usual, but on a stream of its own, as capturing asks of what runs before it."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = self.step(batch)
        torch.cuda.current_stream().wait_stream(stream)
        return result

    def _record(self, batch: Batch) -> None:
        """Note down the kernels of a step; nothing is computed yet."""
        self.batch, self.graph = Batch(*(domain.clone() for domain in batch)), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.result = self.step(self.batch)
