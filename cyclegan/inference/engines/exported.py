"""Open an exported ONNX or OpenVINO model with a library that runs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from cyclegan.data.picture import Pixels
from cyclegan.inference.engines.about import About
from cyclegan.inference.engines.arrays import images_of
from cyclegan.inference.engines.libraries import installed
from cyclegan.inference.engines.library_engine import LibraryEngine
from cyclegan.inference.engines.model_file import read_model_file
from cyclegan.inference.engines.session_engine import LibraryName, session_of
from cyclegan.inference.engines.sessions import Session
from cyclegan.inference.graph.nodes import INPUT, Code
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
    engine = LibraryEngine(
        session,
        file.about.digest or None,
        encode_style=_style_encoder(path, file.about, name),
        has_prior=file.about.has_prior,
    )
    return engine, file.about, file.notes


def style_file(path: Path) -> Path:
    """Return the file beside an exported model that finds the styles of pictures."""
    return path.with_suffix(".style.onnx")


def _style_encoder(path: Path, about: About, name: LibraryName) -> Callable[[Pixels], Code] | None:
    """Return a function that finds the style codes of pictures; None if the file for it is not there.

    The function raises ValueError when the file is damaged, or belongs to another model.
    """
    beside = style_file(path)
    if not about.style_size or not beside.is_file():
        return None

    @cache
    def session() -> Session:
        try:
            content = beside.read_bytes()
            if about.digest.encode() not in content:
                raise ValueError("belongs to another model; export both again")
            return session_of(name, content, "float32")
        except ValueError as error:
            raise ValueError(f"{shown(beside)}: {error}") from None

    def encode(pixels: Pixels) -> Code:
        code: Code = session()({INPUT: images_of(pixels)})[0]
        if code.shape != (len(pixels), about.style_size):
            raise ValueError(f"{shown(beside)}: it gives no style code of {about.style_size} numbers")
        return code

    return encode
