"""Reading exported models, `.onnx` and `.xml`, which are not trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cyclegan.data.format import PictureFormat
from cyclegan.inference.engines.about import About, about_from, is_ours
from cyclegan.inference.engines.libraries import library, one_line_errors
from cyclegan.inference.engines.onnx_model import STYLE
from cyclegan.inference.engines.session_engine import LibraryName, SessionEngine, engine_from, engine_of
from cyclegan.inference.engines.sessions import EnginePrecision
from cyclegan.inference.graph.nodes import Graph, Weights
from cyclegan.inference.graph.text import graph_from
from cyclegan.util.text import shown

SUFFIXES = (".onnx", ".xml")
"""The endings of the files that are read here."""

GRAPH = "graph"
"""The key of the operations in the metadata."""


class ModelFile(NamedTuple):
    """An exported model."""

    about: About
    graph: Graph | None
    """Its operations; None for a model in int8 or of another program, which is run as it is."""
    model: bytes
    """The content of the file."""
    weights: bytes | None
    """The content of the file `.bin` of a model in OpenVINO's format."""
    input: str
    """The name of its input for images."""
    inputs: int
    """The number of channels of the images."""
    outputs: int
    """The number of channels of the translations."""
    notes: tuple[str, ...] = ()
    """What the user should know, one line each."""

    def engine(self, name: LibraryName, precision: EnginePrecision = "float32", threads: int = 0) -> SessionEngine:
        """Return an engine for it; raises what `engine_of` raises. A model without a graph keeps its own precision."""
        if self.graph:
            return engine_of(self.graph, name, precision, threads)
        own = self.about.precision
        return engine_from(
            self.model, name, own, self.inputs, self.outputs, threads=threads, input_name=self.input,
            weights=self.weights, style_size=self.about.style_size,
        )  # fmt: skip


def read_model_file(path: Path) -> ModelFile:
    """Read a model that `cyclegan export` wrote, or an ONNX model of another program that maps images to images.

    Raises ValueError, in one line, when it is damaged or cannot translate pictures; FileNotFoundError when it or its
    `.bin` does not exist; ModuleNotFoundError when the library that reads it is not installed.
    """
    content = path.read_bytes()
    try:
        if path.suffix == ".xml":
            weights = path.with_suffix(".bin")
            if not weights.is_file():
                raise FileNotFoundError(f"{shown(path)}: its weights, {shown(Path(weights.name))}, are not beside it")
            return _openvino(content, weights.read_bytes())
        return _onnx(content)
    except ValueError as error:
        raise ValueError(f"{shown(path)}: {error}") from None


def _onnx(content: bytes) -> ModelFile:
    onnx = library("onnx")
    with one_line_errors("damaged, or not an ONNX model", ValueError):
        model = onnx.ModelProto.FromString(content)
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model)):
        raise ValueError("its weights are in other files, which are not read; save it as one file")
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}

    def weights(name: str) -> Weights:
        if name not in tensors:
            raise ValueError(f"{name} is missing")
        with one_line_errors(f"{name} is damaged", ValueError):
            array: Weights = onnx.numpy_helper.to_array(tensors[name])
            return array

    inputs = [_Port(value.name, _onnx_shape(value)) for value in model.graph.input if value.name not in tensors]
    outputs = [_Port(value.name, _onnx_shape(value)) for value in model.graph.output]
    texts = {prop.key: prop.value for prop in model.metadata_props}
    return _file(texts, inputs, outputs, weights, content, None)


def _openvino(content: bytes, binary: bytes) -> ModelFile:
    openvino = library("openvino")
    with one_line_errors("damaged, or not a model of OpenVINO", ValueError):
        model = openvino.Core().read_model(content, binary)
        inputs = [_Port(port.get_any_name(), _openvino_shape(port)) for port in model.inputs]
        outputs = [_Port(port.get_any_name(), _openvino_shape(port)) for port in model.outputs]
        constants = {op.get_friendly_name(): op for op in model.get_ops() if op.get_type_name() == "Constant"}
        keys = ("format", "direction", "precision", "digest", "trained_at", "styles", "a", "b", GRAPH)
        places = {key: ["cyclegan", key] for key in keys}
        texts = {key: str(model.get_rt_info(at).value) for key, at in places.items() if model.has_rt_info(at)}

    def weights(name: str) -> Weights:
        if name not in constants:
            raise ValueError(f"{name} is missing")
        with one_line_errors(f"{name} is damaged", ValueError):
            return np.array(constants[name].get_data())

    if not is_ours(texts):
        raise ValueError("not a model written by `cyclegan export`")
    return _file(texts, inputs, outputs, weights, content, binary)


