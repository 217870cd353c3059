"""Open an exported ONNX or OpenVINO model with a library that runs it."""

from __future__ import annotations

from pathlib import Path

from cyclegan.inference.engines.about import About
from cyclegan.inference.engines.libraries import installed
from cyclegan.inference.engines.library_engine import LibraryEngine
from cyclegan.inference.engines.model_file import read_model_file
from cyclegan.inference.engines.session_engine import LibraryName
from cyclegan.util.text import shown


def engine_of_export(
    path: Path, direction: str | None = None, precision: str = "auto", wanted: str = "auto"
) -> tuple[LibraryEngine, About, tuple[str, ...]]:
    """Return what runs an exported model, what it says about itself, and lines for the user.

    `auto` takes OpenVINO if it is installed, else ONNX Runtime, and float32.
    Raises FileNotFoundError when there is no such file; ModuleNotFoundError when the library is not installed.
    Raises ValueError when it is damaged, translates in the other direction, or cannot be run in this way.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{shown(path)}: no such model")
    file = read_model_file(path)
    if direction is not None and direction != file.about.direction:
        raise ValueError(f"{shown(path)}: it translates {file.about.direction.value}, not {direction}")
    name: LibraryName
    match wanted:
        case "auto":
            name = "openvino" if path.suffix == ".xml" or installed("openvino") else "onnxruntime"
        case "openvino" | "onnxruntime":
            name = wanted
        case _:
            raise ValueError(f"--engine: {shown(path)} is not run by torch; use openvino, onnxruntime or auto")
    if precision not in ("auto", "float32", "bf16"):
        raise ValueError(f"--precision: {name} computes in float32 or bf16, not {precision}")
    session = file.engine(name, "bf16" if precision == "bf16" else "float32")
    engine = LibraryEngine(session, file.about.digest or None, has_prior=file.about.has_prior)
    return engine, file.about, file.notes
