"""The held-out pictures, on which a run is scored and never trained: drawn when it begins, kept in its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.folder import Folder
from cyclegan.data.held_out import Changes, Chosen, alike, changes, draw
from cyclegan.recipe import Recipe
from cyclegan.types import Domain
from cyclegan.util.text import shown


class Split(NamedTuple):
    """The pictures of a run by domain, as a checkpoint stores them."""

    pictures: dict[Domain, list[str]]
    """The names of all pictures, held out or not."""
    held_out: dict[Domain, Chosen]
    """The names and fingerprints of the held-out pictures."""


def split(
    folders: Mapping[Domain, Folder], recipe: Recipe, saved: Checkpoint | None, tell: Callable[[str], None]
) -> Split:
    """Remove the held-out pictures from the folders: drawn by the recipe for a new run, else those of the checkpoint.

    A held-out picture is therefore never trained on, and a resumed run holds out no new pictures except the partners of
    held-out ones. `tell` is called with a line for pictures that were added, removed or renamed since the checkpoint.
    Raises ValueError when a folder has too few pictures, or when scores are requested for a run that has trained on all
    of its pictures.
    """
    files = {name: folder.files for name, folder in folders.items()}
    scored, number, seed = bool(recipe.log.evaluate_every), recipe.data.validation, recipe.training.seed
    partners = files["b"] if recipe.data.paired else None
    held_out: dict[Domain, Chosen] = {"a": {}, "b": {}}
    if saved is None:
        for name in folders:
            if scored and (name == "a" or not partners):  # of pairs, B's are the partners of A's
                held_out[name] = draw(files[name], number, seed, tell, partners)
    else:
        held_out, lines = dict(saved.held_out), list[str]()
        for name, folder in folders.items():
            changed = changes(files[name], saved.pictures[name], held_out[name])
            there = {*files[name].names} if changed.again else set[str]()
            marks = {new: "" if old in there else held_out[name][old] for new, old in changed.again.items()}
            held_out[name] = held_out[name] | marks
            if told := _told(changed, held_out[name]):
                lines.append(f"{shown(folder.source.folder)}: pictures changed since the last checkpoint: {told}")
        for line in dict.fromkeys(lines):  # halves of one file change together
            tell(line)
    if partners:
        held_out = alike(files["a"], files["b"], held_out)
    if saved and scored and not all(held_out.values()):
        raise ValueError(
            "log.evaluate_every: this run has trained on all of its pictures, so none is left to score it on; set it "
            "to null, or start a new run"
        )
    for name, folder in folders.items():
        folder.hold_out(held_out[name])
    if saved:
        _tell_order(folders, saved, tell)
    return Split({name: found.names for name, found in files.items()}, held_out)


def _told(changed: Changes, chosen: Chosen) -> str:
    """Describe the changes in one line, with counts and first names; empty if nothing changed."""
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
    """Report that a resumed run reads its pictures in another order than an uninterrupted run would have."""
    epoch = max(map(len, folders.values()))
    length = f"; an epoch now has {epoch:,} images instead of {saved.epoch:,}" if epoch != saved.epoch else ""
    pictures, held_out = saved.pictures, saved.held_out
    same = all(
        folder.files.names == [each for each in pictures[name] if each not in held_out[name]]
        for name, folder in folders.items()
    )
    if length or not same:
        tell(f"the order of the pictures changes from here on{length}")
