"""Choose the library that runs a generator: the one that was asked for, or the fastest that gives the same picture."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from cyclegan.data.picture import Pixels
from cyclegan.inference.engine import Engine, Name
from cyclegan.inference.engines.agreement import disagreement
from cyclegan.inference.engines.arrays import images_of
from cyclegan.inference.engines.libraries import installed
from cyclegan.inference.engines.library_engine import LibraryEngine
from cyclegan.inference.engines.session_engine import LibraryName, engine_of
from cyclegan.inference.engines.sessions import EnginePrecision
from cyclegan.inference.graph.nodes import Code

if TYPE_CHECKING:
    from cyclegan.inference.engines.torch_engine import TorchEngine

Wanted = Literal["auto"] | Name
"""A library, or `auto` for the fastest."""

TRIAL = 256
"""Side, in pixels, of the crop on which libraries are checked and measured."""

START = 4.0
"""Seconds that trying a library takes, about: importing it, building its model, checking and measuring."""

HOPE, FASTER = 0.3, 1.05
"""Assumed share of the remaining time that a library saves; smallest speed-up at which torch is left for one."""

TURNS = 3
"""Measurements of each library, in turns."""


class Candidate(NamedTuple):
    """A library in a precision."""

    name: LibraryName
    precision: EnginePrecision

    def __str__(self) -> str:
        return self.name if self.precision == "float32" else f"{self.name} in {self.precision}"


def choose_engine(wanted: Wanted, torch: TorchEngine, pixels: Pixels, style: Code | None = None) -> Engine | None:
    """Return the engine to use from now on, checked on a crop of a picture (N, H, W, C); None for later.

    `style` is the code of its style, (1 or N, style_size), if the generator has styles.

    A library is checked against plain float32 of torch. `auto` decides once there are enough pictures to repay the
    trial; it then takes the fastest of those that are installed and agree.

    Raises ValueError when the library that is asked for differs from torch, or cannot run the generator.
    Raises ModuleNotFoundError when it is not installed.
    """
    if wanted == "torch":
        return torch
    crop, style = np.ascontiguousarray(pixels[:1, :TRIAL, :TRIAL]), None if style is None else style[:1]
    if wanted != "auto":
        if torch.graph is None:
            raise ValueError(f"--engine: {wanted} cannot run this network; use torch")
        precision: EnginePrecision = "bf16" if torch.precision == "bf16" else "float32"
        engine = _built(Candidate(wanted, precision), torch)
        if why := _disagreement(engine, torch, crop, style):
            raise ValueError(f"--engine: {wanted} {why}; use torch")
        return engine
    candidates = _candidates(torch)
    if not candidates:
        return torch
    begin = time.perf_counter()
    torch.run_pixels(crop, style)
    left = (time.perf_counter() - begin) * torch.expected / crop[..., 0].size
    return _fastest(torch, crop, style, candidates) if left * HOPE >= START * len(candidates) else None


def _candidates(torch: TorchEngine) -> list[Candidate]:
    """Return the libraries that are worth a trial in place of torch."""
    if not torch.on_cpu or torch.graph is None or "compile" in torch.by_hand or "channels_last" in torch.by_hand:
        return []
    precisions: list[EnginePrecision] = ["float32"] if torch.precision in ("auto", "float32") else []
    if torch.precision == "bf16" or (torch.precision == "auto" and torch.has_bf16):
        precisions.append("bf16")
    pairs = [Candidate("openvino", precision) for precision in precisions] if installed("openvino") else []
    if "float32" in precisions and installed("onnxruntime"):
        pairs.append(Candidate("onnxruntime", "float32"))
    return pairs if installed("onnx") else []


def _fastest(torch: TorchEngine, crop: Pixels, style: Code | None, candidates: Sequence[Candidate]) -> Engine:
    """Return the fastest of torch and the libraries that agree with it; notes which."""
    agreeing: dict[str, LibraryEngine] = {}
    told = list[str]()
    for candidate in candidates:
        try:
            engine = _built(candidate, torch)
            why = _disagreement(engine, torch, crop, style)
        except (ValueError, RuntimeError, MemoryError, ImportError) as error:
            why = str(error)
        if why:
            told.append(f"{candidate} {why}")
        else:
            agreeing[str(candidate)] = engine
    images = images_of(crop)
    works: list[Callable[[], object]] = [partial(torch.run_pixels, crop, style)]
    works += [partial(engine.session, images, style) for engine in agreeing.values()]
    plain, *others = _measured(works)
    times = {name: plain / seconds for name, seconds in zip(agreeing, others, strict=True)}
    told += [f"{name} {faster:.2f}x" for name, faster in times.items()]
    best = max(times, key=times.__getitem__, default="")
    chosen = agreeing[best] if best and times[best] >= FASTER else torch
    torch.note(f"engine: {best if chosen is not torch else 'torch'} ({', '.join(told)}; torch 1x)")
    return chosen


def _measured(works: Sequence[Callable[[], object]]) -> list[float]:
    """Return the seconds of the fastest of several calls of each, made in turns."""
    best = [math.inf] * len(works)
    for _ in range(TURNS):
        for i, work in enumerate(works):
            begin = time.perf_counter()
            work()
            best[i] = min(best[i], time.perf_counter() - begin)
    return best


def _built(candidate: Candidate, torch: TorchEngine) -> LibraryEngine:
    """Return the engine of a library for the generator that torch runs, with as many threads."""
    assert torch.graph is not None
    session = engine_of(torch.graph, candidate.name, candidate.precision, torch.threads)
    engine = LibraryEngine(
        session, torch.digest, torch.threads, encode_style=torch.encode_style, has_prior=torch.has_prior
    )
    engine.note, engine.expected = torch.note, torch.expected
    return engine


def _disagreement(engine: LibraryEngine, torch: TorchEngine, crop: Pixels, style: Code | None) -> str:
    """Return how the translation of a crop differs from that of plain float32, or fails; empty if it does not."""
    images = images_of(crop)
    plain = torch.plainly(images, style)
    try:
        return disagreement(engine.session(images, style), plain, engine.session.precision)
    except RuntimeError as error:  # of the library, in one line
        return f"fails ({error})"
