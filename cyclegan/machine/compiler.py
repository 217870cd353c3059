"""How networks run: compiled, for the first shapes of batches, or as they are written; and in which memory layout."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cyclegan.machine.device import import_extensions

Compile = Literal["off", "on", "simd256"]

MOST_SHAPES = 8
"""Shapes of batches to compile for, a minute or two each."""

PER_SHAPE = 8
"""Compilations for one shape: each network with and without a gradient of its input, and with identities."""

log = logging.getLogger(__name__)


def set_layout(network: nn.Module, channels_last: bool) -> None:
    """Put the weights of convolutions in memory as the layout wants them; the numbers stay, and so do parameters."""
    network.to(memory_format=layout_of(channels_last))


def layout_of(channels_last: bool) -> torch.memory_format:
    """The memory format of pictures and weights."""
    return torch.channels_last if channels_last else torch.contiguous_format


class Compiler:
    """Keeps what networks compile to, so that switching back and forth costs nothing.

    Each is compiled at its first call for a shape, for the first `MOST_SHAPES` of them; others run as they are written.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        self.networks = list(networks)
        self.shapes: set[tuple[torch.Size, ...]] = set()
        self._how: Compile = "off"
        self._last: Compile = "off"
        self._forms: list[Any] = []
        self._told = False

    def set(self, how: Compile) -> None:
        """Run compiled, with vectors of 256 bits at most, or as written, from the next call on."""
        if how not in ("off", self._last):
            torch.compiler.reset()  # what is compiled is kept by code, whatever the options
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
        """Calls of the networks on batches of these shapes belong in here; `as_written` uses nothing compiled.

        By itself dynamo runs everything as written, in silence, once it has compiled a function eight times.
        """
        if self._how == "off":
            yield
            return
        compiled = not as_written and self._has_room(tuple(batch.shape for batch in shapes))
        stance = torch.compiler.set_stance("default" if compiled else "force_eager")
        with torch._dynamo.config.patch(recompile_limit=PER_SHAPE * MOST_SHAPES), stance:
            yield

    def _has_room(self, shapes: tuple[torch.Size, ...]) -> bool:
        """Whether these are among the first shapes; that others are not compiled is told once."""
        if len(self.shapes) < MOST_SHAPES:
            self.shapes.add(shapes)
        elif shapes not in self.shapes and not self._told:
            self._told = True
            log.warning("compiled for %d sizes of pictures; batches of other sizes run uncompiled", MOST_SHAPES)
        return shapes in self.shapes
