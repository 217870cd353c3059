"""What translating a folder will do: which outputs are to be made, which are finished, and which are not ours."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from cyclegan.data.files import UnreadableImage
from cyclegan.data.frames import frame_count
from cyclegan.data.listing import Listing
from cyclegan.data.read import read_picture
from cyclegan.data.shapes import size_of
from cyclegan.inference.manifest import CHANGED, FOREIGN, Manifest
from cyclegan.util.text import shown

NAMED = 3
"""Files that a refusal names; the others are counted."""

State = Literal["translate", "finished", "replace", "overwrite"]
"""What becomes of a picture: its output is made; it is there; it is ours, and made again; it is not ours."""


class Planned(NamedTuple):
    """What would be done about one picture."""

    source: Path
    output: Path
    state: State
    size: tuple[int, int] | None
    """Width and height of the source, upright; None when it cannot be read."""
    frames: int
    """How many frames or pages it has."""
    problem: str
    """Why it cannot be read; empty if nothing is wrong with the beginning of the file."""

    @property
    def line(self) -> str:
        """It in one line: `photos/a.jpg -> out/a.jpg, 640 x 480, would overwrite`."""
        if self.problem:
            return self.problem
        size = f", {self.size[0]:,} x {self.size[1]:,}" if self.size else ""
        frames = f", {self.frames:,} frames" if self.frames > 1 else ""
        state = {"translate": "", "finished": ", finished", "replace": ", again", "overwrite": ", would overwrite"}
        return f"{shown(self.source)} -> {shown(self.output)}{size}{frames}{state[self.state]}"


@dataclass(frozen=True)
class Plan:
    """What will be done about the pictures of a folder."""

    files: Listing
    """All of them."""
    out: Path
    named: Callable[[str], str]
    """From the name of a source to that of its output."""
    to_do: list[str]
    """Sources to translate."""
    finished: list[str]
    """Sources whose output is there already."""
    foreign: list[str]
    """Sources whose output would replace a file that nobody recorded, or that was changed since."""
    again: dict[str, str] = field(default_factory=dict)
    """Sources whose output exists and is made again although finished ones are kept; and why."""

    @property
    def refusal(self) -> str:
        """The line about files that would be overwritten without being ours; empty if there are none."""
        if not self.foreign:
            return ""
        number = len(self.foreign)
        what = "1 file that is not as cyclegan wrote it" if number == 1 else f"{number:,} files that are not as"
        what += "" if number == 1 else " cyclegan wrote them"
        names = ", ".join(shown(Path(self.named(name))) for name in self.foreign[:NAMED])
        more = ", ..." if number > NAMED else ""
        return f"{shown(self.out)}: would overwrite {what}: {names}{more}; choose another directory, or say --overwrite"

    @property
    def told(self) -> str:
        """The line about outputs that are made again although `--resume` was said; empty if there are none."""
        if not self.again:
            return ""
        why = ", ".join(f"{number:,} {doubt}" for doubt, number in Counter(self.again.values()).most_common())
        return f"{shown(self.out)}: translating {len(self.again):,} again, although an output exists: {why}"

    def without(self, names: Collection[str]) -> Plan:
        """Return the plan without doubts about the outputs of some sources."""
        foreign = [name for name in self.foreign if name not in names]
        again = {name: doubt for name, doubt in self.again.items() if name not in names}
        return replace(self, foreign=foreign, again=again)

    def each(self) -> Iterator[Planned]:
        """Yield what would be done about each picture, in order; only the beginnings of their files are read."""
        finished, foreign = {*self.finished}, {*self.foreign}
        for name in self.files.names:
            source, output = self.files.folder / name, self.out / self.named(name)
            state: State = "finished" if name in finished else "overwrite" if name in foreign else "translate"
            if state == "translate" and os.path.lexists(output):
                state = "replace"
            try:
                yield Planned(source, output, state, _size_of(source), frame_count(source), "")
            except UnreadableImage as error:
                yield Planned(source, output, state, None, 1, str(error))


def plan(files: Listing, named: Callable[[str], str], manifest: Manifest, *, resume: bool) -> Plan:
    """Compare what is to be translated with what is in the directory of the manifest. Nothing is changed."""
    to_do, finished, foreign = list[str](), list[str](), list[str]()
    again, exists = dict[str, str](), _existing(manifest.out)
    for name in files.names:
        doubt: str | None = None
        output = named(name)
        if exists(output):
            with suppress(FileNotFoundError):
                doubt = manifest.doubt(output, files.folder / name)
        if doubt == "" and resume:
            finished.append(name)
            continue
        to_do.append(name)
        if doubt in (FOREIGN, CHANGED):
            foreign.append(name)
        if doubt and resume:
            again[name] = doubt
    return Plan(files, manifest.out, named, to_do, finished, foreign, again)


def _size_of(path: Path) -> tuple[int, int]:
    """Return the width and height of a picture, upright, from its header if that says so, else by decoding it."""
    height, width = (size_of(path) if path.is_file() else None) or read_picture(path).values.shape[:2]
    return width, height


def _existing(out: Path) -> Callable[[str], bool]:
    """Return a function that says whether a name below a folder may exist; each folder is listed once.

    A million pictures would otherwise be a million questions to a network disk. The spelling of a file system that
    ignores case, or that composes letters, is allowed for: then the answer may be true for a name that does not exist.
    """

    @cache
    def names(folder: str) -> frozenset[str] | None:
        try:
            with os.scandir(out / folder) as entries:
                return frozenset(_spelt(entry.name) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()
        except OSError:  # it may not be listed
            return None

    def exists(name: str) -> bool:
        folder, _, last = name.rpartition("/")
        there = names(folder)
        return there is None or _spelt(last) in there

    return exists


def _spelt(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
