"""Run ONNX models by ONNX Runtime and OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from cyclegan.inference.engines.libraries import library, one_line_errors

Array: TypeAlias = npt.NDArray[np.float32]

Session: TypeAlias = Callable[[Mapping[str, Array]], list[Array]]
"""Maps the inputs of a model, by name, to its outputs in order, for any size.

It may be called from several threads. Raises MemoryError or RuntimeError, in one line.
"""

EnginePrecision = Literal["float32", "bf16", "int8"]
"""The precision in which an engine computes. Models in int8 were quantised before; `precise` nodes stay float32."""

LARGE = 2**20
"""Number of values in the inputs from which the memory of a call is given back after it, not kept for the next one."""

HINTS: Mapping[EnginePrecision, str] = {"float32": "f32", "bf16": "bf16", "int8": "f32"}
"""OpenVINO's words; it would choose by itself, and differently on each machine."""


def onnxruntime_session(model: bytes, threads: int = 0) -> Session:
    """Return a session of ONNX Runtime on the CPU, with this number of threads; 0 is one for each core.

    Raises ModuleNotFoundError when it is not installed, and ValueError when it cannot run the model.
    """
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # errors are raised anyway
    options.enable_mem_pattern = False  # it plans the memory for one size
    options.add_session_config_entry("session.force_spinning_stop", "1")  # when no call is running
    with one_line_errors("ONNX Runtime cannot run this model", ValueError):
        session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    shrinks = runtime.RunOptions()
    shrinks.log_severity_level = 4
    shrinks.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(inputs: Mapping[str, Array]) -> list[Array]:
        with one_line_errors("ONNX Runtime failed", RuntimeError):
            outputs: list[Array] = session.run(None, dict(inputs), shrinks if _is_large(inputs) else None)
            return outputs

    return run


def openvino_session(
    model: bytes, precision: EnginePrecision = "float32", threads: int = 0, weights: bytes | None = None
) -> Session:
    """Return a session of OpenVINO on the CPU, with this number of threads; 0 is one for each core.

    `model` is an ONNX model, or the XML of OpenVINO's own format with its `weights`.

    Raises ModuleNotFoundError when it is not installed, and ValueError when it cannot run the model.
    """
    openvino = library("openvino")
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # other processes use the cores too
        "CACHE_DIR": "",
    }
    with one_line_errors("OpenVINO cannot run this model", ValueError):
        core = openvino.Core()
        read = core.read_model(model, weights) if weights is not None else core.read_model(model)
        compiled = core.compile_model(read, "CPU", settings)

    def run(inputs: Mapping[str, Array]) -> list[Array]:
        with one_line_errors("OpenVINO failed", RuntimeError):
            results = compiled.create_infer_request().infer(dict(inputs), share_inputs=True)
            outputs: list[Array] = [results[port] for port in compiled.outputs]
        if _is_large(inputs):
            with suppress(RuntimeError):  # another thread computes; its call gives the memory back
                compiled.release_memory()
        return outputs

    return run


def _is_large(inputs: Mapping[str, Array]) -> bool:
    return sum(array.size for array in inputs.values()) > LARGE
