"""Training in float64, because Adam divides a gradient by its magnitude: in float32, rounding alone moves weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from torch import Tensor

from cyclegan.cli import main
from cyclegan.data.convert import normalised


def _doubles_normalised(pixels: Tensor) -> Tensor:
    return normalised(pixels).double()


@contextmanager
def exactly() -> Iterator[None]:
    """While open, networks are built in float64, and pictures are converted to float64."""
    users = [name for name, module in sys.modules.items() if getattr(module, "normalised", None) is normalised]
    before = torch.get_default_dtype()
    with ExitStack() as patches:
        for name in users:
            if name != __name__:
                patches.enter_context(patch(f"{name}.normalised", _doubles_normalised))
        torch.set_default_dtype(torch.float64)
        patches.callback(torch.set_default_dtype, before)
        yield


def exact_main(words: Sequence[str]) -> None:
    """`cyclegan WORDS` in float64."""
    with exactly():
        main(words)
