"""ONNX, ONNX Runtime and OpenVINO: imported when needed, without telemetry, with errors in one line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from cyclegan.inference.engines.signal_stack import own_signal_stack
from cyclegan.util.text import reason

EXTRAS = {"onnx": "onnx", "onnxruntime": "onnx", "openvino": "openvino", "nncf": "int8"}
"""For each library, the extra of this package that installs it."""

REPORTS = ("openvino_telemetry", "openvino_telemetry.backend")
"""The modules by which OpenVINO and NNCF report each import to their makers; without them they stay silent."""

SILENCE = {"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1"}
"""Environment variables that keep ONNX Runtime, when imported, from reports to its maker and from writing files."""

ALLOCATION = re.compile(
    r"bad_alloc|alloc\w*\b.{0,40}(memory|bytes)|out of memory|could not create a (memory|primitive)"
)
"""The messages of the libraries when memory runs out."""

BYTES = re.compile(r"(?:size|allocate) ([0-9]{4,})")
"""How these messages give the size of the failed allocation."""

PLACE = re.compile(
    r"Exception from \S+:\d+:|Check '.*?' failed at \S+:\d+:|\[ONNXRuntimeError\] : \d+ : \w+ :|/\S+\.cc:\d+"
)
"""The places in a library's source that its messages name."""


def library(name: str) -> Any:
    """Import `onnx`, `onnxruntime`, `openvino`, `nncf` or a module of them, without telemetry.

    Raises ModuleNotFoundError, in one line, when it is not installed.
    """
    package = name.partition(".")[0]
    try:
        with _unreported():
            return import_module(name)
    except ImportError as error:
        how = f"run: pip install 'cyclegan[{EXTRAS[package]}]'"
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise ModuleNotFoundError(f"{package} is not installed; {how}", name=package) from None
        raise ModuleNotFoundError(f"{package} cannot be imported ({reason(error)}); {how}", name=package) from None


def installed(name: str) -> bool:
    """Return whether a library is installed; it is not imported."""
    from importlib.util import find_spec

    return find_spec(name) is not None


@contextmanager
def one_line_errors(name: str, kind: type[Exception]) -> Iterator[None]:
    """A context in which errors of a library become one line: MemoryError, or an error of `kind`."""
    try:
        with own_signal_stack():
            yield
    except (MemoryError, ModuleNotFoundError):
        raise
    except Exception as error:  # each library has types of its own; OpenVINO's are RuntimeError
        text = str(error)
        if ALLOCATION.search(text):
            asked = BYTES.search(text)
            raise MemoryError(
                f"could not allocate {asked[1]} bytes" if asked else "could not allocate memory"
            ) from None
        raise kind(f"{name}: {reason(kind(PLACE.sub('', text)))}") from None


@contextmanager
def _unreported() -> Iterator[None]:
    """A context in which the libraries can be imported without reporting it."""
    modules = {name: sys.modules.get(name) for name in REPORTS if name in sys.modules}
    variables = {name: os.environ.get(name) for name in SILENCE}
    sys.modules.update(dict.fromkeys(REPORTS))  # type: ignore[arg-type]  # None: importing it fails
    os.environ.update(SILENCE)
    try:
        yield
    finally:
        for name in REPORTS:
            sys.modules.pop(name, None)
        sys.modules.update(modules)  # type: ignore[arg-type]
        for name, value in variables.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
