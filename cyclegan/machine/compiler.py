"""Compile networks for the first few batch shapes, and set their memory layout."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cyclegan.machine.device import import_extensions

Compile = Literal["off", "on", "simd256"]
"""Run networks uncompiled, compiled, or compiled with vectors of at most 256 bits (CPU)."""

MOST_SHAPES = 8
"""Most batch shapes to compile for; each takes a minute or two."""

PER_SHAPE = 8
"""Compilations for one shape: each network with and without a gradient of its input, and with identity images."""

log = logging.getLogger(__name__)


def set_layout(network: nn.Module, channels_last: bool) -> None:
    """Convert the weights of a network to a memory layout; values and parameter objects stay the same."""
    network.to(memory_format=layout_of(channels_last))


def layout_of(channels_last: bool) -> torch.memory_format:
    """Return the memory format of images and weights."""
    return torch.channels_last if channels_last else torch.contiguous_format


class Compiler:
    """Switches networks between compiled and uncompiled, and keeps the compiled code, so that switching is free.

    A network is compiled at its first call with a shape, for the first `MOST_SHAPES` shapes; other shapes run
    uncompiled.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        self.networks = list(networks)
        self.shapes: set[tuple[torch.Size, ...]] = set()
        self._how: Compile = "off"
        self._last: Compile = "off"
        self._forms: list[Any] = []
        self._told = False

    def set(self, how: Compile) -> None:
        """Choose how the networks run from the next call on, see `Compile`."""
        if how not in ("off", self._last):
            torch.compiler.reset()  # torch caches compiled code by the source, whatever the options
            import_extensions()
            options: dict[str, Any] | None = {"cpp.simdlen": 256} if how == "simd256" else None
            for network in self.networks:
                network.compile(dynamic=False, options=options)
            self._forms, self._last = [network._compiled_call_impl for network in self.networks], how
            self.shapes.clear()
        for number, network in enumerate(self.networks):
            network._compiled_call_impl = None if how == "off" else self._forms[number]
        self._how = how

    @contextmanager
    def calls(self, shapes: Iterable[Tensor], *, as_written: bool = False) -> Iterator[None]:
        """A context for calls of the networks on batches of the given shapes; `as_written` runs them uncompiled.

        Without it, dynamo would silently run everything uncompiled after compiling a function eight times.
        """
        if self._how == "off":
            yield
            return
        compiled = not as_written and self._has_room(tuple(batch.shape for batch in shapes))
        stance = torch.compiler.set_stance("default" if compiled else "force_eager")
        with torch._dynamo.config.patch(recompile_limit=PER_SHAPE * MOST_SHAPES), stance:
            yield

    def _has_room(self, shapes: tuple[torch.Size, ...]) -> bool:
        """Return whether the shapes are among the first `MOST_SHAPES`; warn once that others run uncompiled."""
        if len(self.shapes) < MOST_SHAPES:
            self.shapes.add(shapes)
        elif shapes not in self.shapes and not self._told:
            self._told = True
            log.warning("compiled for %d sizes of pictures; batches of other sizes run uncompiled", MOST_SHAPES)
        return shapes in self.shapes
