"""The state of a run in one file: written whole or not at all, read without running anything in it."""

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
"""Raised when the fields change."""

SUFFIX = ".pt"

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
    ema: dict[str, dict[str, Tensor]]
    """The averaged generators' `state_dict`s by direction; empty when the recipe keeps no average."""
    plateau: dict[str, float]
    """How far the learning rate has fallen because scores did not improve."""
    optimizers: dict[str, Any]
    """The `state_dict` of each player's optimizer."""
    pictures: dict[Domain, list[str]] = field(default_factory=dict)
    """Names of all pictures of the domains, from their folders on."""
    held_out: dict[Domain, Chosen] = field(default_factory=dict)
    """Those of them that are kept out of training."""


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write the file whole and onto the disk, or leave what was there. Raises OSError when it cannot be written."""
    state = {each.name: getattr(checkpoint, each.name) for each in fields(checkpoint)}
    state |= {"format": FORMAT, "recipe": checkpoint.recipe.to_dict()}

    def save(file: BinaryIO) -> None:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's own, while it tidies up after what really happened
            raise error.__context__ if isinstance(error.__context__, OSError) else OSError(str(error)) from None

    write_whole(path, save, durable=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file, on the CPU.

    Raises FileNotFoundError, or ValueError with one line that says why not: damaged (every part carries a CRC-32), of
    another program, or of another version of cyclegan.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    try:
        state = load_pickled(path, check=True)
    except ValueError as error:
        raise ValueError(f"{path}: damaged, or no checkpoint: {error}") from None
    if not is_checkpoint(state):
        raise ValueError(f"{path}: not a checkpoint of cyclegan")
    return checkpoint_from(state, path)


def is_checkpoint(state: object) -> bool:
    """Whether what was read from a file claims to be a checkpoint of ours."""
    return isinstance(state, dict) and "format" in state


def checkpoint_from(state: dict[str, Any], path: Path) -> Checkpoint:
    """The checkpoint in what was read from `path`, where `is_checkpoint`. Raises ValueError as `read_checkpoint`."""
    found = state.pop("format")
    if found != FORMAT:
        raise ValueError(f"{path}: format {found!r}, of another version of cyclegan; this one reads {FORMAT}")
    expected = {"recipe": dict, "images": int, "epoch": int, "processes": int, "best": float}
    expected |= {"method": dict, "ema": dict, "plateau": dict, "optimizers": dict, "pictures": dict, "held_out": dict}
    fit = state.keys() == expected.keys() and all(isinstance(state[name], kind) for name, kind in expected.items())
    fit = fit and state["images"] >= 0 and min(state["epoch"], state["processes"]) >= 1
    if not fit or not _named(state["pictures"], state["held_out"]):
        raise ValueError(f"{path}: not a checkpoint of cyclegan, though it says so")
    return Checkpoint(**state | {"recipe": recipe_from(state["recipe"], str(path))})


def _named(pictures: dict[Any, Any], held_out: dict[Any, Any]) -> bool:
    """Whether pictures are named as they should be, or not at all."""
    if not pictures and not held_out:
        return True
    try:
        words = [word for names in pictures.values() for word in names]
        words += [word for chosen in held_out.values() for pair in chosen.items() for word in pair]
    except (AttributeError, TypeError):
        return False
    return pictures.keys() == held_out.keys() == {"a", "b"} and all(isinstance(word, str) for word in words)


def best_path(run: Path) -> Path:
    """Where a run folder keeps the networks that scored best in validation; they cannot be trained on from there."""
    return run / f"best{SUFFIX}"


def checkpoints_in(run: Path) -> list[Path]:
    """The checkpoints of a run folder, the newest last: files named by `checkpoint_path`, and nobody's copies."""
    numbered = (path for path in (run / "checkpoints").glob(f"*{SUFFIX}") if re.fullmatch("[0-9]{10,}", path.stem))
    return sorted((path for path in numbered if path == checkpoint_path(run, seen_by(path))), key=seen_by)


def seen_by(checkpoint: Path) -> int:
    """How many images a checkpoint has seen, by its name."""
    return int(checkpoint.stem)


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, perhaps one without a checkpoint yet."""
    return (folder / "recipe.yaml").is_file() or (folder / "checkpoints").is_dir()


def newest_checkpoint(run: Path) -> Path:
    """The checkpoint of a run folder that has seen most images. Raises FileNotFoundError when there is none."""
    found = checkpoints_in(run)
    if not found:
        raise FileNotFoundError(why_none(run))
    return found[-1]


def why_none(run: Path) -> str:
    """Why a folder has no checkpoint, and what to do, in one line."""
    recipe = run / "recipe.yaml"
    if not recipe.is_file():
        return f"{shown(run)}: no checkpoint in this folder, and no *_net_G*.pth; is it a run folder?"
    saved = "training saves one as often as log.checkpoint_every says, and when it is stopped"
    again = f"cyclegan train {shlex.quote(shown(recipe))} --out {shlex.quote(shown(run))} --resume"
    return f"{shown(run)}: this run has no checkpoint yet; {saved}; if it has ended, go on with: {again}"


def read_newest(run: Path) -> Checkpoint:
    """The checkpoint of a run folder that has seen most images; damaged ones are named in the log and passed over.

    The folder may be that of a run that goes on, which replaces its checkpoints. Raises FileNotFoundError when there is
    none, ValueError when none can be read.
    """
    problems: dict[Path, str] = {}
    while left := [path for path in checkpoints_in(run) if path not in problems]:
        path = left[-1]
        try:
            checkpoint = read_checkpoint(path)
            if checkpoint.images != seen_by(path):
                raise ValueError(f"{path}: holds the state after {checkpoint.images} images, its name says otherwise")
        except (ValueError, FileNotFoundError) as error:
            problems[path] = str(error)
            continue
        for problem in problems.values():
            log.warning("%s; taking %s instead", problem, path.name)
        return checkpoint
    if not problems:
        raise FileNotFoundError(why_none(run))
    raise ValueError(f"{next(iter(problems.values()))}; {run} holds no good checkpoint")


def checkpoint_path(run: Path, images: int) -> Path:
    """Where a run folder keeps the checkpoint taken after so many images; names sort by images."""
    return run / "checkpoints" / f"{images:010d}{SUFFIX}"
