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
from cyclegan.networks.base import Generator, StyleGenerator

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

    def forward(self, images: Tensor, *style: Tensor) -> Tensor:
        height, width = images.shape[2:]
        padded = images.index_select(2, self.rows(height)).index_select(3, self.rows(width))
        numbers = [self.network.mlp(code) for code in style if isinstance(self.network, StyleGenerator)]
        made = self.network.translate(padded, *numbers)
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

    If it has styles, their codes (N, S) are a second input.

    Raises ValueError, in one line, when torch cannot export it.
    """
    batch, height, width = (torch.export.Dim(name, min=1, max=MOST) for name in ("batch", "height", "width"))
    free: dict[str, Any] = {"images": {0: batch, 2: height, 3: width}}
    if network.style_size:
        free["style"] = ({0: batch},)
    file = io.BytesIO()
    with _told("torch.export"):
        program = torch.export.export(_Whole(network).eval(), _examples(network), dynamic_shapes=free)
        torch.export.save(program, file, extra_files={METADATA: metadata})
    return file.getvalue()


def scripted(network: Generator, metadata: str) -> bytes:
    """Return a generator as TorchScript, for batches and pictures of any size; see `exported_program`.

    Raises ValueError, in one line, when torch cannot export it.
    """
    file = io.BytesIO()
    with _told("TorchScript"), torch.inference_mode():
        traced = jit.trace(_Traced(network).eval(), _examples(network), check_trace=False)
        jit.save(traced, file, _extra_files={METADATA: metadata})
    return file.getvalue()


def _examples(network: Generator) -> tuple[Tensor, ...]:
    """Return inputs of a program: images, and style codes if there are any."""
    images = torch.zeros(2, network.inputs, network.multiple * 3 + 1, network.multiple * 2 + 3)
    return (images, torch.zeros(2, network.style_size)) if network.style_size else (images,)


def run_program(content: bytes) -> Callable[..., Array]:
    """Return the translation by a program of `torch.export`."""
    with _told("torch.export"):
        return _runner(torch.export.load(io.BytesIO(content)).module())


def run_script(content: bytes) -> Callable[..., Array]:
    """Return the translation by TorchScript."""
    with _told("TorchScript"):
        return _runner(jit.load(io.BytesIO(content), map_location="cpu"))


def _runner(module: nn.Module) -> Callable[..., Array]:
    def run(*inputs: Array) -> Array:
        with torch.inference_mode():
            made: Array = module(*map(torch.from_numpy, inputs)).numpy()
            return made

    return run


@contextmanager
def _told(name: str) -> Iterator[None]:
    """A context without torch's warnings, in which its errors become one line."""
    from cyclegan.inference.engines.libraries import one_line_errors

    with warnings.catch_warnings(), one_line_errors(f"{name} cannot export this generator", ValueError):
        warnings.simplefilter("ignore")
        yield


RUNNERS: Mapping[str, Callable[[bytes], Callable[..., Array]]] = {
    ".pt2": run_program,
    ".ts": run_script,
    ".torchscript": run_script,
}
"""What runs each kind of file."""
