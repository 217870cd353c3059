"""The graph of a generator, found by tracing its `translate`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from cyclegan.inference.graph.nodes import INPUT, Graph, Linear, Node, Weights
from cyclegan.networks.adaptive import AdaptiveNorm, Blend
from cyclegan.networks.base import Generator, StyleGenerator
from cyclegan.networks.blocks import (
    Affine,
    BatchNorm,
    BlurDown,
    BlurUp,
    InstanceNorm,
    LayerNorm,
    PreciseConv2d,
    PreciseConvTranspose2d,
    ReflectConv2d,
)

NUMBERS = "numbers"
"""The name of the parameter of `StyleGenerator.translate` that holds the numbers of a style."""


class Untraceable(ValueError):
    """A network has an operation that the graph does not know; the message names it."""


def trace(network: nn.Module) -> Graph:
    """Return the graph of a generator in evaluation mode; it shares the weights on the CPU.

    Raises Untraceable when the network has an operation that the graph does not know.
    """
    if not isinstance(network, Generator):
        raise Untraceable(f"a {type(network).__name__} is not one of the suite's generators")
    whole = _TranslateStyled(network) if isinstance(network, StyleGenerator) else _Translate(network)
    mlp = _mlp(network.mlp) if isinstance(network, StyleGenerator) else ()
    return Graph(
        nodes=_traced(whole, network.inputs),
        multiple=network.multiple,
        smallest=network.smallest,
        style_size=network.style_size,
        mlp=mlp,
    )


def trace_style(network: StyleGenerator) -> Graph:
    """Return the graph of `style_features`, which maps pictures to the layer whose statistics are their style.

    Raises Untraceable when the network has an operation that the graph does not know.
    """
    multiple, smallest = network.style_sides
    return Graph(nodes=_traced(_StyleFeatures(network), network.outputs), multiple=multiple, smallest=smallest)


def style_head(network: StyleGenerator) -> Linear | None:
    """Return the layer that maps the means of the channels to a style code, if the network has one."""
    head = network.style_head
    if head is None:
        return None
    assert head.bias is not None
    return Linear(_array(head.weight.flatten(1)), _array(head.bias))


def _traced(whole: _Translate, inputs: int) -> dict[str, Node]:
    """Return the nodes that tracing finds, for images with so many channels."""
    nodes: dict[str, Node] = {}
    names: dict[str, str] = {}
    traced, network = _Tracer().trace(whole), whole.network
    modules = dict(network.named_modules())
    with torch.no_grad():
        for step in traced.nodes:
            if step.op == "output":
                break
            if step.target == NUMBERS:
                continue
            made = _nodes(step, modules, names, nodes, inputs)
            if isinstance(made, str):
                names[step.name] = made  # it passes on what another node makes
            else:
                nodes |= {node.name: node for node in made}
                names[step.name] = made[-1].name
    return _fused(nodes)


class _Translate(nn.Module):
    """A generator whose `forward` is `translate`, because tracing begins there."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.translate(x)


class _TranslateStyled(_Translate):
    """The same of a generator with styles."""

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:  # type: ignore[override]  # as its `translate`
        assert isinstance(self.network, StyleGenerator)
        return self.network.translate(x, numbers)


class _StyleFeatures(_Translate):
    """What finds styles of a generator with styles."""

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(self.network, StyleGenerator)
        return self.network.style_features(x)


class _Tracer(fx.Tracer):
    """Traces into modules that have parts, and stops at the others."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, AdaptiveNorm | Blend) or not any(True for _ in module.children())


def _nodes(
    step: fx.Node, modules: Mapping[str, nn.Module], names: Mapping[str, str], nodes: Mapping[str, Node], inputs: int
) -> list[Node] | str:
    """Return the nodes of a traced step, or the name of the node whose output the step passes on unchanged."""
    if step.op == "placeholder":
        return [Node(name=INPUT, op="input", channels=inputs)]
    before_it = tuple(names[each.name] for each in step.all_input_nodes if each.name in names)
    if not before_it:
        raise Untraceable(f"{step.target} has no input that is an image")
    before = nodes[before_it[0]]
    like = {
        "name": step.name.removeprefix("network_"),
        "inputs": before_it,
        "channels": before.channels,
        "size": before.size,
    }
    if step.op == "call_module":
        module = modules[str(step.target).removeprefix("network.")]
        return _of_module(module, like, before)
    function = FUNCTIONS.get(step.target)
    if function is None:
        raise Untraceable(f"the operation {step.target} of the network is not known")
    made = function(step, like, [nodes[name] for name in before_it])
    return made if isinstance(made, str) else [made]


def _mlp(layers: nn.Sequential) -> tuple[Linear, ...]:
    """Return the linear layers of the network of styles."""
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    if len(layers) > max(0, 2 * len(linear) - 1) or any(not isinstance(layer, nn.ReLU) for layer in layers[1::2]):
        raise Untraceable("the network of styles is not of linear layers with a ReLU between two")
    return tuple(Linear(_array(layer.weight), _array(layer.bias)) for layer in linear)


def _of_module(module: nn.Module, like: dict[str, Any], before: Node) -> list[Node] | str:
    """Return the nodes of a module that is not traced into."""
    inner = like | {"name": f"{like['name']}_normalised"}
    match module:
        case nn.Identity() | nn.Dropout():
            return before.name
        case AdaptiveNorm():
            norm = Node(**inner, op="instance_norm", number=1e-5)
            return [norm, Node(**like | {"inputs": (norm.name,)}, op="affine", place=module.place)]
        case LayerNorm():
            norm = Node(**inner, op="layer_norm", number=1e-5)
            scale, shift = _array(module.weight), _array(module.bias)
            return [norm, Node(**like | {"inputs": (norm.name,)}, op="affine", weight=scale, bias=shift)]
    return [_of_simple(module, like, before)]


def _of_simple(module: nn.Module, like: dict[str, Any], before: Node) -> Node:
    match module:
        case Blend():
            return Node(**like, op="blend", place=module.place)
        case Affine():
            return Node(**like, op="affine", weight=_array(module.scale), bias=_array(module.shift))
        case nn.MaxPool2d():
            return _max_pool(module, like, before)
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


def _max_pool(module: nn.MaxPool2d, like: dict[str, Any], before: Node) -> Node:
    kernel, stride, padding = module.kernel_size, module.stride, module.padding
    if not (isinstance(kernel, int) and isinstance(stride, int) and isinstance(padding, int)) or module.ceil_mode:
        raise Untraceable(f"the pooling {module} of the network is not known")
    size = before.size / stride
    return Node(**like | {"size": size}, op="max_pool", kernel=kernel, stride=stride, padding=padding)


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
