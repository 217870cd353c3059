"""The levers that make a step fast and leave its result alone: memory format, compiling, graphs, checkpointing."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, TypeVar

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from cyclegan.machine import compiler_problem
from cyclegan.recipe import SpeedConfig
from cyclegan.types import Batch

Result = TypeVar("Result")

COMPILING_REPAYS = 1000
"""Steps after which the minute or two of compiling has paid for itself."""

UNRECORDED = 3
"""Steps before a CUDA graph is recorded: compiling, choice of kernels and lasting allocations belong to them."""


def memory_format(device: torch.device) -> torch.memory_format:
    """What convolutions of the device like best; on a CPU the compiler chooses by itself."""
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


def set_determinism(on: bool) -> None:
    """Let CUDA choose kernels that give the same bits each time, or else the fastest for the shape of the batches."""
    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(on)
    torch.backends.cudnn.benchmark = not on


def compile_networks(networks: Iterable[nn.Module], config: SpeedConfig, steps: int, device: torch.device) -> str:
    """Compile them, if the recipe and the number of steps say so; returns what to tell the person."""
    if config.compile == "off":
        return "not compiling, as the recipe says"
    if config.compile == "auto" and steps < COMPILING_REPAYS:
        return f"not compiling: {steps:,} steps would not repay it (--speed.compile on does so nevertheless)"
    if problem := compiler_problem(device):
        return f"not compiling, steps may take twice as long: {problem}"
    for network in networks:
        network.compile(dynamic=False)
    return "compiling the networks: the first step takes a minute or two, the others half as long"


def checkpoint_activations(networks: Iterable[nn.Module]) -> None:
    """Let generators keep only what goes into each stage, and compute the rest again (Chen et al. 2016)."""
    for network in networks:
        for stage in getattr(network, "stages", ()):
            stage.forward = partial(checkpoint, stage.forward, use_reentrant=False)


def has_graphs(config: SpeedConfig, device: torch.device, processes: int = 1) -> bool:
    """Whether to replay steps as CUDA graphs. Raises ValueError when that is asked of another device."""
    if config.graph == "on" and device.type != "cuda":
        raise ValueError(f"speed.graph: only cuda has graphs, and this run is on {device.type}; leave it at auto")
    # Checkpointing asks for the random state in the middle of a step, which no graph can record.
    fits = device.type == "cuda" and not config.checkpoint_activations and processes == 1
    return config.graph == "on" or (config.graph == "auto" and fits)


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


def memory_used(device: torch.device) -> float:
    """The most that the run has needed so far, in GiB: on the GPU, or else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (30 if sys.platform == "darwin" else 20)
