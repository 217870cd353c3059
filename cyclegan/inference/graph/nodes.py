"""The operations of a generator, without torch: what exports, other engines and banded inference work on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Weights: TypeAlias = npt.NDArray[np.float32]

Op = Literal[
    "input", "conv", "conv_transpose", "instance_norm", "affine", "relu", "leaky_relu", "tanh", "atanh", "scale", "add",
    "concat", "blur_down", "blur_up", "nearest_up", "max_pool", "layer_norm", "blend",
]  # fmt: skip
"""
`input`: the images. `conv`, `conv_transpose`: a weight and perhaps a bias. `instance_norm`, `layer_norm`: as in
`blocks`, without scale and shift. `affine`: a scale and a shift for each channel, which is batch norm in evaluation
mode. `scale`: multiplies by a number. `concat`: joins channels. `blur_down`, `blur_up`: as in `blocks`. `nearest_up`:
doubles the size, each pixel four times. `blend`: x + number (y - x).
"""

NORMS: tuple[Op, ...] = ("instance_norm", "layer_norm")
"""Operations that need the mean and variance of their input over the whole image."""

STYLED: tuple[Op, ...] = ("affine", "blend")
"""Operations whose numbers may come from a style."""

INPUT = "images"
"""The name of the node that stands for the images."""

Code: TypeAlias = npt.NDArray[np.float32]
"""A style code for each image, (N, S), or one for all, (1, S)."""


class Linear(NamedTuple):
    """A layer of the network that maps style codes to numbers."""

    weight: Weights
    """(outputs, inputs)."""
    bias: Weights
    """(outputs)."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation on tensors (N, C, H, W), and where its inputs come from."""

    name: str
    op: Op
    inputs: tuple[str, ...] = ()
    """The names of earlier nodes."""
    channels: int
    """The number of channels of its output."""
    size: Fraction = Fraction(1)
    """The sides of its output, as a share of those of the images."""
    kernel: int = 1
    """The side of the kernel of a convolution."""
    stride: int = 1
    padding: int = 0
    """The padding of a convolution on each side."""
    reflect: bool = False
    """Whether the padding of a convolution is a reflection, instead of zeros."""
    output_padding: int = 0
    number: float = 0.0
    """The slope of `leaky_relu`, the factor of `scale`, the eps of norms, the share of y in `blend`."""
    place: int | None = field(default=None, repr=False)
    """Where its numbers begin among those of the style: the shifts and then the scales of `affine`, the number of
    `blend`. None if they do not come from a style."""
    precise: bool = False
    """Whether it is computed in float32, also where the rest is in bf16 or int8."""
    weight: Weights | None = field(default=None, compare=False, repr=False)
    """The kernel of a convolution, with torch's axes, or the scale of `affine`."""
    bias: Weights | None = field(default=None, compare=False, repr=False)
    """The bias of a convolution, or the shift of `affine`."""

    @property
    def is_norm(self) -> bool:
        """Whether it needs statistics of the whole image."""
        return self.op in NORMS

    @property
    def end(self) -> int:
        """The place behind its last number of the style; 0 if it has none."""
        return 0 if self.place is None else self.place + (2 * self.channels if self.op == "affine" else 1)

    @property
    def multiplications(self) -> float:
        """The number of multiplications of its convolution for each pixel of the images."""
        if self.weight is None or self.op not in ("conv", "conv_transpose"):
            return 0.0
        outputs = self.size if self.op == "conv" else self.size / self.stride
        return self.weight.size * float(outputs**2)

    @property
    def values(self) -> float:
        """The number of values of its output for each pixel of the images."""
        return self.channels * float(self.size**2)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A generator, for images whose sides are multiples of `multiple` and at least `smallest`.

    It maps images (N, inputs, H, W) in [-1, 1], and perhaps style codes, to (N, outputs, H, W) in [-1, 1].
    """

    nodes: dict[str, Node]
    """The nodes by name, each after its inputs. The first is `images`, the last is the output."""
    multiple: int
    smallest: int
    style_size: int = 0
    """The length of a style code; 0 for a generator without styles."""
    mlp: tuple[Linear, ...] = field(default=(), compare=False, repr=False)
    """What maps style codes to the numbers of nodes, with a ReLU between two layers; empty if the code is these."""

    @property
    def inputs(self) -> int:
        """The number of channels of the images."""
        return self.nodes[INPUT].channels

    @property
    def output(self) -> Node:
        """The node whose output is the translation."""
        return next(reversed(self.nodes.values()))

    @property
    def outputs(self) -> int:
        """The number of channels of the translations."""
        return self.output.channels

    def users(self, name: str) -> Iterator[Node]:
        """Yield the nodes that have a node among their inputs."""
        return (node for node in self.nodes.values() if name in node.inputs)

    def numbers(self, code: Code | None = None) -> Weights:
        """Return the numbers (N, M) that style codes give; by default those of the code of zeros."""
        x: Weights = np.zeros((1, self.style_size), np.float32) if code is None else np.asarray(code, np.float32)
        for i, layer in enumerate(self.mlp):
            x = (np.maximum(x, 0) if i else x) @ layer.weight.T + layer.bias
        return x

    def bound(self, code: Code | None = None) -> Graph:
        """Return the graph of the translations in one style, (1, S), which needs no code."""
        if not self.style_size:
            return self
        numbers = self.numbers(code)[0]
        nodes = {name: _bound(node, numbers) for name, node in self.nodes.items()}
        return replace(self, nodes=nodes, style_size=0, mlp=())

    def padded(self, side: int) -> int:
        """Return the side, in pixels, to which a side of an image is padded."""
        return max(self.smallest, math.ceil(side / self.multiple) * self.multiple)

    def digest(self) -> str:
        """Return the SHA-256 of the operations, weights and sizes."""
        whole = hashlib.sha256(f"{self.multiple} {self.smallest}".encode())
        for node in self.nodes.values():
            whole.update(repr(node).encode())
            if node.place is not None:
                whole.update(f"place {node.place}".encode())
            for weights in (node.weight, node.bias):
                if weights is not None:
                    whole.update(np.ascontiguousarray(weights).data)
        for layer in self.mlp:
            for weights in layer:
                whole.update(np.ascontiguousarray(weights).data)
        return whole.hexdigest()


def mirrored(side: int, padded: int) -> npt.NDArray[np.int64]:
    """Return the row of an image of `side` rows for each row of its padding by reflection: 0 1 2 3 2 1 0 1 ...

    It is the rule of `networks.blocks.mirror_pad`.
    """
    last = max(side - 1, 1)
    position = np.arange(padded) % (2 * last)
    return np.minimum(np.minimum(position, 2 * last - position), side - 1)


def _bound(node: Node, numbers: Weights) -> Node:
    if node.place is None:
        return node
    own = numbers[node.place : node.end]
    if node.op == "blend":
        return replace(node, place=None, number=float(own[0]))
    shift, scale = np.split(own, 2)
    return replace(node, place=None, weight=scale, bias=shift)
