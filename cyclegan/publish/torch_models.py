"""A generator as a program of `torch.export` (`.pt2`) or as TorchScript, which need no cyclegan to run."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan.inference.engines.sessions import Array
from cyclegan.networks.base import Generator

jit: Any = torch.jit  # it has no types

METADATA = "cyclegan.json"
"""The name of the metadata inside the file."""

MOST = 65_536
"""The largest batch, and the largest number of multiples in a side, of the pictures of a program."""


class _Whole(nn.Module):
    """A generator whose padding is computed from the size of each picture, without a branch that tracing would fix."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = deepcopy(network).requires_grad_(False)  # or else who loads it keeps all layers for gradients
        self.multiple, self.smallest = network.multiple, network.smallest

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        padded = images.index_select(2, self.rows(height)).index_select(3, self.rows(width))
        made = self.network.translate(padded)
        return made.index_select(2, torch.arange(height)).index_select(3, torch.arange(width))

    def rows(self, side: int) -> Tensor:
        """Return the source row for each padded row, as `mirror_pad` has them."""
        last = torch.full((), side - 1, dtype=torch.int64)
        period = 2 * last.clamp(min=1)
        position = torch.arange(self.padded(side)) % period
        return torch.minimum(torch.minimum(position, period - position), last)

    def padded(self, side: int) -> int:
        """Return the padded side as a multiple of a number that torch knows nothing else about.

        Otherwise it would want to prove that halving and doubling the side gives the side.
        """
        multiples = torch.full((), (side + self.multiple - 1) // self.multiple, dtype=torch.int64)
        number: int = multiples.clamp(min=self.smallest // self.multiple).item()  # type: ignore[assignment]
        torch._check(number >= self.smallest // self.multiple)
        torch._check(number <= MOST)
        return number * self.multiple


class _Traced(_Whole):
    """A generator for `torch.jit.trace`, in which sizes are tensors."""

    def padded(self, side: int) -> int:
        multiples = (torch.as_tensor(side) + self.multiple - 1) // self.multiple
        number: int = multiples.clamp(min=self.smallest // self.multiple) * self.multiple  # type: ignore[assignment]
        return number

    def rows(self, side: int) -> Tensor:
        last = torch.as_tensor(side) - 1
        period = 2 * last.clamp(min=1)
        position = torch.arange(self.padded(side)) % period
        return torch.minimum(torch.minimum(position, period - position), last)


def exported_program(network: Generator, metadata: str) -> bytes:
    """Return a generator as a program of `torch.export`, for batches and pictures of any size.

    Raises ValueError, in one line, when torch cannot export it.
    """
    example = torch.zeros(2, network.inputs, network.multiple * 3 + 1, network.multiple * 2 + 3)
    free = {
        "images": {
            axis: torch.export.Dim(name, min=1, max=MOST) for axis, name in ((0, "batch"), (2, "height"), (3, "width"))
        }
    }
    file = io.BytesIO()
    with _told("torch.export"):
        program = torch.export.export(_Whole(network).eval(), (example,), dynamic_shapes=free)
        torch.export.save(program, file, extra_files={METADATA: metadata})
    return file.getvalue()


def scripted(network: Generator, metadata: str) -> bytes:
    """Return a generator as TorchScript, for batches and pictures of any size.

    Raises ValueError, in one line, when torch cannot export it.
    """
    example = torch.zeros(2, network.inputs, network.multiple * 3 + 1, network.multiple * 2 + 3)
    file = io.BytesIO()
    with _told("TorchScript"), torch.inference_mode():
        traced = jit.trace(_Traced(network).eval(), (example,), check_trace=False)
        jit.save(traced, file, _extra_files={METADATA: metadata})
    return file.getvalue()


def run_program(content: bytes) -> Callable[[Array], Array]:
    """Return the translation by a program of `torch.export`."""
    with _told("torch.export"):
        return _runner(torch.export.load(io.BytesIO(content)).module())


def run_script(content: bytes) -> Callable[[Array], Array]:
    """Return the translation by TorchScript."""
    with _told("TorchScript"):
        return _runner(jit.load(io.BytesIO(content), map_location="cpu"))


def _runner(module: nn.Module) -> Callable[[Array], Array]:
    def run(images: Array) -> Array:
        with torch.inference_mode():
            made: Array = module(torch.from_numpy(images)).numpy()
            return made

    return run


@contextmanager
def _told(name: str) -> Iterator[None]:
    """A context without torch's warnings, in which its errors become one line."""
    from cyclegan.inference.engines.libraries import one_line_errors

    with warnings.catch_warnings(), one_line_errors(f"{name} cannot export this generator", ValueError):
        warnings.simplefilter("ignore")
        yield


RUNNERS: Mapping[str, Callable[[bytes], Callable[[Array], Array]]] = {
    ".pt2": run_program,
    ".ts": run_script,
    ".torchscript": run_script,
}
"""What runs each kind of file."""
