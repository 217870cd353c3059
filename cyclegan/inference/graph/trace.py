"""The graph of a generator, found by tracing its `translate`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from cyclegan.inference.graph.nodes import INPUT, Graph, Node, Weights
from cyclegan.networks.base import Generator, StyleGenerator
from cyclegan.networks.blocks import (
    BatchNorm,
    BlurDown,
    BlurUp,
    InstanceNorm,
    PreciseConv2d,
    PreciseConvTranspose2d,
    ReflectConv2d,
)


class Untraceable(ValueError):
    """A network has an operation that the graph does not know; the message names it."""


def trace(network: nn.Module) -> Graph:
    """Return the graph of a generator in evaluation mode; it shares the weights on the CPU.

    Raises Untraceable when the network has an operation that the graph does not know.
    """
    if not isinstance(network, Generator):
        raise Untraceable(f"a {type(network).__name__} is not one of the suite's generators")
    if isinstance(network, StyleGenerator):
        raise Untraceable("a graph cannot take a style yet")
    nodes: dict[str, Node] = {}
    names: dict[str, str] = {}
    traced = _Tracer().trace(_Translate(network))
    modules = dict(network.named_modules())
    with torch.no_grad():
        for step in traced.nodes:
            if step.op == "output":
                break
            made = _node(step, modules, names, nodes, network)
            if isinstance(made, str):
                names[step.name] = made  # it passes on what another node makes
            else:
                nodes[made.name], names[step.name] = made, made.name
    return Graph(nodes=_fused(nodes), multiple=network.multiple, smallest=network.smallest)


class _Translate(nn.Module):
    """A generator whose `forward` is `translate`, because tracing begins there."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.translate(x)


class _Tracer(fx.Tracer):
    """Traces into modules that have parts, and stops at the others."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not any(True for _ in module.children())


def _node(
    step: fx.Node, modules: Mapping[str, nn.Module], names: Mapping[str, str], nodes: Mapping[str, Node], of: Generator
) -> Node | str:
    """Return the node of a traced step, or the name of the node whose output the step passes on unchanged."""
    if step.op == "placeholder":
        return Node(name=INPUT, op="input", channels=of.inputs)
    inputs = tuple(names[each.name] for each in step.all_input_nodes if each.name in names)
    if not inputs:
        raise Untraceable(f"{step.target} has no input that is an image")
    before = nodes[inputs[0]]
    like = {
        "name": step.name.removeprefix("network_"),
        "inputs": inputs,
        "channels": before.channels,
        "size": before.size,
    }
    if step.op == "call_module":
        module = modules[str(step.target).removeprefix("network.")]
        return _of_module(module, like, before)
    function = FUNCTIONS.get(step.target)
    if function is None:
        raise Untraceable(f"the operation {step.target} of the network is not known")
    return function(step, like, [nodes[name] for name in inputs])


def _of_module(module: nn.Module, like: dict[str, Any], before: Node) -> Node | str:
    match module:
        case nn.Identity() | nn.Dropout():
            return before.name
        case InstanceNorm():
            return Node(**like, op="instance_norm", number=1e-5)
        case BatchNorm():
            scale, shift = _affine(module)
            return Node(**like, op="affine", weight=scale, bias=shift)
        case nn.ReLU():
            return Node(**like, op="relu")
        case nn.LeakyReLU():
            return Node(**like, op="leaky_relu", number=module.negative_slope)
        case BlurDown():
            return Node(**like | {"size": before.size / 2}, op="blur_down")
        case BlurUp():
            return Node(**like | {"size": before.size * 2}, op="blur_up")
        case nn.Upsample(scale_factor=2, mode="nearest"):
            return Node(**like | {"size": before.size * 2}, op="nearest_up")
        case nn.ConvTranspose2d() | nn.Conv2d():
            return _convolution(module, like, before)
    raise Untraceable(f"the module {type(module).__name__} of the network is not known")


def _convolution(module: nn.Conv2d | nn.ConvTranspose2d, like: dict[str, Any], before: Node) -> Node:
    kernel, stride, padding = module.kernel_size[0], module.stride[0], module.padding[0]
    square = all(len(set(pair)) == 1 for pair in (module.kernel_size, module.stride, module.padding, module.dilation))
    if not square or module.dilation[0] != 1 or module.groups != 1 or not isinstance(padding, int):
        raise Untraceable(f"the convolution {module} of the network is not known")
    up = isinstance(module, nn.ConvTranspose2d)
    size = before.size * stride if up else before.size / stride
    return Node(
        **like | {"channels": module.out_channels, "size": size},
        op="conv_transpose" if up else "conv",
        kernel=kernel,
        stride=stride,
        padding=padding,
        reflect=isinstance(module, ReflectConv2d),
        output_padding=module.output_padding[0],
        precise=isinstance(module, PreciseConv2d | PreciseConvTranspose2d),
        weight=_array(module.weight),
        bias=None if module.bias is None else _array(module.bias),
    )  # fmt: skip


def _affine(norm: BatchNorm) -> tuple[Weights, Weights]:
    """Return the scale and shift of batch norm in evaluation mode."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return _array(scale), _array(norm.bias - norm.running_mean * scale)


