"""Types that all packages share: batches, named images and losses, directions, devices, precisions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from pydantic import BeforeValidator, PlainSerializer
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from torch import Tensor

Images: TypeAlias = "dict[str, Tensor]"
"""Images by name (`fake_b`, `cycle_a`, ...), each (N, C, H, W) in [-1, 1], and other tensors that the losses need."""

Losses: TypeAlias = "dict[str, Tensor]"
"""Losses by name (`gan_a`, `cycle_a`, ...), each a weighted float32 scalar; a player minimises their sum."""


Scores: TypeAlias = "tuple[Tensor, ...]"
"""The output of a critic: a map (N, 1, h, w) for each scale, the finest first; higher scores mean more real."""


@runtime_checkable
class Remembers(Protocol):
    """A module whose forward pass changes state that no optimizer updates: an image pool, running statistics."""

    rests: bool
    """While true, the forward pass leaves that state unchanged."""


Domain = Literal["a", "b"]
"""One of the two image domains."""

DOMAINS: tuple[Domain, Domain] = ("a", "b")


class Direction(StrEnum):
    """A translation direction. The folders of a data set end in the capital letter of their domain (`trainA`)."""

    AtoB = "AtoB"
    BtoA = "BtoA"

    @property
    def source(self) -> Domain:
        """The domain of the inputs."""
        return "a" if self is Direction.AtoB else "b"

    @property
    def target(self) -> Domain:
        """The domain of the outputs."""
        return self.opposite.source

    @property
    def opposite(self) -> Direction:
        """The reverse direction."""
        return Direction.BtoA if self is Direction.AtoB else Direction.AtoB


Device = Literal["auto", "cuda", "mps", "cpu"]
"""The device to run on. `auto` picks CUDA, then MPS, then the CPU."""

Precision = Literal["float32", "tf32", "bf16", "fp16"]
"""`float32` as in IEEE 754; `tf32`, which on CUDA rounds the factors of products to 10 bits; autocast to `bf16` or
`fp16`."""


def _no_switch(value: object) -> object:
    """Reject booleans: Python accepts True as 1, but `batch_size: yes` is a mistake."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number")
    return value


NUMBER = BeforeValidator(_no_switch)
"""A validator for the numbers of a config, used beside `Field(ge=...)`. It rejects booleans."""


Place = Annotated[Path, PlainSerializer(Path.as_posix, return_type=str)]
"""A path in a config, serialized with forward slashes on every system."""


class Channels(NamedTuple):
    """The number of channels of both domains."""

    a: int = 3
    b: int = 3

    def of(self, domain: Domain) -> int:
        """Return the number of channels of one domain."""
        return self.a if domain == "a" else self.b


RGB = Channels()
"""Colour pictures in both domains."""


class Batch(NamedTuple):
    """Images of both domains, each (N, C, H, W) in [-1, 1]; pairs if the data source yields pairs."""

    a: Tensor
    b: Tensor

    def of(self, domain: Domain) -> Tensor:
        """Return the images of one domain."""
        return self.a if domain == "a" else self.b
