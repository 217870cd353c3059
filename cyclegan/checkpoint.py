"""Checkpoints: the state of a run in one file, written atomically and read without executing code from it."""

from __future__ import annotations

import logging
import re
import shlex
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from cyclegan.data.held_out import Chosen
from cyclegan.recipe import Recipe, recipe_from
from cyclegan.types import Domain
from cyclegan.util.atomic import write_whole
from cyclegan.util.text import shown
from cyclegan.util.torchfile import load_pickled

FORMAT = 6
"""Version of the file format, increased when the fields change."""

SUFFIX = ".pt"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that the rest of a run depends on. Random numbers are seeded from the recipe's seed and `images`."""

    recipe: Recipe
    """The recipe of the run."""
    images: int
    """Number of images of each domain seen so far."""
    epoch: int
    """Number of images of each domain in an epoch."""
    processes: int
    """Number of processes that trained together."""
    best: float
    """Lowest KID in validation so far; infinite before the first."""
    method: dict[str, Tensor]
    """The method's `state_dict`: networks and pools."""
    ema: dict[str, dict[str, Tensor]]
    """The averaged generators' `state_dict`s by direction; empty without an EMA."""
    plateau: dict[str, float]
    """The state of `Plateau`, which lowers the learning rate when scores stop improving."""
    optimizers: dict[str, Any]
    """The `state_dict` of each player's optimizer."""
    pictures: dict[Domain, list[str]] = field(default_factory=dict)
    """Names of all pictures of each domain, relative to its folder."""
    held_out: dict[Domain, Chosen] = field(default_factory=dict)
    """The held-out pictures of each domain."""


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint atomically and flush it to disk. Raises OSError when it cannot be written."""
    state = {each.name: getattr(checkpoint, each.name) for each in fields(checkpoint)}
    state |= {"format": FORMAT, "recipe": checkpoint.recipe.to_dict()}

    def save(file: BinaryIO) -> None:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's cleanup hides the error that caused it
            raise error.__context__ if isinstance(error.__context__, OSError) else OSError(str(error)) from None

    write_whole(path, save, durable=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; its tensors are on the CPU.

    Raises FileNotFoundError when the file does not exist, and ValueError when it is damaged (every part has a CRC-32),
    not a checkpoint, or of another version of cyclegan.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    try:
        state = load_pickled(path, check=True)
    except ValueError as error:
        raise ValueError(f"{path}: damaged, or not a checkpoint: {error}") from None
    if not is_checkpoint(state):
        raise ValueError(f"{path}: not a checkpoint of cyclegan")
    return checkpoint_from(state, path)


def is_checkpoint(state: object) -> bool:
    """Return whether the content of a file looks like a checkpoint of cyclegan."""
    return isinstance(state, dict) and "format" in state


def checkpoint_from(state: dict[str, Any], path: Path) -> Checkpoint:
    """Build the checkpoint from the content of a file for which `is_checkpoint` holds; `path` is named in errors.

    Raises ValueError when it is of another version of cyclegan, or its fields are invalid.
    """
    found = state.pop("format")
    if found != FORMAT:
        raise ValueError(f"{path}: has format {found!r} of another version of cyclegan; this one reads {FORMAT}")
    expected = {"recipe": dict, "images": int, "epoch": int, "processes": int, "best": float}
    expected |= {"method": dict, "ema": dict, "plateau": dict, "optimizers": dict, "pictures": dict, "held_out": dict}
    fit = state.keys() == expected.keys() and all(isinstance(state[name], kind) for name, kind in expected.items())
    fit = fit and state["images"] >= 0 and min(state["epoch"], state["processes"]) >= 1
    if not fit or not _named(state["pictures"], state["held_out"]):
        raise ValueError(f"{path}: not a checkpoint of cyclegan; its fields are invalid")
    return Checkpoint(**state | {"recipe": recipe_from(state["recipe"], str(path))})


def _named(pictures: dict[Any, Any], held_out: dict[Any, Any]) -> bool:
    """Return whether the names of pictures are of the expected types, or all absent."""
    if not pictures and not held_out:
        return True
    try:
        words = [word for names in pictures.values() for word in names]
        words += [word for chosen in held_out.values() for pair in chosen.items() for word in pair]
    except (AttributeError, TypeError):
        return False
    return pictures.keys() == held_out.keys() == {"a", "b"} and all(isinstance(word, str) for word in words)


def best_path(run: Path) -> Path:
    """Return the path of the best networks in validation; training cannot be resumed from this file."""
    return run / f"best{SUFFIX}"


def checkpoints_in(run: Path) -> list[Path]:
    """Return the checkpoints of a run folder, newest last; files not named by `checkpoint_path` are ignored."""
    numbered = (path for path in (run / "checkpoints").glob(f"*{SUFFIX}") if re.fullmatch("[0-9]{10,}", path.stem))
    return sorted((path for path in numbered if path == checkpoint_path(run, seen_by(path))), key=seen_by)


def seen_by(checkpoint: Path) -> int:
    """Return the number of images a checkpoint has seen, from its file name."""
    return int(checkpoint.stem)


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run folder, with or without checkpoints."""
    return (folder / "recipe.yaml").is_file() or (folder / "checkpoints").is_dir()


def newest_checkpoint(run: Path) -> Path:
    """Return the checkpoint of a run folder that has seen most images. Raises FileNotFoundError when there is none."""
    found = checkpoints_in(run)
    if not found:
        raise FileNotFoundError(why_none(run))
    return found[-1]


def why_none(run: Path) -> str:
    """Return a line that says why a folder has no checkpoint, and what to do."""
    recipe = run / "recipe.yaml"
    if not recipe.is_file():
        return f"{shown(run)}: no checkpoint in this folder, and no *_net_G*.pth; is it a run folder?"
    saved = "training saves one every log.checkpoint_every, and when it is stopped"
    again = f"cyclegan train {shlex.quote(shown(recipe))} --out {shlex.quote(shown(run))} --resume"
    return f"{shown(run)}: this run has no checkpoint yet; {saved}; if it has ended, continue with: {again}"


def read_newest(run: Path) -> Checkpoint:
    """Read the checkpoint of a run folder that has seen most images; damaged ones are skipped with a warning.

    The run may still be training and replacing its checkpoints. Raises FileNotFoundError when there is no checkpoint,
    and ValueError when none can be read.
    """
    problems: dict[Path, str] = {}
    while left := [path for path in checkpoints_in(run) if path not in problems]:
        path = left[-1]
        try:
            checkpoint = read_checkpoint(path)
            if checkpoint.images != seen_by(path):
                raise ValueError(f"{path}: holds the state after {checkpoint.images} images, unlike its name")
        except (ValueError, FileNotFoundError) as error:
            problems[path] = str(error)
            continue
        for problem in problems.values():
            log.warning("%s; using %s instead", problem, path.name)
        return checkpoint
    if not problems:
        raise FileNotFoundError(why_none(run))
    raise ValueError(f"{next(iter(problems.values()))}; {run} has no readable checkpoint")


def checkpoint_path(run: Path, images: int) -> Path:
    """Return the path of the checkpoint after `images` images; names sort by images."""
    return run / "checkpoints" / f"{images:010d}{SUFFIX}"
