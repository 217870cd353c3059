"""The levers that make a step fast and leave its result alone: memory format, compiling, checkpointing."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from cyclegan.machine import compiler_problem
from cyclegan.recipe import SpeedConfig

COMPILING_REPAYS = 1000
"""Steps after which the minute or two of compiling has paid for itself."""


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


def memory_used(device: torch.device) -> float:
    """The most that the run has needed so far, in GiB: on the GPU, or else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (30 if sys.platform == "darwin" else 20)


@contextmanager
def memory_told() -> Iterator[None]:
    """Say what helps when memory runs out: MemoryError with one line instead of the allocator's own error."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        helps = "a smaller crop in data.transforms, a smaller training.batch, or --speed.checkpoint_activations"
        raise MemoryError(f"out of memory; what helps most: {helps}") from error