class _Port(NamedTuple):
    """An input or output of a model."""

    name: str
    shape: tuple[int | None, ...] | None
    """The sides; None where any number is possible. None if it is not an array of float32."""


def _file(
    texts: Mapping[str, str], inputs: Sequence[_Port], outputs: Sequence[_Port],
    weights: Callable[[str], Weights], model: bytes, binary: bytes | None,
) -> ModelFile:  # fmt: skip
    """Return the file from what a library has read, after checking it."""
    if not is_ours(texts):
        return _foreign(inputs, outputs, model)
    about = about_from(texts)
    if about.style_size:
        inputs = _without_style(inputs, about.style_size)
    graph = graph_from(texts[GRAPH], weights) if GRAPH in texts else None
    channels = [about.formats[domain].channels for domain in (about.direction.source, about.direction.target)]
    if graph and [graph.inputs, graph.outputs] != channels:
        raise ValueError(f"its pictures have {channels} channels, but its network {[graph.inputs, graph.outputs]}")
    if [_channels(inputs), _channels(outputs)] != channels:
        raise ValueError(f"its pictures have {channels} channels, unlike its input and output")
    if graph and graph.style_size != about.style_size:
        raise ValueError(f"its styles have {about.style_size} numbers, but those of its network {graph.style_size}")
    if graph and about.digest != graph.digest():
        raise ValueError("damaged: its weights are not those that were exported")
    return ModelFile(about, graph, model, binary, inputs[0].name, channels[0], channels[1])


def _foreign(inputs: Sequence[_Port], outputs: Sequence[_Port], model: bytes) -> ModelFile:
    """Return a model of another program, if it maps RGB images of any size to such images."""
    if (_channels(inputs), _channels(outputs)) != (3, 3):
        raise ValueError("not written by `cyclegan export`, and does not map (N, 3, H, W) to (N, 3, H, W)")
    for port in (inputs[0], outputs[0]):
        assert port.shape is not None
        if any(port.shape[2:]):
            raise ValueError("takes pictures of one size only; export it with a free height and width")
    about = About(formats={"a": PictureFormat(), "b": PictureFormat()})
    note = "the model is of another program: it is taken to map RGB in [-1, 1] to RGB in [-1, 1], and runs as a whole"
    return ModelFile(about, None, model, None, inputs[0].name, 3, 3, (note,))


def _without_style(inputs: Sequence[_Port], size: int) -> list[_Port]:
    """Return the inputs but that for style codes. Raises ValueError when there is none of this size."""
    if not any(port.name == STYLE and port.shape == (None, size) for port in inputs):
        raise ValueError(f"it has no input {STYLE!r} for style codes of {size} numbers")
    return [port for port in inputs if port.name != STYLE]


def _channels(ports: Sequence[_Port]) -> int | None:
    """Return the number of channels of the only input or output; None if it is not images."""
    if len(ports) != 1 or ports[0].shape is None or len(ports[0].shape) != 4:
        return None
    return ports[0].shape[1]


def _onnx_shape(value: Any) -> tuple[int | None, ...] | None:
    kind = value.type.tensor_type
    if kind.elem_type != 1 or not kind.HasField("shape"):  # 1 is float32
        return None
    return tuple(side.dim_value or None for side in kind.shape.dim)


def _openvino_shape(port: Any) -> tuple[int | None, ...] | None:
    shape = port.get_partial_shape()
    if port.get_element_type().to_dtype() != np.float32 or shape.rank.is_dynamic:
        return None
    return tuple(side.get_length() if side.is_static else None for side in shape)


def _tensors(model: Any) -> Iterator[Any]:
    """Yield all tensors of an ONNX model: in its graph, inside operations, and in the graphs inside operations."""
    graphs = [model.graph]
    operations = [node for function in model.functions for node in function.node]
    while graphs or operations:
        while operations:
            for attribute in operations.pop().attribute:
                yield from (attribute.t, *attribute.tensors)
                graphs += [attribute.g, *attribute.graphs] if attribute.HasField("g") or attribute.graphs else []
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            yield from (part for sparse in graph.sparse_initializer for part in (sparse.values, sparse.indices))
            operations += graph.node
