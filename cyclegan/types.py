"""The few types that every floor shares: a batch, named images, named losses, a direction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias

from pydantic import BeforeValidator, PlainSerializer
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from torch import Tensor

Images: TypeAlias = "dict[str, Tensor]"
"""Images by name (`fake_b`, `cycle_a`, ...), each (N, C, H, W) in [-1, 1]."""

Losses: TypeAlias = "dict[str, Tensor]"
"""Losses by name (`gan_a`, `cycle_a`, ...), each a weighted float32 scalar; their sum is what a player minimises."""

Direction = Literal["AtoB", "BtoA"]

OPPOSITE: dict[Direction, Direction] = {"AtoB": "BtoA", "BtoA": "AtoB"}
"""The way back."""

Device = Literal["auto", "cuda", "mps", "cpu"]
"""`auto` takes cuda, then mps, then cpu."""

Precision = Literal["float32", "tf32", "bf16", "fp16"]
"""float32 as IEEE 754 has it; on CUDA its products rounded to 10 bits (tf32); autocast to bf16 or fp16."""


def _no_switch(value: object) -> object:
    """Python counts True as 1, but `batch: yes` is a mistake."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number")
    return value


NUMBER = BeforeValidator(_no_switch)
"""Beside `Field(ge=...)` in the type of a config's number: a switch is none."""


Place = Annotated[Path, PlainSerializer(Path.as_posix, return_type=str)]
"""A path in a config, written with the slashes that every system reads."""


class Batch(NamedTuple):
    """Unpaired pictures of the two domains, each (N, C, H, W) in [-1, 1]."""

    a: Tensor
    b: Tensor
