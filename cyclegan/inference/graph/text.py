"""The operations of a graph as JSON, for the metadata of exported files; the weights are stored beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from cyclegan.inference.graph.nodes import INPUT, STYLED, Graph, Linear, Node, Op, Weights
from cyclegan.util.text import key_of, mistake

MOST = 65_536
"""The largest number of nodes, of channels, and of pixels that a side is padded to."""

ARITY: Mapping[Op, int] = {"input": 0, "add": 2, "blend": 2}
"""The number of inputs of operations that have not one; `concat` has two or more."""

KERNELS = ("conv", "conv_transpose")


@dataclass(frozen=True, kw_only=True)
class _Written:
    """A node as it is written: without weights."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}$")]
    op: Op
    inputs: tuple[str, ...] = ()
    channels: Annotated[int, Field(ge=1, le=MOST)]
    size: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}(/[1-9][0-9]{0,4})?$")] = "1"
    kernel: Annotated[int, Field(ge=1, le=255)] = 1
    stride: Annotated[int, Field(ge=1, le=255)] = 1
    padding: Annotated[int, Field(ge=0, le=255)] = 0
    reflect: bool = False
    output_padding: Annotated[int, Field(ge=0, le=255)] = 0
    number: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    place: Annotated[int | None, Field(ge=0, le=MOST)] = None
    precise: bool = False
    has_bias: bool = False


@dataclass(frozen=True, kw_only=True)
class _WrittenGraph:
    """A graph as it is written."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    multiple: Annotated[int, Field(ge=1, le=MOST)]
    smallest: Annotated[int, Field(ge=1, le=MOST)]
    nodes: Annotated[tuple[_Written, ...], Field(min_length=2, max_length=MOST)]
    style_size: Annotated[int, Field(ge=0, le=MOST)] = 0
    mlp: Annotated[tuple[Annotated[int, Field(ge=1, le=MOST)], ...], Field(max_length=100)] = ()
    """The number of outputs of each layer."""


def graph_text(graph: Graph) -> str:
    """Return the operations of a graph as JSON, without the weights."""
    nodes = [_written(node) for node in graph.nodes.values()]
    facts: dict[str, object] = {"multiple": graph.multiple, "smallest": graph.smallest, "nodes": nodes}
    if graph.style_size:
        facts |= {"style_size": graph.style_size, "mlp": [len(layer.bias) for layer in graph.mlp]}
    return json.dumps(facts)


def graph_from(text: str | bytes, weights: Callable[[str], Weights]) -> Graph:
    """Return the graph of a text by `graph_text`.

    `weights` returns an array by its name, NAME.weight or NAME.bias of a node, style.NUMBER.weight or style.NUMBER.bias
    of a layer of the network of styles, and raises ValueError when there is none.

    Raises ValueError, in one line, about the first mistake of a text or of an array.
    """
    try:
        written = TypeAdapter(_WrittenGraph).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(mistake(key_of(["graph", *first["loc"]]), first)) from None
    nodes: dict[str, Node] = {}
    for each in written.nodes:
        if each.name in nodes:
            raise ValueError(f"graph: {each.name} is there twice")
        if unknown := next((name for name in each.inputs if name not in nodes), None):
            raise ValueError(f"graph: {unknown[:100]!r}, an input of {each.name}, is not an earlier node")
        nodes[each.name] = _node(each, [nodes[name] for name in each.inputs], weights)
    graph = Graph(
        nodes=nodes,
        multiple=written.multiple,
        smallest=written.smallest,
        style_size=written.style_size,
        mlp=_mlp(written, weights),
    )
    _check_whole(graph)
    return graph


def _written(node: Node) -> dict[str, object]:
    same = [field.name for field in fields(_Written) if field.name not in ("size", "has_bias")]
    facts: dict[str, object] = {name: getattr(node, name) for name in same} | {"size": str(node.size)}
    facts["has_bias"] = node.op in KERNELS and node.bias is not None
    defaults = {field.name: field.default for field in fields(_Written)}
    return {name: value for name, value in facts.items() if value != defaults[name]}


def _node(written: _Written, before: list[Node], weights: Callable[[str], Weights]) -> Node:
    """Return a node with its weights; raises ValueError where it contradicts its inputs or weights."""
    op, name = written.op, written.name
    number = ARITY.get(op, 1)
    if len(before) < 2 if op == "concat" else len(before) != number:
        raise ValueError(
            f"graph: {name} has {len(before)} inputs, but {op} needs {number if op != 'concat' else 'more'}"
        )
    facts = {field.name: getattr(written, field.name) for field in fields(_Written) if field.name != "has_bias"}
    node = Node(**facts | {"size": Fraction(written.size)})
    if (op == "input") != (name == INPUT):
        raise ValueError(f"graph: the input must be named {INPUT}, and nothing else")
    if before and (node.channels, node.size) != (_channels(node, before), _size(node, before)):
        raise ValueError(f"graph: {name} does not have the channels and the size that its inputs give")
    if node.size > 1 or any(each.size != before[0].size for each in before):
        raise ValueError(f"graph: the size of {name} or of its inputs is not possible")
    if node.op in ("conv", "max_pool") and not 0 <= node.stride - node.kernel + 2 * node.padding < node.stride:
        raise ValueError(f"graph: the padding of {name} does not suit its kernel and stride")
    if node.place is not None and node.op not in STYLED:
        raise ValueError(f"graph: {name} cannot get numbers of a style")
    shapes = _shapes(node, before, written.has_bias)
    arrays = {kind: weights(f"{name}.{kind}") for kind in shapes}
    if op == "affine":  # files may give it the axes of images
        arrays = {kind: array.reshape(-1) for kind, array in arrays.items()}
    for kind, shape in shapes.items():
        _check_array(f"{name}.{kind}", arrays[kind], shape)
    return replace(node, weight=arrays.get("weight"), bias=arrays.get("bias"))


def _channels(node: Node, before: list[Node]) -> int:
    """Return the number of channels that a node must have; that of a convolution follows from its weights."""
    if node.op in KERNELS:
        return node.channels
    if node.op in ("add", "blend") and before[0].channels != before[1].channels:
        raise ValueError(f"graph: {node.name} joins {before[0].channels} and {before[1].channels} channels")
    return sum(each.channels for each in before) if node.op == "concat" else before[0].channels


def _size(node: Node, before: list[Node]) -> Fraction:
    match node.op:
        case "conv" | "max_pool":
            return before[0].size / node.stride
        case "conv_transpose":
            return before[0].size * node.stride
        case "blur_down":
            return before[0].size / 2
        case "blur_up" | "nearest_up":
            return before[0].size * 2
    return before[0].size


def _shapes(node: Node, before: list[Node], has_bias: bool) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights that a node must have."""
    if node.op == "affine" and node.place is None:
        return {"weight": (node.channels,), "bias": (node.channels,)}
    if node.op not in KERNELS:
        return {}
    ends = (node.channels, before[0].channels)
    shape = (*(ends if node.op == "conv" else ends[::-1]), node.kernel, node.kernel)
    return {"weight": shape} | ({"bias": (node.channels,)} if has_bias else {})


