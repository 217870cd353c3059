"""Command lines of pytorch-CycleGAN-and-pix2pix and of CUT, answered with ours."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from cyclegan.cli.their_options import SWITCHES, TEST, TRAIN, Ours, Theirs
from cyclegan.util.text import as_typed

OURS = {"translate": {"direction"}}
"""Options of theirs that the command has too."""


def answer(command: str, arguments: Sequence[str]) -> str | None:
    """Return one line with our command for a command line that has their options; None if it has none of them.

    `command` is what was typed after `cyclegan`; `test` is theirs too.
    """
    theirs, rest = _split(arguments)
    known = command in ("train", "translate", "evaluate") and theirs.keys() - OURS.get(command, set())
    if not known and command != "test":
        return None
    if command == "train":
        elsewhere = Ours(note="only applies to cyclegan translate")
        answers = {name: TRAIN[name](theirs[name], theirs) if name in TRAIN else elsewhere for name in theirs}
        options = {option: words for each in answers.values() for option, words in each.options.items()}
        words = ["train", *rest, *itertools.chain(*((option, *words) for option, words in options.items()))]
    else:
        answers = {name: Ours(note=TEST.get(name, "only applies to cyclegan train")) for name in theirs}
        words = _translate(theirs)
    names = ", ".join(f"--{name}" for name in theirs)
    are = "are options" if len(theirs) > 1 else "is an option"
    what = f"{names} {are} of pytorch-CycleGAN-and-pix2pix" if theirs else ""
    use = f"use: {as_typed('cyclegan', *words)}" if command != "train" or len(words) > 1 + len(rest) else ""
    notes = [f"--{name}: {each.note}" for name, each in answers.items() if each.note]
    scores = "for scores: cyclegan evaluate RUN" if command == "test" else ""
    return "; ".join(filter(None, [what, use, scores, *notes]))


def _split(arguments: Sequence[str]) -> tuple[Theirs, list[str]]:
    """Return their options, and the words that are not theirs."""
    theirs: Theirs = {}
    rest: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        name, _, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not {name} & {*TRAIN, *TEST}:
            rest.append(word)
            continue
        if not value and words and not words[0].startswith("--") and name not in SWITCHES:
            value = words.pop(0)
        theirs[name] = value
    return theirs, rest


def _translate(theirs: Theirs) -> list[str]:
    """Our command for their test.py: its checkpoint folder if it is there, else a run of ours by that name."""
    name = theirs.get("name", "NAME")
    folder = Path(theirs.get("checkpoints_dir", "checkpoints")) / name
    single = theirs.get("model") == "test" or theirs.get("dataset_mode") == "single"
    direction = theirs.get("direction", theirs.get("which_direction"))
    domain = "B" if direction == "BtoA" or theirs.get("model_suffix") == "_B" else "A"
    root = Path(theirs.get("dataroot", "DATA"))
    source = root if single else root / f"{theirs.get('phase', 'test')}{domain}"
    size = theirs.get("load_size", theirs.get("loadSize"))
    return [
        *("translate", (folder if folder.is_dir() else Path("runs") / name).as_posix()),
        *(source.as_posix(), (Path(theirs.get("results_dir", "results")) / name).as_posix()),
        *(("--direction", direction) if direction else ()),
        *(("--size", size) if size else ()),
    ]
