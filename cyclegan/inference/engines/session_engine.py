"""A generator in a session of ONNX Runtime or OpenVINO."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from cyclegan.inference.engines.onnx_model import STYLE, model_of, part_of
from cyclegan.inference.engines.onnx_ops import NUMBERS
from cyclegan.inference.engines.precise import split_precise
from cyclegan.inference.engines.sessions import (
    Array,
    EnginePrecision,
    Session,
    onnxruntime_session,
    openvino_session,
)
from cyclegan.inference.graph.nodes import INPUT, Code, Graph, mirrored

LibraryName: TypeAlias = Literal["onnxruntime", "openvino"]
"""The libraries other than torch that run generators."""


class SessionEngine:
    """A generator that is run by ONNX Runtime or OpenVINO. It may be called from several threads.

    `graph` are its operations, for banded inference; None for a model that can only be run as a whole. `digest` is the
    SHA-256 of the operations and weights. `run` gets images, and style codes if `style_size` is not 0.
    """

    def __init__(
        self, name: LibraryName, precision: EnginePrecision, inputs: int, outputs: int, digest: str,
        run: Callable[..., Array], graph: Graph | None = None, style_size: int = 0,
    ) -> None:  # fmt: skip
        self.name: LibraryName = name
        self.precision: EnginePrecision = precision
        self.inputs, self.outputs, self.digest, self.graph = inputs, outputs, digest, graph
        self.style_size = style_size
        self._run = run

    def __call__(self, images: Array, style: Code | None = None) -> Array:
        """Translate images (N, inputs, H, W) in [-1, 1], of any size, to (N, outputs, H, W) in [-1, 1].

        `style` is a code for each image, (N, style_size), or one for all, (1, style_size); None: the code of zeros.

        Raises MemoryError when memory runs out, and RuntimeError for any other failure, in one line.
        """
        images = np.ascontiguousarray(images, dtype=np.float32)
        if not self.style_size:
            return self._run(images)
        code = np.zeros((1, self.style_size), np.float32) if style is None else style
        return self._run(images, np.ascontiguousarray(code, dtype=np.float32))


def engine_of(
    graph: Graph, name: LibraryName, precision: EnginePrecision = "float32", threads: int = 0
) -> SessionEngine:
    """Return an engine that runs a graph in float32, or by OpenVINO in bf16.

    `threads` is the number of threads; 0 is one for each core. In bf16, precise nodes are computed in float32.

    Raises ModuleNotFoundError when the library is not installed, and ValueError when it cannot run the graph, or not in
    this precision.
    """
    if precision == "int8" or (precision == "bf16" and name == "onnxruntime"):
        raise ValueError(f"{name} cannot compute this model in {precision}")
    if precision == "bf16":
        run = _rounded(graph, threads)
    else:
        run = _whole(session_of(name, model_of(graph), precision, threads), INPUT)
    return SessionEngine(name, precision, graph.inputs, graph.outputs, graph.digest(), run, graph, graph.style_size)


def engine_from(
    model: bytes, name: LibraryName, precision: EnginePrecision, inputs: int, outputs: int,
    *, threads: int = 0, input_name: str = INPUT, weights: bytes | None = None, style_size: int = 0,
) -> SessionEngine:  # fmt: skip
    """Return an engine that runs the content of a file as it is, such as a model in int8; it has no graph.

    `model` is an ONNX model with one input and one output, or for OpenVINO an XML with its `weights`. If it has styles,
    their codes are a second input "style".

    Raises what `engine_of` raises.
    """
    session = session_of(name, model, precision, threads, weights)
    digest = hashlib.sha256(model + (weights or b"")).hexdigest()
    run = _whole(session, input_name)
    return SessionEngine(name, precision, inputs, outputs, digest, run, style_size=style_size)


def session_of(
    name: LibraryName, model: bytes, precision: EnginePrecision, threads: int = 0, weights: bytes | None = None
) -> Session:
    """Return a session of a library; raises what `onnxruntime_session` and `openvino_session` raise."""
    if name == "openvino":
        return openvino_session(model, precision, threads, weights)
    if weights is not None:
        raise ValueError("ONNX Runtime does not read OpenVINO's format")
    return onnxruntime_session(model, threads)


def _whole(session: Session, input_name: str) -> Callable[..., Array]:
    def run(images: Array, *style: Array) -> Array:
        return session({input_name: images} | dict(zip([STYLE], style, strict=False)))[0]

    return run


def _rounded(graph: Graph, threads: int) -> Callable[..., Array]:
    """Return a function that runs a graph by OpenVINO in bf16, and its precise end in float32."""
    split = split_precise(graph)
    if not split.end:
        return _whole(session_of("openvino", model_of(graph), "bf16", threads), INPUT)
    cuts = [name for name in split.cuts if name != INPUT]
    body = openvino_session(part_of(split.body, {INPUT: graph.inputs}, cuts, ()), "bf16", threads)
    end = openvino_session(part_of(split.end, split.cuts, [graph.output.name], ()), "float32", threads)

    end_is_styled = any(node.place is not None for node in split.end)

    def run(images: Array, *style: Array) -> Array:
        height, width = images.shape[2:]
        rows, columns = mirrored(height, graph.padded(height)), mirrored(width, graph.padded(width))
        padded = np.ascontiguousarray(images[:, :, rows][:, :, :, columns])
        numbers = {NUMBERS: graph.numbers(*style)} if graph.style_size else {}
        between = dict(zip(cuts, body({INPUT: padded} | numbers), strict=True))
        inputs = {name: padded if name == INPUT else between[name] for name in split.cuts}
        return end(inputs | (numbers if end_is_styled else {}))[0][:, :, :height, :width]

    return run
