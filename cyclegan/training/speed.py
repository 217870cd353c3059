"""Determinism, activation checkpointing, and the speed options that a recipe sets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from cyclegan.machine.levers import OPTIONS
from cyclegan.recipe import SpeedConfig
from cyclegan.types import Remembers


def set_determinism(on: bool) -> None:
    """Make torch use deterministic kernels, or, when off, let cuDNN time its kernels and use the fastest."""
    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(on)
    torch.backends.cudnn.benchmark = not on


def by_hand(config: SpeedConfig) -> dict[str, Any]:
    """Return the speed options that a recipe sets, as fields of `Levers`; options on `auto` are left out."""
    fields = {name: getattr(config, name) for name in OPTIONS if getattr(config, name) != "auto"}
    return fields | {name: fields[name] == "on" for name in ("channels_last", "graph") if name in fields}


def checkpoint_activations(networks: Iterable[nn.Module]) -> None:
    """Make generators store only each stage's input and recompute the rest in the backward pass (Chen et al. 2016).

    Running statistics are updated in the first computation only.
    """
    for network in networks:
        for stage in getattr(network, "stages", ()):
            remembering = [module for module in stage.modules() if isinstance(module, Remembers)]
            contexts = {"context_fn": partial(_once_and_again, remembering)} if remembering else {}
            stage.forward = partial(checkpoint, stage.forward, use_reentrant=False, **contexts)


def _once_and_again(modules: Sequence[Remembers]) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts of the first computation and of the recomputation."""
    return nullcontext(), at_rest(modules)


@contextmanager
def at_rest(modules: Iterable[Remembers]) -> Iterator[None]:
    """While open, calls do not change what these modules keep: pools and running statistics."""
    before = [(module, module.rests) for module in modules]
    for module, _ in before:
        module.rests = True
    try:
        yield
    finally:
        for module, rests in before:
            module.rests = rests
