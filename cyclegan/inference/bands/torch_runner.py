"""Banded inference by torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan.data.convert import denormalised, normalised
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.inference.bands.plan import Pass
from cyclegan.inference.bands.runner import Moments, Statistics
from cyclegan.inference.graph.nodes import Graph, Node
from cyclegan.machine.allocator import blocks_kept
from cyclegan.networks.blocks import BlurDown, BlurUp, reflect_pad

LAYOUT = torch.channels_last
"""The memory format of all layers: in it, a stored layer is one contiguous block, row after row."""

CHUNK = {"cpu": 2**19, "gpu": 2**24}
"""Values that are normalised or measured at a time: on a CPU, so that they stay in its cache."""


class TorchStore:
    """A layer (1, C, H, W) of a whole picture, in `LAYOUT`."""

    def __init__(self, layer: Tensor, device: torch.device) -> None:
        self.layer, self.device = layer, device

    def read(self, rows: slice, columns: slice) -> Tensor:
        """Return a part, (1, C, h, w); one of all columns shares memory with the store on its own device."""
        return self.layer[:, :, rows, columns].to(self.device).contiguous(memory_format=LAYOUT)

    def write(self, rows: slice, columns: slice, values: Tensor) -> None:
        """Store a part (1, C, h, w)."""
        self.layer[:, :, rows, columns] = values


class TorchRunner:
    """Computes layers with torch on a device; `arithmetic` is the context that sets the precision."""

    def __init__(
        self, graph: Graph, device: torch.device, arithmetic: AbstractContextManager[Any], target: PictureFormat,
        bytes_of_a_value: int = 4,
    ) -> None:  # fmt: skip
        self.device, self.arithmetic, self.target = device, arithmetic, target
        self.bytes_of_a_value = bytes_of_a_value
        self.copies = 4.5 if bytes_of_a_value == 4 else 3.0  # with blocks that are kept free; 4.3 and 2.7 were measured
        self.weights = {name: self._weights(node) for name, node in graph.nodes.items()}

    def _weights(self, node: Node) -> tuple[Tensor | None, Tensor | None]:
        weight, bias = (None if each is None else torch.tensor(each) for each in (node.weight, node.bias))
        if weight is not None:
            weight = weight.to(self.device, memory_format=LAYOUT if weight.ndim == 4 else torch.contiguous_format)
        return weight, None if bias is None else bias.to(self.device)

    def sweeping(self) -> AbstractContextManager[None]:
        """Return a context in which the memory of tiles is kept for the next ones, which have the same size."""
        return blocks_kept() if self.device.type == "cpu" else nullcontext()

    def images(self, pixels: Pixels) -> Tensor:
        """Return the images (1, C, h, W) in [-1, 1] of pixels (h, W, C)."""
        images = torch.tensor(pixels[None]).to(self.device).permute(0, 3, 1, 2)
        return normalised(images).contiguous(memory_format=LAYOUT)

    @torch.inference_mode()
    def run(self, part: Pass, inputs: Sequence[Tensor], statistics: Statistics) -> list[Tensor]:
        """Return `part.outputs`, computed from `part.inputs` as if the band was a whole picture."""
        made = dict(zip(part.inputs, inputs, strict=True))
        left = Counter(name for node in part.nodes for name in node.inputs)
        left.update((*part.outputs, *part.inputs))  # these are needed after the pass
        with self.arithmetic:
            for node in part.nodes:
                before = [made[name] for name in node.inputs]
                left.subtract(node.inputs)
                for name in node.inputs:
                    if not left[name]:
                        del made[name]
                free = [not left[name] for name in node.inputs]  # so that they may be overwritten
                weight, bias = self.weights[node.name]
                if node.is_norm:
                    weight, bias = self._norm(statistics[node.name])
                made[node.name] = OPERATIONS[node.op](node, weight, bias, free, *before)
        return [made[name] for name in part.outputs]

    def _norm(self, statistics: tuple[Any, Any]) -> tuple[Tensor, Tensor]:
        """Return the factors and the means (C) of a norm."""
        mean, factor = (torch.tensor(each, dtype=torch.float32, device=self.device) for each in statistics)
        return factor, mean

    def cut(self, values: Tensor, rows: slice, columns: slice) -> Tensor:
        """Return a part of a layer; one of all columns shares its memory."""
        return values[:, :, rows, columns].contiguous(memory_format=LAYOUT)

    def copied(self, rows: Tensor) -> Tensor:
        """Return a copy of rows."""
        return rows.clone(memory_format=LAYOUT)

    def joined(self, above: Tensor, below: Tensor) -> Tensor:
        """Return rows one above the other."""
        return torch.cat([above, below], dim=2)

    def moments(self, rows: Tensor) -> Moments:
        """Return the mean and variance of each channel, computed in float32."""
        return reduce(Moments.joined, map(_moments, _chunks(rows)))

    def pixels(self, rows: Tensor) -> Pixels:
        """Return translations (1, C, h, W) in [-1, 1] as pixels (h, W, C). Raises ValueError for NaN."""
        pixels: Pixels = denormalised(rows, self.target)[0].permute(1, 2, 0).cpu().numpy()
        return pixels

    def store(self, like: Tensor, height: int, width: int, array: Any) -> TorchStore:
        """Return a store for a layer of this size like this part."""
        shape = (1, height, width, like.shape[1])
        if like.device.type != "cpu":
            layer = torch.empty(shape, dtype=like.dtype, device=like.device)
        else:
            kind = {torch.bfloat16: np.uint16, torch.float16: np.float16}.get(like.dtype, np.float32)
            layer = torch.from_numpy(array(shape, kind)).view(like.dtype)
        return TorchStore(layer.permute(0, 3, 1, 2), self.device)


def _moments(rows: Tensor) -> Moments:
    """Return the moments of values (n, C)."""
    first = rows[0].float()
    shifted = rows - first  # exactly 0 in a constant channel, whose rounding the norm would magnify
    mean = shifted.mean(dim=0)
    variance = shifted.sub_(mean).square_().mean(dim=0)
    return Moments((first.double() + mean.double()).cpu().numpy(), variance.double().cpu().numpy(), len(rows))


Operation = Callable[..., Tensor]


def _convolution(node: Node, weight: Tensor, bias: Tensor | None, free: Sequence[bool], x: Tensor) -> Tensor:
    padding = node.padding
    if node.reflect:
        x, padding = reflect_pad(x, padding).contiguous(memory_format=LAYOUT), 0
    if not node.precise:
        return F.conv2d(x, weight, bias, node.stride, padding)
    with torch.autocast(x.device.type, enabled=False):
        return F.conv2d(x.to(weight.dtype), weight, bias, node.stride, padding)


def _transposed(node: Node, weight: Tensor, bias: Tensor | None, free: Sequence[bool], x: Tensor) -> Tensor:
    how = (node.stride, node.padding, node.output_padding)
    if not node.precise:
        return F.conv_transpose2d(x, weight, bias, *how)
    with torch.autocast(x.device.type, enabled=False):
        return F.conv_transpose2d(x.to(weight.dtype), weight, bias, *how)


def _affine(node: Node, weight: Tensor, bias: Tensor, free: Sequence[bool], x: Tensor) -> Tensor:
    return _by_chunks(lambda values: (values * weight).add_(bias), x, free[0])


def _norm(node: Node, factor: Tensor, mean: Tensor, free: Sequence[bool], x: Tensor) -> Tensor:
    """Normalise; the mean is subtracted first, as `_moments` needs it, and F.batch_norm does not."""
    return _by_chunks(lambda values: (values - mean).mul_(factor), x, free[0])


def _add(node: Node, weight: None, bias: None, free: Sequence[bool], x: Tensor, y: Tensor) -> Tensor:
    x, y = (y, x) if free[1] else (x, y)
    return x.add_(y) if any(free) and x.dtype == y.dtype else x + y


def _relu(node: Node, weight: None, bias: None, free: Sequence[bool], x: Tensor) -> Tensor:
    return torch.relu_(x) if free[0] else torch.relu(x)


def _by_chunks(operation: Callable[[Tensor], Tensor], x: Tensor, free: bool) -> Tensor:
    """Return a layer (1, C, h, W) whose values (n, C) went through an operation, in its place if it is free."""
    made = x if free else torch.empty_like(x, memory_format=LAYOUT)
    for values, result in zip(_chunks(x), _chunks(made), strict=True):
        result.copy_(operation(values))
    return made


def _chunks(x: Tensor) -> Sequence[Tensor]:
    """Return all values (1, C, h, W) in parts (n, C), which share their memory; x is in `LAYOUT`."""
    values = x.permute(0, 2, 3, 1).view(-1, x.shape[1])
    return torch.split(values, max(1, CHUNK["cpu" if x.device.type == "cpu" else "gpu"] // x.shape[1]))


def _leaky_relu(node: Node, weight: None, bias: None, free: Sequence[bool], x: Tensor) -> Tensor:
    return F.leaky_relu(x, node.number, inplace=free[0])


OPERATIONS: dict[str, Operation] = {
    "conv": _convolution,
    "conv_transpose": _transposed,
    "affine": _affine,
    "instance_norm": _norm,
    "layer_norm": _norm,
    "max_pool": lambda node, weight, bias, free, x: F.max_pool2d(x, node.kernel, node.stride, node.padding),
    "blend": lambda node, weight, bias, free, x, y: torch.lerp(x, y.to(x.dtype), node.number),
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "tanh": lambda node, weight, bias, free, x: torch.tanh(x),
    "atanh": lambda node, weight, bias, free, x: torch.atanh(x),
    "scale": lambda node, weight, bias, free, x: node.number * x,
    "add": _add,
    "concat": lambda node, weight, bias, free, *xs: torch.cat(xs, dim=1),
    "blur_down": lambda node, weight, bias, free, x: BlurDown()(x),
    "blur_up": lambda node, weight, bias, free, x: BlurUp()(x),
    "nearest_up": lambda node, weight, bias, free, x: F.interpolate(x, scale_factor=2.0, mode="nearest"),
}
"""The operations of a graph."""
