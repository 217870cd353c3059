"""Which pictures a run is scored on and never learns from: drawn when it begins, and kept with it from then on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.folder import Folder
from cyclegan.data.held_out import Changes, Chosen, alike, changes, draw
from cyclegan.recipe import Recipe
from cyclegan.types import Domain
from cyclegan.util.text import shown

Files: TypeAlias = Mapping[str, Path]
"""Pictures of a folder by their names, sorted."""


class Split(NamedTuple):
    """What a checkpoint keeps of it, by domain."""

    pictures: dict[Domain, list[str]]
    """All names."""
    held_out: dict[Domain, Chosen]


def split(
    folders: Mapping[Domain, Folder], recipe: Recipe, saved: Checkpoint | None, tell: Callable[[str], None]
) -> Split:
    """Take the pictures held out from the folders: as the recipe says when a run begins, later as its checkpoint says.

    So nobody who was held out is ever learned from, and no new pictures are held out but partners of those that are.
    What was added, removed or renamed since the checkpoint is told. Raises ValueError for folders with too few
    pictures, for a run that is to be scored and has learned from all of its pictures.
    """
    files = {name: folder.by_name for name, folder in folders.items()}
    scored, number, seed = bool(recipe.log.evaluate_every), recipe.data.validation, recipe.training.seed
    partners = dict(zip(files["a"], files["b"].values(), strict=True)) if recipe.data.paired else None
    held_out: dict[Domain, Chosen] = {"a": {}, "b": {}}
    if saved is None:
        for name, folder in folders.items():
            if scored and (name == "a" or not partners):  # the pictures of B that are drawn are partners, if there are
                held_out[name] = draw(folder.source.folder, files[name], number, seed, tell, partners)
    else:
        held_out, lines = dict(saved.held_out), list[str]()
        for name, folder in folders.items():
            changed = changes(files[name], saved.pictures[name], held_out[name])
            marks = {new: "" if old in files[name] else held_out[name][old] for new, old in changed.again.items()}
            held_out[name] = held_out[name] | marks
            if told := _told(changed, held_out[name]):
                lines.append(f"{shown(folder.source.folder)}: pictures changed since the last checkpoint: {told}")
        for line in dict.fromkeys(lines):  # halves of one file change together
            tell(line)
    if partners:
        held_out = alike(files["a"], files["b"], held_out)
    if saved and scored and not all(held_out.values()):
        raise ValueError(
            "this run has learned from all of its pictures, so that log.evaluate_every can score it on none; leave "
            "it at null, or begin another run"
        )
    for name, folder in folders.items():
        folder.hold_out(held_out[name])
    if saved:
        _tell_order(folders, saved, tell)
    return Split({name: list(found) for name, found in files.items()}, held_out)


def _told(changed: Changes, chosen: Chosen) -> str:
    """In one line, the first names beside the numbers; empty where nothing changed."""
    parts = []
    if changed.added:
        parts.append(f"{len(changed.added):,} added ({_some(changed.added)})")
    if changed.removed:
        held_out = sum(name in chosen for name in changed.removed)
        of_them = f", {held_out:,} of them held out" if held_out else ""
        parts.append(f"{len(changed.removed):,} removed ({_some(changed.removed)}){of_them}")
    for new, old in list(changed.again.items())[:1]:
        parts.append(f"{len(changed.again):,} held out under another name ({shown(Path(new))} is {shown(Path(old))})")
    return ", ".join(parts)


def _some(names: Sequence[str]) -> str:
    return shown(Path(names[0])) + (", ..." if len(names) > 1 else "")


def _tell_order(folders: Mapping[Domain, Folder], saved: Checkpoint, tell: Callable[[str], None]) -> None:
    """Say that a resumed run goes on with other pictures than the one that was not stopped."""
    epoch = max(map(len, folders.values()))
    length = f"; an epoch has {epoch:,} images, {saved.epoch:,} until here" if epoch != saved.epoch else ""
    pictures, held_out = saved.pictures, saved.held_out
    same = all(
        list(folder.by_name) == [each for each in pictures[name] if each not in held_out[name]]
        for name, folder in folders.items()
    )
    if length or not same:
        tell(f"pictures come in another order from here on{length}")
