"""Which paintings a command asks for: each content with each style, and the names of their files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from cyclegan.data.files import find_images
from cyclegan.data.format import RGB_PICTURES
from cyclegan.data.kinds import READ, kind_of
from cyclegan.data.listing import split_suffix
from cyclegan.data.stores import SUFFIXES, format_for
from cyclegan.data.write import Output
from cyclegan.inference.outputs import namer
from cyclegan.util.text import shown


class Source(NamedTuple):
    """A picture file."""

    path: Path
    name: str
    """Its path below the folder that was given, or its name."""


class Piece(NamedTuple):
    """A painting that is to be made."""

    content: Source
    styles: tuple[Source, ...]
    output: Path

    def __str__(self) -> str:
        """It in a few words: `photo.jpg in the style of monet.jpg`."""
        return f"{shown(self.content.path)} in the style of {' and '.join(shown(each.path) for each in self.styles)}"


def pieces_of(content: Path, styles: Sequence[Path], out: Path, output: Output) -> list[Piece]:
    """Return the paintings of a content, or of each picture in a folder of contents.

    Several styles are mixed in one painting. Instead of one of them, a folder stands for each of its pictures in turn.
    `out` is a directory, or for a single painting a file whose suffix chooses the format.

    Raises FileNotFoundError when there is no such picture or folder, and ValueError when an output would overwrite one
    of the pictures or another output, when `out` lies in a folder of pictures, for a file that is not read, and for an
    unknown format.
    """
    contents, each = _found(content), [_found(style) for style in styles]
    if not each:
        raise ValueError("stylize: give at least one STYLE")
    is_file = is_picture(out) and not out.is_dir()
    if is_file and (content.is_dir() or any(style.is_dir() for style in styles)):
        raise ValueError(f"{shown(out)}: names one picture; give a directory for those of a folder")
    if is_file and output.format is not None:
        raise ValueError(f"--output_format: {shown(out)} names a format already; give one of both")
    if is_file:
        format_for(out)
    named = namer(content if content.is_dir() else content.parent, RGB_PICTURES, output)
    pieces = [
        Piece(source, chosen, out if is_file else out / _joined(named(source.name), chosen))
        for source in contents
        for chosen in product(*each)
    ]
    _check(pieces, content, styles, out)
    return pieces


def is_picture(out: Path) -> bool:
    """Return whether a path ends like a picture that can be written."""
    return out.suffix.lower() in SUFFIXES


def _found(path: Path) -> list[Source]:
    if path.is_dir():
        listing = find_images(path)
        return [Source(path / name, name) for name in listing.names]
    if not path.exists():
        raise FileNotFoundError(f"{shown(path)}: no such picture or directory")
    if path.is_file() and (kind := kind_of(path)).standing == "unread":
        raise ValueError(f"{shown(path)}: {kind.name} is not read; {kind.advice}")
    return [Source(path, path.name)]


def _joined(name: str, styles: Sequence[Source]) -> str:
    """Return the name of a painting: that of its content, with those of the styles before the suffix."""
    stem, suffix = split_suffix(name)
    return "_".join([stem, *(_stem(style.path.name) for style in styles)]) + suffix


def _stem(name: str) -> str:
    stem, suffix = split_suffix(name)
    return stem if suffix.lower() in READ or suffix.lower() in SUFFIXES else name


def _check(pieces: Sequence[Piece], content: Path, styles: Sequence[Path], out: Path) -> None:
    """Raise ValueError when an output would overwrite something that was given, or another output."""
    outputs = dict[Path, Piece]()
    for piece in pieces:
        if (first := outputs.setdefault(piece.output, piece)) is not piece:
            raise ValueError(f"{first} and {piece} would both be written to {shown(piece.output)}; rename a picture")
    above = {out.resolve(), *out.resolve().parents}
    inside = any(given.is_dir() and given.resolve() in above for given in (content, *styles))
    sources = {_identity(source.path) for piece in pieces for source in (piece.content, *piece.styles)} - {None}
    if inside or any(_identity(output) in sources for output in outputs):
        raise ValueError(f"{shown(out)}: lies among the sources, which are never overwritten; choose another one")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what is the same for all names of a file; None if it does not exist."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino
