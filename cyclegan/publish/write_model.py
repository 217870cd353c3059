"""Write a generator in the format that the name of the file asks for, once it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cyclegan.inference.engines.about import About
from cyclegan.inference.engines.agreement import TOLERANCES
from cyclegan.inference.engines.exported import style_file
from cyclegan.inference.engines.onnx_model import style_model_of
from cyclegan.inference.engines.sessions import Array
from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.graph.trace import style_head, trace, trace_style
from cyclegan.inference.model import Model
from cyclegan.networks.base import StyleGenerator
from cyclegan.publish.calibration import pictures_in, training_pictures
from cyclegan.publish.checked import check_model, style_for
from cyclegan.publish.formats import NAMES, QUANTISED, make_model
from cyclegan.types import Direction
from cyclegan.util.atomic import write_whole
from cyclegan.util.text import shown


class Written(NamedTuple):
    """The files of a model, and what is known about them."""

    files: list[Path]
    """The files; the first is the one that was asked for."""
    format: str
    """The format, in a few words; empty for our own."""
    checks: str
    """How it was checked, as a sentence; empty for our own format, which holds the weights as they are."""


def check_request(out: Path, int8: bool, calibrate: Path | None) -> None:
    """Raise ValueError when a file of this name, or int8 in it, is not possible."""
    if out.suffix not in NAMES:
        raise ValueError(f"{shown(out)}: the name must end in one of {', '.join(NAMES)}")
    if int8 and out.suffix not in QUANTISED:
        raise ValueError(f"{shown(out)}: int8 is for {' and '.join(QUANTISED)} only")
    if calibrate and not int8:
        raise ValueError("calibrating needs int8")


def write_model(
    model: Model, direction: Direction, out: Path, *, int8: bool = False, calibrate: Path | None = None
) -> Written:
    """Write a generator to the file `out`, whose ending chooses the format: see `formats.NAMES`.

    Other formats than our own are run by their own library, and compared with torch, before they are written. `int8`
    quantises the convolutions, calibrated on the pictures in the folder `calibrate` or by default on those that the
    model was trained on.

    Raises ValueError when the name does not fit, when int8 has no pictures, or when the model differs from torch by
    more than rounding. Raises ModuleNotFoundError when a library is not installed, FileNotFoundError when there are no
    pictures, and OSError when a file cannot be written.
    """
    check_request(out, int8, calibrate)
    network = model.generators[direction].eval()
    if out.suffix == ".safetensors":
        write_generator(network, direction, out, model.formats, model.trained)
        return Written([out], "", "")
    pictures = _pictures(model, direction, int8, calibrate)
    graph = trace(network)
    about = About(
        direction=direction,
        formats=model.formats,
        trained=model.trained,
        precision="int8" if int8 else "float32",
        style_size=network.style_size,
        has_prior=isinstance(network, StyleGenerator) and network.has_prior,
        digest=graph.digest(),
    )
    style = style_for(network)
    made = make_model(network, graph, about, out.suffix, pictures, style)
    checked = check_model(made.translate, network, about.precision, pictures, style)
    files = {out.with_suffix(suffix): content for suffix, content in made.files.items()}
    if isinstance(network, StyleGenerator) and out.suffix in QUANTISED:
        finds = style_model_of(trace_style(network), style_head(network), {"digest": about.digest})
        files = {style_file(out): finds} | files
    for path, content in files.items():
        write_whole(path, content)
    allowed = TOLERANCES[about.precision]
    calibrated = f" It was calibrated on {len(pictures)} pictures." if int8 else ""
    checks = f"With {made.runtime}, the translations of {checked}, compared with torch in float32 (allowed: {allowed})."
    return Written([*reversed(files)], made.name, checks + calibrated)


def _pictures(model: Model, direction: Direction, int8: bool, calibrate: Path | None) -> Sequence[Array]:
    """Return the pictures for calibrating and checking; for a check alone, none are needed."""
    if calibrate:
        return pictures_in(calibrate, model.formats[direction.source])
    if model.recipe is None:
        if int8:
            raise ValueError(
                "int8 is calibrated on pictures, and the model comes without its run; give a folder of some"
            )
        return ()
    try:
        return training_pictures(model.recipe, direction)
    except (OSError, ValueError):
        if int8:
            raise
        return ()
