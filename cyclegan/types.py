"""The few types that every floor shares: a batch, named images, named losses, a direction."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from pydantic import BeforeValidator, PlainSerializer
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from torch import Tensor

Images: TypeAlias = "dict[str, Tensor]"
"""Images by name (`fake_b`, `cycle_a`, ...), each (N, C, H, W) in [-1, 1]; and what losses need to know of them."""

Losses: TypeAlias = "dict[str, Tensor]"
"""Losses by name (`gan_a`, `cycle_a`, ...), each a weighted float32 scalar; their sum is what a player minimises."""


Scores: TypeAlias = "tuple[Tensor, ...]"
"""What a critic thinks of pictures: a map (N, 1, h, w) for each scale, the finest first, higher for what looks real."""


@runtime_checkable
class Remembers(Protocol):
    """A module that a call changes, beside what a player learns: a pool, running statistics."""

    rests: bool
    """While set, a call remembers nothing."""


Domain = Literal["a", "b"]


class Direction(StrEnum):
    """Which way a generator translates. The names of a data set's folders end in the domain as a capital letter."""

    AtoB = "AtoB"
    BtoA = "BtoA"

    @property
    def source(self) -> Domain:
        """The domain that it translates from."""
        return "a" if self is Direction.AtoB else "b"

    @property
    def target(self) -> Domain:
        """The domain that it translates to."""
        return self.opposite.source

    @property
    def opposite(self) -> Direction:
        """The way back."""
        return Direction.BtoA if self is Direction.AtoB else Direction.AtoB


Device = Literal["auto", "cuda", "mps", "cpu"]
"""`auto` takes cuda, then mps, then cpu."""

Precision = Literal["float32", "tf32", "bf16", "fp16"]
"""float32 as IEEE 754 has it; on CUDA its products rounded to 10 bits (tf32); autocast to bf16 or fp16."""


def _no_switch(value: object) -> object:
    """Python counts True as 1, but `batch_size: yes` is a mistake."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number")
    return value


NUMBER = BeforeValidator(_no_switch)
"""Beside `Field(ge=...)` in the type of a config's number: a switch is none."""


Place = Annotated[Path, PlainSerializer(Path.as_posix, return_type=str)]
"""A path in a config, written with the slashes that every system reads."""


class Batch(NamedTuple):
    """Pictures of the two domains, each (N, C, H, W) in [-1, 1]: paired or not, as the data source makes them."""

    a: Tensor
    b: Tensor

    def of(self, domain: Domain) -> Tensor:
        """The pictures of one domain."""
        return self.a if domain == "a" else self.b

    def one_by_one(self) -> Iterator[Batch]:
        """Batches of one picture of each domain, as many as the larger domain has; the last of the smaller repeats."""
        for i in range(max(map(len, self))):
            yield Batch(*(domain[min(i, len(domain) - 1) :][:1] for domain in self))
