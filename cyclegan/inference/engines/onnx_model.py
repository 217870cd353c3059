"""A generator, or a part of it, as an ONNX model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from cyclegan.inference.engines.libraries import library
from cyclegan.inference.engines.onnx_ops import IR_VERSION, NUMBERS, OPSET, Parts, add_node
from cyclegan.inference.graph.nodes import INPUT, Graph, Linear, Node

STYLE = "style"
"""The name of the input for style codes."""

OUTPUT = "translations"
"""The name of the output of a whole generator."""

Shape: TypeAlias = tuple[int | str, ...]
"""The sides of an array; a name stands for any length."""

LARGEST = 2**31 - 2**20
"""The largest model, in bytes, that fits into one file of ONNX, whose limit is 2 GiB."""


def model_of(graph: Graph, metadata: Mapping[str, str] | None = None, *, steady: bool = True) -> bytes:
    """Return a whole generator as an ONNX model for images of any size.

    Its input "images" (N, C, H, W) and its output "translations" are float32 in [-1, 1]; N, H and W are free. If it has
    styles, it has a second input "style", a code for each image (N, S) or one for all (1, S). The padding by
    reflection and the cropping are part of the model. `metadata` is stored in it. `steady` is as in `Parts`.

    Raises ModuleNotFoundError when `onnx` is not installed, and ValueError for a model above ONNX's limit.
    """
    parts = Parts(steady)
    padded = _padded(parts, graph)
    if graph.style_size:
        _add_mlp(parts, graph)
    for node in graph.nodes.values():
        if node.op != "input":
            names = tuple(padded if name == INPUT else name for name in node.inputs)
            add_node(parts, replace(node, inputs=names))
    whole = parts.add("Concat", ["height", "width"], "sides", axis=0)
    zeros, axes = parts.wholes(0, 0), parts.wholes(2, 3)
    parts.add("Slice", [graph.output.name, zeros, whole, axes], OUTPUT)
    inputs = {INPUT: _free("batch", graph.inputs, "height", "width")}
    if graph.style_size:
        inputs[STYLE] = _free("styles", graph.style_size)
    outputs = {OUTPUT: _free("batch", graph.outputs, "height", "width")}
    return _bytes(parts, inputs, outputs, metadata or {})


def style_model_of(graph: Graph, head: Linear | None, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return what finds the styles of pictures as an ONNX model for pictures of any size.

    Its input "images" (N, C, H, W) is float32 in [-1, 1], and its output "style" (N, S): see
    `StyleGenerator.encode_style`. `graph` maps pictures to the layer whose statistics are the style; `head` maps the
    means of its channels to the code, if the code is such a function.

    Raises what `model_of` raises.
    """
    parts = Parts()
    padded = _padded(parts, graph)
    for node in graph.nodes.values():
        if node.op != "input":
            add_node(parts, replace(node, inputs=tuple(padded if name == INPUT else name for name in node.inputs)))
    layer, axes = graph.output.name, {"axes": [2, 3]}
    mean = parts.add("ReduceMean", [layer], "mean", keepdims=0, **axes)
    if head is not None:
        weights = [parts.constant(f"head.{kind}", array) for kind, array in head._asdict().items()]
        parts.add("Gemm", [mean, *weights], STYLE, transB=1)
    else:
        centre = parts.add("ReduceMean", [layer], "centre", keepdims=1, **axes)
        off = parts.add("Sub", [layer, centre], "off")
        variance = parts.add("ReduceMean", [parts.add("Mul", [off, off], "squares")], "variance", keepdims=0, **axes)
        deviation = parts.add(
            "Sqrt", [parts.add("Add", [variance, parts.constant("eps", 1e-5)], "positive")], "deviation"
        )
        first = parts.add("Slice", [mean, parts.wholes(0), parts.wholes(1), parts.wholes(1)], "first")
        strength = parts.add(
            "Add",
            [parts.add("Mul", [first, parts.constant("none", 0.0)], "nothing"), parts.constant("all", 1.0)],
            "strength",
        )
        parts.add("Concat", [mean, deviation, strength], STYLE, axis=1)
    size = len(head.bias) if head is not None else 2 * graph.outputs + 1
    inputs = {INPUT: _free("batch", graph.inputs, "height", "width")}
    return _bytes(parts, inputs, {STYLE: _free("batch", size)}, metadata or {})


