"""What paintings are made of files, and how: the task, and what is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from cyclegan.data.files import UnreadableImage
from cyclegan.data.fit import Size, by
from cyclegan.data.read import read_picture
from cyclegan.data.shapes import size_of
from cyclegan.data.stores import format_for
from cyclegan.data.write import Output
from cyclegan.inference.manifest import CHANGED, FOREIGN
from cyclegan.inference.masks import Masks
from cyclegan.inference.sizes import Sizing
from cyclegan.painting.levels import levels_of
from cyclegan.painting.pieces import Piece
from cyclegan.painting.record import Made, Record
from cyclegan.painting.settings import Settings
from cyclegan.util.text import shown

NAMED = 3
"""Files that a refusal names; the others are counted."""

State = Literal["paint", "finished", "replace", "overwrite"]
"""What becomes of a painting: it is made; it is there; it is ours, and made again; the file is not ours."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """How pictures in files are stylized."""

    settings: Settings = field(default_factory=Settings)
    output: Output = field(default_factory=Output)
    """How files are written."""
    masks: tuple[Masks | None, ...] = ()
    """Where each style is wanted; see `styles_of`."""
    style_masks: tuple[Masks | None, ...] = ()
    """Which part of each style counts."""
    preview: Path | None = None
    """A picture file that shows the painting in the making; it is replaced every few seconds."""

    def check(self, pieces: Sequence[Piece]) -> None:
        """Raise ValueError for a preview that would overwrite one of the pictures, or has no known format."""
        if self.preview is None:
            return
        format_for(self.preview)
        files = {each.path for piece in pieces for each in (piece.content, *piece.styles)}
        files |= {piece.output for piece in pieces}
        if self.preview.resolve() in {path.resolve() for path in files}:
            raise ValueError(f"--preview: {shown(self.preview)} is one of the pictures; choose another file")

    def made(self, piece: Piece, network: str) -> Made:
        """Return what determines a painting; `network` says what its network is."""
        output = [f"quality {self.output.quality}"] if self.output.quality else []
        output += ["strip"] if self.output.strip else []
        given = {"at": self.masks, "of": self.style_masks}
        masks = [f"{word} {' '.join(map(str, masks))}" for word, masks in given.items() if masks]
        files = [piece.content.path, *(style.path for style in piece.styles)]
        files += [self.settings.init] if isinstance(self.settings.init, Path) else []
        return Made.of(" ".join([network, str(self.settings), *output, *masks]), files)


class Planned(NamedTuple):
    """What would be done about one painting."""

    piece: Piece
    state: State
    size: Size | None
    """(H, W) of the painting; None when one of its pictures cannot be read."""
    sizes: int
    """At how many sizes it is painted."""
    problem: str
    """Why it cannot be painted; empty if nothing is wrong with the pictures."""

    @property
    def line(self) -> str:
        """It in one line: `photo.jpg in the style of monet.jpg -> out/photo_monet.jpg, 640 x 480 in 3 sizes`."""
        if self.problem or self.size is None:
            return self.problem
        state = {"paint": "", "finished": ", finished", "replace": ", again", "overwrite": ", would overwrite"}
        sizes = "1 size" if self.sizes == 1 else f"{self.sizes} sizes"
        return f"{self.piece} -> {shown(self.piece.output)}, {by(self.size)} in {sizes}{state[self.state]}"


def planned(piece: Piece, state: State, settings: Settings) -> Planned:
    """Return what would be done about a painting; only the beginnings of its files are read, where that suffices."""
    try:
        for style in piece.styles:
            _size_of(style.path)
        size = Sizing(size=settings.size).of(_size_of(piece.content.path)).output
    except UnreadableImage as error:
        return Planned(piece, state, None, 0, str(error))
    return Planned(piece, state, size, len(levels_of(size, settings)), "")


def state_of(record: Record, *, resume: bool) -> State:
    """Return what becomes of a painting. Nothing is changed."""
    try:
        doubt = record.doubt()
    except FileNotFoundError:
        return "paint"
    if doubt in (FOREIGN, CHANGED):
        return "overwrite"
    return "finished" if resume and not doubt else "replace"


def refusal(foreign: Sequence[Path]) -> str:
    """Return the line about files that would be overwritten without being ours."""
    number = len(foreign)
    what = (
        "a file that is not as cyclegan wrote it" if number == 1 else f"{number:,} files that are not as we wrote them"
    )
    names = ", ".join(shown(path) for path in foreign[:NAMED])
    more = ", ..." if len(foreign) > NAMED else ""
    return f"would overwrite {what}: {names}{more}; choose another directory, or say --overwrite"


def _size_of(path: Path) -> Size:
    """Return the size (H, W) of a picture, upright. Raises UnreadableImage."""
    height, width = (size_of(path) if path.is_file() else None) or read_picture(path).values.shape[:2]
    return height, width
