"""Translate one picture in bands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cyclegan.data.format import PictureFormat
from cyclegan.data.mapped import mapped
from cyclegan.data.picture import Pixels
from cyclegan.inference.bands.budget import Budget
from cyclegan.inference.bands.sweep import Sweep
from cyclegan.inference.graph.nodes import Code

if TYPE_CHECKING:
    from cyclegan.inference.engine import Engine


LARGE = 2**26
"""Values of a translation from which it lies in a file."""


def translate_in_bands(
    engine: Engine,
    pixels: Pixels,
    target: PictureFormat,
    budget: Budget,
    report: Callable[[float], object] = lambda share: None,
    style: Code | None = None,
) -> Pixels:
    """Translate a picture (H, W, C) of the source domain to the target domain, exactly as if at once.

    `style` is the code of its style, (1, S), if the engine has styles; None: the code of zeros.

    A result of more than `LARGE` values lies in a temporary file. `report` is called with the share that is done.
    Raises ValueError when the memory does not suffice for the smallest bands, and when the translation holds NaN.
    """
    assert engine.graph is not None
    graph = engine.graph.bound(style)
    runner = engine.runner(target, style)
    bands = budget.bands(graph, pixels.shape[0], pixels.shape[1], runner)
    shape, kind = (*pixels.shape[:2], graph.outputs), np.uint8 if target.in_bytes else np.float32
    out: Pixels = mapped(shape, kind) if np.prod(shape) > LARGE else np.empty(shape, kind)
    array = mapped if bands.mapped else np.empty
    Sweep(graph, runner, pixels, out, array=array, report=report).run(bands.passes, bands.tiles)
    return out
