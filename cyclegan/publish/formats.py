"""The formats of exported models: how each is made, run and named."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cyclegan.inference.engines.about import About
from cyclegan.inference.engines.libraries import library
from cyclegan.inference.engines.model_file import GRAPH
from cyclegan.inference.engines.onnx_model import model_of
from cyclegan.inference.engines.onnx_ops import OPSET
from cyclegan.inference.engines.quantise import openvino_file, quantised_onnx, quantised_openvino
from cyclegan.inference.engines.session_engine import engine_from
from cyclegan.inference.engines.sessions import Array
from cyclegan.inference.graph.nodes import Code, Graph
from cyclegan.inference.graph.text import graph_text
from cyclegan.networks.base import Generator
from cyclegan.publish.torch_models import RUNNERS, exported_program, scripted

NAMES = {
    ".safetensors": "weights and config",
    ".onnx": f"ONNX, opset {OPSET}",
    ".xml": "OpenVINO",
    ".pt2": "torch.export",
    ".ts": "TorchScript",
    ".torchscript": "TorchScript",
}
"""The formats by the endings of their files."""

QUANTISED = (".onnx", ".xml")
"""The endings of files whose models may be in int8."""


class Made(NamedTuple):
    """A model that was made, but not written yet."""

    files: dict[str, bytes]
    """The content of each file by its ending; that of the model's own name is last."""
    name: str
    """Its format, in a few words."""
    translate: Callable[..., Array]
    """Translates by what is in the files, as others will run it: (N, C, H, W) in [-1, 1], and style codes (N, S) if
    there are any, to (N, C, H, W)."""
    runtime: str
    """The library that `translate` uses, with its version."""


def make_model(
    network: Generator, graph: Graph, about: About, suffix: str, pictures: Sequence[Array], style: Code | None = None
) -> Made:
    """Return a generator in the format that `suffix` names; in int8, calibrated on `pictures`, if `about` says so.

    `style` is a code (1, S) to calibrate a generator with styles.

    Raises ModuleNotFoundError when a library is not installed, and ValueError when it cannot make or run the model.
    """
    name = NAMES[suffix] + (", int8" if about.precision == "int8" else "")
    texts = about.texts()
    if about.precision == "float32" and suffix in QUANTISED:
        texts |= {GRAPH: graph_text(graph)}
    if suffix in RUNNERS:
        import torch

        content = (exported_program if suffix == ".pt2" else scripted)(network, json.dumps(texts))
        return Made({suffix: content}, name, RUNNERS[suffix](content), f"torch {torch.__version__}")
    if suffix == ".onnx":
        quantised = about.precision == "int8"
        content = quantised_onnx(graph, pictures, texts, style) if quantised else model_of(graph, texts)
        engine = engine_from(
            content, "onnxruntime", about.precision, graph.inputs, graph.outputs, style_size=graph.style_size
        )
        return Made({suffix: content}, name, engine, f"ONNX Runtime {library('onnxruntime').__version__}")
    openvino = library("openvino")
    if about.precision == "int8":
        file = quantised_openvino(graph, pictures, texts, style)
    else:
        file = openvino_file(openvino.Core().read_model(model_of(graph)), texts)
    engine = engine_from(
        file.xml, "openvino", about.precision, graph.inputs, graph.outputs, weights=file.weights,
        style_size=graph.style_size,
    )  # fmt: skip
    version = openvino.__version__.partition("-")[0]
    return Made({".bin": file.weights, suffix: file.xml}, name, engine, f"OpenVINO {version}")
