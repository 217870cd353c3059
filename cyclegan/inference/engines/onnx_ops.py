"""The operations of a generator in ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cyclegan.inference.bands.runner import SMALLEST_VARIANCE
from cyclegan.inference.engines.libraries import library
from cyclegan.inference.graph.nodes import Node, Op

OPSET = 17
"""The version of ONNX's operations. Later ones add nothing that is used here; this one runs in ONNX Runtime 1.12 and
later, OpenVINO 2022.3 and later, and TensorRT 8.6 and later."""

IR_VERSION = 8
"""The version of ONNX's file format that came with this opset."""


NUMBERS = "style.numbers"
"""The name of the numbers (N or 1, M) that a style gives to nodes."""


class Parts:
    """The operations and constants of an ONNX graph that is being built.

    `steady` is whether instance norms keep constant channels, such as those of a blank picture, exactly constant.
    """

    def __init__(self, steady: bool = True) -> None:
        self.steady = steady
        self.nodes: list[Any] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add an operation; returns the name of its output."""
        self.nodes.append(library("onnx.helper").make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: npt.ArrayLike, kind: type[np.generic] = np.float32) -> str:
        """Add a constant; returns its name."""
        self.constants[name] = np.ascontiguousarray(values, dtype=kind).reshape(np.shape(values))
        return name

    def whole(self, value: int) -> str:
        """Add a whole number; returns its name."""
        return self.constant(f"number.{value}", value, np.int64)

    def wholes(self, *values: int) -> str:
        """Add a list of whole numbers; returns its name."""
        return self.constant(f"numbers.{'.'.join(map(str, values))}", values, np.int64)


def add_node(parts: Parts, node: Node, fixed: bool = False) -> None:
    """Add the operations of a node, whose inputs and output have the names that they have in the graph.

    `fixed` is for an instance norm that takes its statistics from the inputs NAME.mean and NAME.rstd.
    """
    if fixed:
        centred = parts.add("Sub", [*node.inputs, f"{node.name}.mean"], f"{node.name}.centred")
        parts.add("Mul", [centred, f"{node.name}.rstd"], node.name)
        return
    OPS[node.op](parts, node)


def _simple(op: str) -> Callable[[Parts, Node], object]:
    return lambda parts, node: parts.add(op, node.inputs, node.name)


def _conv(parts: Parts, node: Node) -> None:
    x, padding = node.inputs[0], node.padding
    if node.reflect and padding:
        x, padding = reflected(parts, node, padding), 0
    parts.add("Conv", [x, *_weights(parts, node)], node.name, **_sides(node, padding))


def _conv_transpose(parts: Parts, node: Node) -> None:
    parts.add(
        "ConvTranspose", [node.inputs[0], *_weights(parts, node)], node.name,
        output_padding=[node.output_padding] * 2, **_sides(node, node.padding),
    )  # fmt: skip


def _sides(node: Node, padding: int) -> dict[str, list[int]]:
    return {"kernel_shape": [node.kernel] * 2, "strides": [node.stride] * 2, "pads": [padding] * 4}


def _weights(parts: Parts, node: Node) -> list[str]:
    """Add the weights of a node as constants; returns their names."""
    arrays = {"weight": node.weight, "bias": node.bias}
    return [parts.constant(f"{node.name}.{kind}", array) for kind, array in arrays.items() if array is not None]


def reflected(parts: Parts, node: Node, by: int) -> str:
    """Add a padding of the input of a node by reflection; returns the name of its output."""
    return parts.add(
        "Pad", [node.inputs[0], parts.wholes(0, 0, by, by, 0, 0, by, by)], f"{node.name}.padded", mode="reflect"
    )


def _instance_norm(parts: Parts, node: Node) -> None:
    ones, zeros = (parts.constant(f"{what}.{node.channels}", np.full(node.channels, what)) for what in (1, 0))
    x = node.inputs[0]
    if parts.steady:
        # One pixel is subtracted first, which changes nothing but rounding: without it, the rounded mean of a constant
        # channel differs from its values, and the norm divides that difference by almost nothing. (With Slice instead
        # of Gather, OpenVINO 2026.4 computes models that NNCF quantised wrongly.)
        row = parts.add("Gather", [x, parts.wholes(0)], f"{node.name}.row", axis=2)
        pixel = parts.add("Gather", [row, parts.wholes(0)], f"{node.name}.pixel", axis=3)
        x = parts.add("Sub", [x, pixel], f"{node.name}.shifted")
    parts.add("InstanceNormalization", [x, ones, zeros], node.name, epsilon=node.number)


def _layer_norm(parts: Parts, node: Node) -> None:
    """Add the mean and the unbiased deviation of all values of an image, computed from those of its channels."""

    def step(op: str, inputs: Sequence[str], what: str, **attributes: Any) -> str:
        return parts.add(op, inputs, f"{node.name}.{what}", **attributes)

    (x,), axes = node.inputs, {"axes": [1, 2, 3], "keepdims": 1}
    number, one = step("Size", [x], "number"), parts.whole(1)
    batch = step("Gather", [step("Shape", [x], "shape"), parts.whole(0)], "batch")
    values = step("Div", [number, batch], "values")
    mean = step("ReduceMean", [x], "mean", **axes)
    centred = step("Sub", [x, mean], "centred")
    biased = step("ReduceMean", [step("Mul", [centred, centred], "square")], "biased", **axes)
    ratio = step(
        "Div",
        [step("Cast", [each], f"{each}.float", to=1) for each in (values, step("Sub", [values, one], "freedom"))],
        "ratio",
    )
    variance = step("Mul", [biased, ratio], "variance")
    least = parts.constant(f"{node.name}.least", SMALLEST_VARIANCE)
    deviation = step("Sqrt", [step("Max", [variance, least], "positive")], "deviation")
    whole = step("Add", [deviation, parts.constant(f"{node.name}.eps", node.number)], "scale")
    parts.add("Div", [centred, whole], node.name)


def _max_pool(parts: Parts, node: Node) -> None:
    parts.add("MaxPool", node.inputs, node.name, **_sides(node, node.padding))


def _blend(parts: Parts, node: Node) -> None:
    x, y = node.inputs
    change = parts.add("Sub", [y, x], f"{node.name}.change")
    if node.place is None:
        share = parts.constant(f"{node.name}.number", node.number)
    else:
        share = _of_style(parts, node, "number", node.place, node.end)
    parts.add("Add", [x, parts.add("Mul", [change, share], f"{node.name}.part")], node.name)


def _of_style(parts: Parts, node: Node, what: str, begin: int, end: int) -> str:
    """Add a part of the numbers of the style, (N or 1, C, 1, 1); returns its name."""
    name = f"{node.name}.{what}"
    piece = parts.add("Slice", [NUMBERS, parts.wholes(begin), parts.wholes(end), parts.wholes(1)], f"{name}.row")
    return parts.add("Reshape", [piece, parts.wholes(0, end - begin, 1, 1)], name)


def _affine(parts: Parts, node: Node) -> None:
    if node.place is not None:
        middle = node.place + node.channels
        shift = _of_style(parts, node, "shift", node.place, middle)
        scale = _of_style(parts, node, "scale", middle, node.end)
    else:
        assert node.weight is not None and node.bias is not None
        scale, shift = (
            parts.constant(f"{node.name}.{kind}", array.reshape(1, -1, 1, 1))
            for kind, array in (("weight", node.weight), ("bias", node.bias))
        )
    scaled = parts.add("Mul", [*node.inputs, scale], f"{node.name}.scaled")
    parts.add("Add", [scaled, shift], node.name)


def _blur_down(parts: Parts, node: Node) -> None:
    blurred = parts.add("AveragePool", [reflected(parts, node, 1)], f"{node.name}.blurred", kernel_shape=[2, 2])
    parts.add("AveragePool", [blurred], node.name, kernel_shape=[2, 2], strides=[2, 2])


def _scale(parts: Parts, node: Node) -> None:
    parts.add("Mul", [*node.inputs, parts.constant(f"{node.name}.number", node.number)], node.name)


def _blur_up(parts: Parts, node: Node) -> None:
    _doubled(parts, node, mode="linear", coordinate_transformation_mode="half_pixel")


def _nearest_up(parts: Parts, node: Node) -> None:
    _doubled(parts, node, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def _doubled(parts: Parts, node: Node, **how: str) -> None:
    parts.add("Resize", [*node.inputs, "", parts.constant("twice", [1, 1, 2, 2])], node.name, **how)


OPS: Mapping[Op, Callable[[Parts, Node], object]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "instance_norm": _instance_norm,
    "layer_norm": _layer_norm,
    "affine": _affine,
    "blend": _blend,
    "max_pool": _max_pool,
    "relu": _simple("Relu"),
    "leaky_relu": lambda parts, node: parts.add("LeakyRelu", node.inputs, node.name, alpha=node.number),
    "tanh": _simple("Tanh"),
    "atanh": _simple("Atanh"),
    "scale": _scale,
    "add": _simple("Add"),
    "concat": lambda parts, node: parts.add("Concat", node.inputs, node.name, axis=1),
    "blur_down": _blur_down,
    "blur_up": _blur_up,
    "nearest_up": _nearest_up,
}  # fmt: skip
"""For each operation of a graph, what adds it to an ONNX graph."""
