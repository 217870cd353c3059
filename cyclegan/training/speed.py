"""What makes a step fast, or small, and leaves its result alone: checkpointing; and what a recipe sets."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from cyclegan.levers import Levers
from cyclegan.machine import is_out_of_memory
from cyclegan.recipe import SpeedConfig


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
        if not is_out_of_memory(error):
            raise
        helps = "a smaller crop in data.transforms, a smaller training.batch, or --speed.checkpoint_activations"
        raise MemoryError(f"out of memory; what helps most: {helps}") from error
