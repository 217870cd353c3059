"""The sources of a domain's pictures (a folder, or one half of each file in it), and the search for pairs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from cyclegan.data.config import DataConfig
from cyclegan.data.convert import Converted, convert
from cyclegan.data.files import UnreadableImage, find_images
from cyclegan.data.fit import Fit
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.data.read import read_picture
from cyclegan.types import Domain
from cyclegan.util.text import shown

NAMED = 10
"""At most this many pictures without a partner are named in a message."""


class Source(NamedTuple):
    """The pictures of one domain."""

    folder: Path
    half: Literal["left", "right"] | None = None
    """The half of each file that belongs to the domain; None for the whole file."""
    format: PictureFormat = PictureFormat()
    """The format that its pictures are converted to."""

    def find(self) -> list[Path]:
        """Return its files, sorted. Raises what `find_images` raises."""
        return find_images(self.folder)

    def convert(self, path: Path) -> Converted:
        """Read the picture, or the half of it, in one of its files; an odd middle column is in neither half.

        Raises UnreadableImage when the file cannot be read, or its picture does not suit the format.
        """
        try:
            pixels, clipped = convert(read_picture(path), self.format)
        except ValueError as error:
            if isinstance(error, UnreadableImage):
                raise
            raise UnreadableImage(f"{shown(path)} cannot be read: {error}") from None
        if self.half is None:
            return Converted(pixels, clipped)
        if (width := pixels.shape[1] // 2) == 0:
            raise UnreadableImage(f"{shown(path)} cannot be read: it is 1 pixel wide and has no halves")
        half = pixels[:, :width] if self.half == "left" else pixels[:, -width:]
        return Converted(np.ascontiguousarray(half), clipped)

    def read(self, path: Path, fit: Fit | None = None) -> Pixels:
        """Read a picture as `convert` does, and fit it. Raises what `convert` and `Fit` raise."""
        pixels = self.convert(path).pixels
        return fit(pixels) if fit else pixels

    def name(self, path: Path) -> str:
        """Return the name of one of its files: the path below its folder."""
        return path.relative_to(self.folder).as_posix()


class Paired(NamedTuple):
    """The files of two domains; partners have the same index."""

    a: list[Path]
    b: list[Path]
    alone: list[str]
    """A line for each domain that has files without a partner: how many, and which."""


def sources(data: DataConfig, split: str) -> dict[Domain, Source]:
    """Return the sources of both domains in a split ("train", "test" or "val"); the folders need not exist."""
    a, b = data.a.format, data.b.format
    if data.pairs == "side_by_side":
        return {"a": Source(data.root / split, "left", a), "b": Source(data.root / split, "right", b)}
    return {"a": Source(data.root / f"{split}A", format=a), "b": Source(data.root / f"{split}B", format=b)}


def check_learned(data: DataConfig) -> None:
    """Check that the folders of training pictures exist. Raises FileNotFoundError that says what a data set needs."""
    missing = next((place.folder for place in sources(data, "train").values() if not place.folder.is_dir()), None)
    if missing is None:
        return
    needs = "train, with pictures side by side" if data.pairs == "side_by_side" else "trainA and trainB"
    helps = f"a data set needs {needs}; cyclegan fetch downloads known ones"
    if data.pairs != "side_by_side" and (data.root / "train").is_dir():
        helps = f"{shown(data.root / 'train')} exists: if its pictures are pairs, set data.pairs to side_by_side"
    raise FileNotFoundError(f"{shown(missing)}: no such folder; {helps}")


def unseen_split(data: DataConfig) -> str:
    """Return the split that is not trained on: "test", or "val" if only that exists, as in some data sets of pairs."""
    there = (split for split in ("test", "val") if all(each.folder.is_dir() for each in sources(data, split).values()))
    return next(there, "test")


def truth_source(data: DataConfig, split: str, domain: Domain) -> Source | None:
    """Return the source of the true translations of a domain's pictures, which have the same names; None if unknown."""
    other: Domain = "b" if domain == "a" else "a"
    truth = Source(data.root / f"truth{other.upper()}", format=data.formats[other])
    if split == "test" and truth.folder.is_dir():
        return truth
    return sources(data, split)[other] if data.paired else None


def find_pairs(places: Mapping[Domain, Source]) -> Paired:
    """Return the files of two domains that have a partner in the other domain.

    Raises FileNotFoundError when no file has one, and what `find_partners` raises.
    """
    a, b = places["a"], places["b"]
    files, others = a.find(), b.find()
    found = find_partners(a, files, b)
    find_partners(b, others, a)  # raises ValueError if two files of A would have the same partner
    if not found:
        raise FileNotFoundError(
            f"{shown(a.folder)} and {shown(b.folder)}: no picture has a partner of the same name; check data.pairs"
        )
    partners = set(found.values())
    alone = [
        _told(source, other, without)
        for source, other, without in (
            (a, b, [path for path in files if path not in found]),
            (b, a, [path for path in others if path not in partners]),
        )
        if without
    ]
    return Paired(list(found), list(found.values()), alone)


def find_partners(source: Source, files: Sequence[Path], other: Source) -> dict[Path, Path]:
    """Return the files of a source that have a partner in another source, each with its partner.

    Partners have the same path below their folders, except for the suffix; `x_A` and `x_B` are partners too.
    Raises ValueError when two files of `other` differ only in the suffix, and what `find_images` raises.
    """
    if source.folder == other.folder:
        return {path: path for path in files}
    there = dict[str, Path]()
    for path in other.find():
        if (stem := _stem(other, path)) in there:
            both = f"{shown(Path(there[stem].name))} and {shown(Path(path.name))}"
            raise ValueError(f"{shown(path.parent)}: {both} have the same name, so their pair is ambiguous; rename one")
        there[stem] = path
    stems = {path: _stem(source, path) for path in files}
    own = {*stems.values()}
    named = {path: next((name for name in _names(stem, own) if name in there), None) for path, stem in stems.items()}
    return {path: there[name] for path, name in named.items() if name is not None}


def _stem(source: Source, path: Path) -> str:
    return path.relative_to(source.folder).with_suffix("").as_posix()


def _names(stem: str, others: Collection[str]) -> Iterator[str]:
    """Yield the names that a partner may have: the same one, then `x_B` for `x_A` unless another picture owns it."""
    yield stem
    for own, other in (("_A", "_B"), ("_B", "_A")):
        if stem.endswith(own) and (name := stem.removesuffix(own) + other) not in others:
            yield name


def _told(source: Source, other: Source, paths: list[Path]) -> str:
    names = ", ".join(shown(Path(source.name(path))) for path in paths[:NAMED])
    more = f", and {len(paths) - NAMED:,} more" if len(paths) > NAMED else ""
    have, are = ("picture has", "is") if len(paths) == 1 else ("pictures have", "are")
    what = f"{len(paths):,} {have} no partner in {shown(other.folder)} and {are} skipped"
    return f"{shown(source.folder)}: {what}: {names}{more}"
