"""The state of a run in one file: written whole or not at all, read without running anything in it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor

from cyclegan.atomic import write_whole
from cyclegan.recipe import Recipe, recipe_from
from cyclegan.types import Direction

FORMAT = 1
SUFFIX = ".pt"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that the rest of a run depends on. Random streams follow from the recipe's seed and `images`."""

    recipe: Recipe
    images: int
    """Pairs of pictures seen."""
    epoch: int
    """Pairs in an epoch."""
    method: dict[str, Tensor]
    """The method's `state_dict`: networks and pools."""
    average: dict[Direction, dict[str, Tensor]]
    """The averaged translators' `state_dict`s; empty when the recipe keeps no average."""
    optimizers: dict[str, Any]
    """The `state_dict` of each player's optimizer."""


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write the file whole, or leave what was there."""
    state = {field: getattr(checkpoint, field) for field in checkpoint.__dataclass_fields__}
    state |= {"format": FORMAT, "recipe": checkpoint.recipe.to_dict()}
    write_whole(path, lambda part: torch.save(state, part))


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file, on the CPU. Raises FileNotFoundError, or ValueError with one line that says why not."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path}: damaged, or no checkpoint: {str(error).splitlines()[0]}") from None
    if not isinstance(state, dict) or "format" not in state:
        raise ValueError(f"{path}: not a checkpoint of cyclegan")
    if state.pop("format") != FORMAT:
        raise ValueError(f"{path}: written by another version of cyclegan (this one reads format {FORMAT})")
    return Checkpoint(**state | {"recipe": recipe_from(state["recipe"], str(path))})


def has_checkpoint(run: Path) -> bool:
    """Whether a run folder holds anything to continue from."""
    return any((run / "checkpoints").glob(f"*{SUFFIX}"))


def newest_checkpoint(run: Path) -> Path:
    """The checkpoint of a run folder that has seen most images. Raises FileNotFoundError when there is none."""
    found = sorted((run / "checkpoints").glob(f"*{SUFFIX}"))
    if not found:
        raise FileNotFoundError(f"{run}: no checkpoint in this folder; is it a run folder?")
    return found[-1]


def checkpoint_path(run: Path, images: int) -> Path:
    """Where a run folder keeps the checkpoint taken after so many images; names sort by images."""
    return run / "checkpoints" / f"{images:010d}{SUFFIX}"