def _mlp(written: _WrittenGraph, weights: Callable[[str], Weights]) -> tuple[Linear, ...]:
    """Return the network of styles; raises ValueError where its weights or the places of nodes contradict it."""
    layers, inputs = list[Linear](), written.style_size
    for number, outputs in enumerate(written.mlp):
        layer = Linear(weights(f"style.{number}.weight"), weights(f"style.{number}.bias"))
        shapes = (outputs, inputs), (outputs,)
        for kind, array, shape in zip(Linear._fields, layer, shapes, strict=True):
            _check_array(f"style.{number}.{kind}", array, shape)
        layers.append(layer)
        inputs = outputs
    return tuple(layers)


def _check_array(name: str, array: Weights, shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype.name != "float32":
        raise ValueError(f"graph: {name} is not {' x '.join(map(str, shape))} numbers of float32")


def _check_whole(graph: Graph) -> None:
    """Raise ValueError unless every node's size is whole for each size of images, and the output is of their size."""
    if graph.smallest % graph.multiple:
        raise ValueError(f"graph: smallest ({graph.smallest}) is not a multiple of multiple ({graph.multiple})")
    if math.lcm(*(node.size.denominator for node in graph.nodes.values())) > graph.multiple:
        raise ValueError(f"graph: multiple ({graph.multiple}) is too small for its sizes")
    if any(graph.multiple % node.size.denominator for node in graph.nodes.values()):
        raise ValueError(f"graph: multiple ({graph.multiple}) does not fit its sizes")
    if graph.output.size != 1:
        raise ValueError("graph: the translation does not have the size of the images")
    given = len(graph.mlp[-1].bias) if graph.mlp else graph.style_size
    if (needed := max(node.end for node in graph.nodes.values())) > given:
        raise ValueError(f"graph: its nodes need {needed} numbers of a style, which has {given}")
