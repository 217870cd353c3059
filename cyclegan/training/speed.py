"""What makes a step fast, or small, and leaves its result alone: checkpointing; and what a recipe sets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from cyclegan.machine.levers import Levers
from cyclegan.recipe import SpeedConfig
from cyclegan.types import Remembers


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
    """Let generators keep only what goes into each stage, and compute the rest again (Chen et al. 2016).

    What a stage remembers, running statistics, it remembers the first time only.
    """
    for network in networks:
        for stage in getattr(network, "stages", ()):
            remembering = [module for module in stage.modules() if isinstance(module, Remembers)]
            contexts = {"context_fn": partial(_once_and_again, remembering)} if remembering else {}
            stage.forward = partial(checkpoint, stage.forward, use_reentrant=False, **contexts)


def _once_and_again(modules: Sequence[Remembers]) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """For computing the first time, and again."""
    return nullcontext(), at_rest(modules)


@contextmanager
def at_rest(modules: Iterable[Remembers]) -> Iterator[None]:
    """In here these modules remember nothing new."""
    before = [(module, module.rests) for module in modules]
    for module, _ in before:
        module.rests = True
    try:
        yield
    finally:
        for module, rests in before:
            module.rests = rests