def _array(weights: Tensor) -> Weights:
    array: Weights = weights.detach().cpu().contiguous().numpy()
    return array


def _same(step: fx.Node, like: dict[str, Any], before: list[Node]) -> str:
    return before[0].name


def _concat(step: fx.Node, like: dict[str, Any], before: list[Node]) -> Node:
    tensors, axis = step.args[0], step.kwargs.get("dim", step.args[1] if len(step.args) > 1 else 0)
    if axis != 1 or not isinstance(tensors, list | tuple) or len(before) != len(tensors):
        raise Untraceable("the network concatenates other axes than channels")
    return Node(**like | {"channels": sum(node.channels for node in before)}, op="concat")


def _add(step: fx.Node, like: dict[str, Any], before: list[Node]) -> Node:
    if len(before) != 2:
        raise Untraceable("the network adds something else than two tensors")
    return Node(**like, op="add")


def _multiply(step: fx.Node, like: dict[str, Any], before: list[Node]) -> Node:
    factors = [arg for arg in step.args if isinstance(arg, int | float)]
    if len(factors) != 1:
        raise Untraceable("the network multiplies tensors")
    return Node(**like, op="scale", number=float(factors[0]))


def _pad(step: fx.Node, like: dict[str, Any], before: list[Node]) -> Node:
    """Return a convolution without a kernel, which the next convolution takes over; see `_fused`."""
    sides = step.args[1] if len(step.args) > 1 else step.kwargs.get("pad")
    if step.kwargs.get("mode") != "reflect" or not isinstance(sides, tuple | list) or len({*sides}) != 1:
        raise Untraceable(f"the padding {step.args[1:]} of the network is not known")
    return Node(**like, op="conv", reflect=True, padding=int(str(sides[0])))


def _simple(op: Any) -> Callable[[fx.Node, dict[str, Any], list[Node]], Node]:
    return lambda step, like, before: Node(**like, op=op)


FUNCTIONS: dict[Any, Callable[[fx.Node, dict[str, Any], list[Node]], Node | str]] = {
    torch.relu: _simple("relu"),
    torch.tanh: _simple("tanh"),
    torch.atanh: _simple("atanh"),
    torch.cat: _concat,
    operator.add: _add,
    operator.mul: _multiply,
    F.pad: _pad,
    getattr: _same,  # the dtype of a tensor
    "to": _same,
}
"""What functions and methods of tensors become."""


def _fused(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """Return the nodes with each padding joined to the convolution after it."""
    paddings = {name: node for name, node in nodes.items() if node.op == "conv" and node.weight is None}
    fused = {}
    for name, node in nodes.items():
        if name in paddings:
            continue
        if any(each in paddings for each in node.inputs):
            padding = paddings[node.inputs[0]]
            if node.op != "conv" or node.padding or node.stride != 1 or 2 * padding.padding + 1 != node.kernel:
                raise Untraceable("the network pads without a convolution of that size")
            node = replace(node, inputs=padding.inputs, padding=padding.padding, reflect=True)
        fused[name] = node
    return fused