def part_of(nodes: Sequence[Node], inputs: Mapping[str, int], outputs: Sequence[str], fixed: Collection[str]) -> bytes:
    """Return a part of a generator as an ONNX model, for banded inference.

    `nodes` are those that it computes, each after its inputs. `inputs` are the names of earlier nodes, with their
    numbers of channels; their outputs are given as (N, C, h, w) of any h and w. `outputs` are names of nodes. The
    instance norms in `fixed` compute no statistics; they have two more inputs, NAME.mean and NAME.rstd, each
    (N, C, 1, 1), and are (x - mean) * rstd. If nodes take numbers of a style, these are an input `NUMBERS`. The inputs
    of the model are `inputs`, in order, then the mean and the rstd of each norm in the order of `nodes`, then the
    numbers.

    Raises what `model_of` raises.
    """
    parts, shapes = Parts(), dict[str, Shape]()
    for name, channels in inputs.items():
        shapes[name] = _free("batch", channels, f"{name}.height", f"{name}.width")
    for node in nodes:
        add_node(parts, node, fixed=node.name in fixed)
        if node.name in fixed:
            shapes |= {f"{node.name}.{what}": _free("batch", node.channels, 1, 1) for what in ("mean", "rstd")}
    if any(node.place is not None for node in nodes):
        shapes[NUMBERS] = _free("styles", "numbers")
    channels_of = {node.name: node.channels for node in nodes}
    free = {name: _free("batch", channels_of[name], f"{name}.height", f"{name}.width") for name in outputs}
    return _bytes(parts, shapes, free, {})


def _add_mlp(parts: Parts, graph: Graph) -> None:
    """Add what maps style codes to the numbers of nodes."""
    name = STYLE
    for i, layer in enumerate(graph.mlp):
        x = parts.add("Relu", [name], f"style.{i}.input") if i else name
        weights = [parts.constant(f"style.{i}.{kind}", array) for kind, array in layer._asdict().items()]
        name = parts.add("Gemm", [x, *weights], f"style.{i}", transB=1)
    parts.add("Identity", [name], NUMBERS)


def _free(*sides: int | str) -> Shape:
    """Return a shape with sides of fixed length and named sides of any length."""
    return sides


def _padded(parts: Parts, graph: Graph) -> str:
    """Add the padding of the images by reflection, as `nodes.mirrored` does it; returns the name of its output."""
    shape = parts.add("Shape", [INPUT], "shape")
    x = INPUT
    for side, axis in (("height", 2), ("width", 3)):
        length = parts.add("Slice", [shape, parts.wholes(axis), parts.wholes(axis + 1)], side)  # a list of one number
        x = parts.add("Gather", [x, _mirrored(parts, graph, length)], f"{side}.padded", axis=axis)
    return x


def _mirrored(parts: Parts, graph: Graph, length: str) -> str:
    """Add the computation of the source row of each padded row: 0 1 2 3 2 1 0 1 ...; returns the name of its output."""
    one, two, none = parts.whole(1), parts.whole(2), parts.wholes(0)
    multiple, smallest = parts.whole(graph.multiple), parts.whole(graph.smallest)

    def step(op: str, inputs: Sequence[str], what: str) -> str:
        return parts.add(op, inputs, f"{length}.{what}")

    side = step("Squeeze", [length, none], "side")
    raised = step("Add", [side, parts.whole(graph.multiple - 1)], "raised")
    parts_of_it = step("Div", [raised, multiple], "multiples")
    padded = step("Max", [step("Mul", [parts_of_it, multiple], "rounded"), smallest], "goal")
    last = step("Sub", [side, one], "last")
    period = step("Mul", [step("Max", [last, one], "turn"), two], "period")
    position = step("Mod", [step("Range", [parts.whole(0), padded, one], "rows"), period], "position")
    back = step("Sub", [period, position], "back")
    return step("Min", [step("Min", [position, back], "reflected"), last], "source")


def _bytes(
    parts: Parts,
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    metadata: Mapping[str, str],
) -> bytes:
    helper, numpy_helper = library("onnx.helper"), library("onnx.numpy_helper")
    kind = library("onnx").TensorProto.FLOAT

    def values(shapes: Mapping[str, Shape]) -> list[Any]:
        return [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()]

    if sum(array.nbytes for array in parts.constants.values()) > LARGEST:
        raise ValueError("the generator is larger than the 2 GiB that fit into a file of ONNX")
    constants = [numpy_helper.from_array(array, name) for name, array in parts.constants.items()]
    graph = helper.make_graph(parts.nodes, "generator", values(inputs), values(outputs), constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="cyclegan"
    )
    helper.set_model_props(model, dict(metadata))
    content: bytes = model.SerializeToString()
    return content
