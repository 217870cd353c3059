"""Command lines of pytorch-CycleGAN-and-pix2pix and of CUT, answered with ours."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from cyclegan.cli.overrides import keys, with_kinds
from cyclegan.cli.their_options import SWITCHES, TEST, TRAIN, Options, Ours, Theirs
from cyclegan.recipe import Recipe
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
        words, notes = _train(theirs, rest)
    else:
        words = _evaluate(theirs) if command == "evaluate" or _pairs(theirs) else _translate(theirs)
        notes = {name: TEST.get(name, "only applies to cyclegan train") for name in theirs}
    names = ", ".join(f"--{name}" for name in theirs)
    are = "are options" if len(theirs) > 1 else "is an option"
    what = f"{names} {are} of pytorch-CycleGAN-and-pix2pix" if theirs else ""
    use = f"use: {as_typed('cyclegan', *words)}" if words != ["train", *rest] else ""
    scores = "for scores: cyclegan evaluate RUN" if command == "test" and words[0] != "evaluate" else ""
    remarks = [f"--{name}: {note}" for name, note in notes.items() if note]
    return "; ".join(filter(None, [what, use, scores, *remarks]))


def _train(theirs: Theirs, rest: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return our training command, and a remark on each option of theirs."""
    elsewhere = Ours(note="only applies to cyclegan translate")
    answers = {name: TRAIN[name](value, theirs) if name in TRAIN else elsewhere for name, value in theirs.items()}
    options = {option: words for each in answers.values() for option, words in each.options.items()}
    known = set(keys(with_kinds(Recipe(), _words(options))))
    lacking = {option for option in options if not _exists(option, known, any_method="--method.kind" not in options)}
    words = _words({option: words for option, words in options.items() if option not in lacking})
    unused = "has no effect with this method or these networks"
    notes = {name: unused if lacking & each.options.keys() else each.note for name, each in answers.items()}
    return ["train", *rest, *words], notes


def _exists(option: str, known: set[str], *, any_method: bool) -> bool:
    """Return whether an option is among the known keys of the method, unless the method is not given."""
    key = option.removeprefix("--").replace(".no_", ".")
    return key in known or not key.startswith("method.") or (any_method and key.count(".") == 1)


def _words(options: Options) -> list[str]:
    return [*itertools.chain(*((option, *words) for option, words in options.items()))]


def _split(arguments: Sequence[str]) -> tuple[Theirs, list[str]]:
    """Return their options, and the words that are not theirs."""
    theirs: Theirs = {}
    rest: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        name, _, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or (name not in TRAIN and name not in TEST):
            rest.append(word)
            continue
        if not value and words and not words[0].startswith("--") and name not in SWITCHES:
            value = words.pop(0)
        theirs[name] = value
    return theirs, rest


def _model(theirs: Theirs) -> str:
    """Return their checkpoint folder if it is there, else a run of ours by that name."""
    name = theirs.get("name", "NAME")
    folder = Path(theirs.get("checkpoints_dir", "checkpoints")) / name
    return (folder if folder.is_dir() else Path("runs") / name).as_posix()


def _single(theirs: Theirs) -> bool:
    return theirs.get("model") == "test" or theirs.get("dataset_mode") == "single"


def _pairs(theirs: Theirs) -> bool:
    """Return whether their test.py would read side-by-side pairs, which `translate` does not."""
    return not _single(theirs) and (theirs.get("model") == "pix2pix" or theirs.get("dataset_mode") == "aligned")


def _evaluate(theirs: Theirs) -> list[str]:
    return [
        *("evaluate", _model(theirs)),
        *(("--data", theirs["dataroot"]) if "dataroot" in theirs else ()),
        *(("--pairs", "side_by_side") if _pairs(theirs) else ()),
        *(("--split", theirs["phase"]) if "phase" in theirs else ()),
    ]


def _translate(theirs: Theirs) -> list[str]:
    direction = theirs.get("direction", theirs.get("which_direction"))
    domain = "B" if direction == "BtoA" or theirs.get("model_suffix") == "_B" else "A"
    root = Path(theirs.get("dataroot", "DATA"))
    source = root if _single(theirs) else root / f"{theirs.get('phase', 'test')}{domain}"
    size = theirs.get("load_size", theirs.get("loadSize"))
    return [
        *("translate", _model(theirs), source.as_posix()),
        (Path(theirs.get("results_dir", "results")) / theirs.get("name", "NAME")).as_posix(),
        *(("--direction", direction) if direction else ()),
        *(("--size", size) if size else ()),
    ]
