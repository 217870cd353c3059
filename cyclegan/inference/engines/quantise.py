"""Quantise the convolutions of a generator to int8, calibrated on pictures."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from cyclegan.inference.engines.libraries import library, one_line_errors
from cyclegan.inference.engines.onnx_model import STYLE, model_of
from cyclegan.inference.engines.precise import split_precise
from cyclegan.inference.engines.sessions import Array
from cyclegan.inference.graph.nodes import INPUT, Code, Graph


class OpenVinoFile(NamedTuple):
    """A model in OpenVINO's format, as the content of its two files."""

    xml: bytes
    """The operations and the metadata."""
    weights: bytes
    """The weights, for the file `.bin`."""


def quantised_onnx(
    graph: Graph, pictures: Sequence[Array], metadata: Mapping[str, str], style: Code | None = None
) -> bytes:
    """Return a generator as an ONNX model whose convolutions are computed in int8, for ONNX Runtime.

    `pictures` are images (1, C, H, W) in [-1, 1]; the ranges of the activations are measured on them, with `style`, a
    code (1, S), if the generator has styles. Weights have one
    range for each channel. The first convolution, transposed convolutions, for which ONNX Runtime has no int8, and the
    precise end stay float32: with a first convolution in int8, the error of a generator with `skip` was 1.6 times as
    large. Norms are not `steady`, because rounding to int8 already keeps constant channels constant.

    Raises ModuleNotFoundError when ONNX Runtime is not installed, and ValueError when it cannot quantise the model.
    """
    quantization = library("onnxruntime.quantization")
    named = {node.name for node in graph.nodes.values() if node.op == "conv"} - kept(graph)
    told = one_line_errors("ONNX Runtime cannot quantise this model", ValueError)
    with tempfile.TemporaryDirectory() as folder, told, _quietly():
        before, after = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        before.write_bytes(model_of(graph, metadata, steady=False))
        quantization.quantize_static(
            before,
            after,
            _reader(quantization, [_inputs(picture, style) for picture in pictures]),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_quantize=sorted(named),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return after.read_bytes()


def quantised_openvino(
    graph: Graph, pictures: Sequence[Array], metadata: Mapping[str, str], style: Code | None = None
) -> OpenVinoFile:
    """Return a generator in OpenVINO's format, with convolutions that are computed in int8; see `quantised_onnx`.

    The first convolution and the precise end stay float32.

    Raises ModuleNotFoundError when OpenVINO or NNCF is not installed, and ValueError when it cannot quantise the model.
    """
    openvino = library("openvino")
    with one_line_errors("NNCF cannot quantise this model", ValueError), _quietly():
        nncf = library("nncf")
        model = openvino.Core().read_model(model_of(graph, steady=False))
        known = {op.get_friendly_name() for op in model.get_ops()}
        names = {name for node in kept(graph) for name in (node, f"{node}/WithoutBiases") if name in known}
        quantised = nncf.quantize(
            model,
            nncf.Dataset([_inputs(picture, style) for picture in pictures]),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(pictures),
            ignored_scope=nncf.IgnoredScope(names=sorted(names)),
        )
        return openvino_file(quantised, metadata)


def openvino_file(model: Any, metadata: Mapping[str, str]) -> OpenVinoFile:
    """Return an `openvino.Model` as the content of its two files, with texts as metadata."""
    openvino = library("openvino")
    for name, text in metadata.items():
        model.set_rt_info(text, ["cyclegan", name])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        return OpenVinoFile(path.read_bytes(), path.with_suffix(".bin").read_bytes())


def kept(graph: Graph) -> set[str]:
    """Return the convolutions that stay float32: the first ones, which see the images, and the precise end."""
    end = {node.name for node in split_precise(graph).end}
    return {
        node.name
        for node in graph.nodes.values()
        if node.weight is not None and (node.name in end or INPUT in node.inputs)
    }


def _inputs(picture: Array, style: Code | None) -> dict[str, Array]:
    return {INPUT: picture} | ({} if style is None else {STYLE: style})


def _reader(quantization: Any, inputs: Iterable[dict[str, Array]]) -> Any:
    """Return inputs of the model in the form in which ONNX Runtime reads them."""
    ahead = iter(inputs)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        def get_next(self) -> dict[str, Array] | None:
            return next(ahead, None)

    return Reader()


@contextmanager
def _quietly() -> Iterator[None]:
    """A context in which the libraries show no progress and no advice."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
