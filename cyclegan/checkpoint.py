"""The state of a run in one file: written whole or not at all, read without running anything in it."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from cyclegan.atomic import write_whole
from cyclegan.pickled import load_pickled
from cyclegan.recipe import Recipe, recipe_from
from cyclegan.types import Direction

FORMAT = 3
"""Raised when the fields change; `_UPGRADES` tells how to read the formats before."""

SUFFIX = ".pt"

_UPGRADES: dict[Any, dict[str, Any]] = {1: {"processes": 1, "best": math.inf}, 2: {"best": math.inf}, FORMAT: {}}
"""What each format that can be read lacks."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that the rest of a run depends on. Random streams follow from the recipe's seed and `images`."""

    recipe: Recipe
    images: int
    """Pairs of pictures seen."""
    epoch: int
    """Pairs in an epoch."""
    processes: int
    """How many trained together."""
    best: float
    """Lowest KID in validation so far; infinite before the first."""
    method: dict[str, Tensor]
    """The method's `state_dict`: networks and pools."""
    average: dict[Direction, dict[str, Tensor]]
    """The averaged translators' `state_dict`s; empty when the recipe keeps no average."""
    optimizers: dict[str, Any]
    """The `state_dict` of each player's optimizer."""


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write the file whole and onto the disk, or leave what was there. Raises OSError when it cannot be written."""
    state = {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint)}
    state |= {"format": FORMAT, "recipe": checkpoint.recipe.to_dict()}

    def save(file: BinaryIO) -> None:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's own, while it tidies up after what really happened
            raise error.__context__ if isinstance(error.__context__, OSError) else OSError(str(error)) from None

    write_whole(path, save, durable=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file, on the CPU; older formats are understood.

    Raises FileNotFoundError, or ValueError with one line that says why not: damaged (every part carries a CRC-32), of
    another program, or of a newer cyclegan.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    try:
        state = load_pickled(path, check=True)
    except ValueError as error:
        raise ValueError(f"{path}: damaged, or no checkpoint: {error}") from None
    if not isinstance(state, dict) or "format" not in state:
        raise ValueError(f"{path}: not a checkpoint of cyclegan")
    found = state.pop("format")
    if not isinstance(found, int) or found not in _UPGRADES:
        raise ValueError(f"{path}: format {found!r}, of another version of cyclegan; this one reads 1 to {FORMAT}")
    state = _UPGRADES[found] | state
    expected = {"recipe": dict, "images": int, "epoch": int, "processes": int, "best": float}
    expected |= {"method": dict, "average": dict, "optimizers": dict}
    fit = state.keys() == expected.keys() and all(isinstance(state[name], kind) for name, kind in expected.items())
    if not fit or state["images"] < 0 or min(state["epoch"], state["processes"]) < 1:
        raise ValueError(f"{path}: not a checkpoint of cyclegan, though it says so")
    return Checkpoint(**state | {"recipe": recipe_from(state["recipe"], str(path))})


def best_path(run: Path) -> Path:
    """Where a run folder keeps the networks that scored best in validation; they cannot be trained on from there."""
    return run / f"best{SUFFIX}"


def checkpoints_in(run: Path) -> list[Path]:
    """The checkpoints of a run folder, the newest last."""
    return sorted((run / "checkpoints").glob(f"*{SUFFIX}"))


def newest_checkpoint(run: Path) -> Path:
    """The checkpoint of a run folder that has seen most images. Raises FileNotFoundError when there is none."""
    found = checkpoints_in(run)
    if not found:
        raise FileNotFoundError(f"{run}: no checkpoint in this folder; is it a run folder?")
    return found[-1]


def read_newest(run: Path) -> Checkpoint:
    """The checkpoint of a run folder that has seen most images; damaged ones are named in the log and passed over.

    Raises FileNotFoundError when there is none, ValueError when none can be read.
    """
    newest_checkpoint(run)
    problems = []
    for path in reversed(checkpoints_in(run)):
        try:
            checkpoint = read_checkpoint(path)
        except (ValueError, FileNotFoundError) as error:
            problems.append(str(error))
            continue
        for problem in problems:
            log.warning("%s; taking %s instead", problem, path.name)
        return checkpoint
    raise ValueError(f"{problems[0]}; {run} holds no good checkpoint")


def checkpoint_path(run: Path, images: int) -> Path:
    """Where a run folder keeps the checkpoint taken after so many images; names sort by images."""
    return run / "checkpoints" / f"{images:010d}{SUFFIX}"
