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
from cyclegan.data.listing import Listing, split_suffix
from cyclegan.data.picture import Pixels
from cyclegan.data.read import read_picture
from cyclegan.types import Domain
from cyclegan.util.text import shown

NAMED = 10
"""At most this many pictures without a partner are named in a message."""

MARKS = ("_A", "_B")
"""Ends of names that differ between partners."""


class Source(NamedTuple):
    """The pictures of one domain."""

    folder: Path
    half: Literal["left", "right"] | None = None
    """The half of each file that belongs to the domain; None for the whole file."""
    format: PictureFormat = PictureFormat()
    """The format that its pictures are converted to."""
    at_least: int | None = None
    """Pixels on the shorter side that are enough; large JPEGs are reduced while they are decoded. None: all pixels."""

    def find(self) -> Listing:
        """Return its files, sorted by name. Raises what `find_images` raises."""
        return find_images(self.folder)

    def convert(self, path: Path) -> Converted:
        """Read the picture, or the half of it, in one of its files; an odd middle column is in neither half.

        Raises UnreadableImage when the file cannot be read, or its picture does not suit the format.
        """
        try:
            pixels, clipped = convert(read_picture(path, at_least=self.at_least), self.format)
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

    a: Listing
    b: Listing
    alone: list[str]
    """A line for each domain that has files without a partner: how many, and which."""


def sources(data: DataConfig, split: str) -> dict[Domain, Source]:
    """Return the sources of both domains in a split ("train", "test" or "val"); the folders need not exist."""
    (a, b), enough = data.formats.values(), data.enough
    if data.pairs == "side_by_side":
        both = data.root / split
        return {"a": Source(both, "left", a, enough), "b": Source(both, "right", b, enough)}
    return {name: Source(data.root / f"{split}{name.upper()}", None, of, enough) for name, of in data.formats.items()}


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
    truth = Source(data.root / f"truth{other.upper()}", format=data.formats[other], at_least=data.enough)
    if split == "test" and truth.folder.is_dir():
        return truth
    return sources(data, split)[other] if data.paired else None


def find_pairs(places: Mapping[Domain, Source]) -> Paired:
    """Return the files of two domains that have a partner in the other domain; see `find_partners`.

    Raises FileNotFoundError when no file has one, ValueError when two files of a domain differ only in the suffix, and
    what `find_images` raises.
    """
    a, b = places["a"], places["b"]
    files = a.find()
    if a.folder == b.folder:
        return Paired(files, files, [])
    others = b.find()
    own = {stem for stem in _by_stem(files) if stem.endswith(MARKS)}  # the others cannot stand for another picture
    found = _partners(files.names, _by_stem(others), own)
    names_b = [name for name in found if name is not None]
    if not names_b:
        raise FileNotFoundError(
            f"{shown(a.folder)} and {shown(b.folder)}: no picture has a partner of the same name; check data.pairs"
        )
    names_a = [name for name, partner in zip(files.names, found, strict=True) if partner is not None]
    alone_a = [name for name, partner in zip(files.names, found, strict=True) if partner is None]
    partners = {*names_b}
    alone_b = [name for name in others.names if name not in partners]
    alone = [_told(*each) for each in ((a, b, alone_a), (b, a, alone_b)) if each[2]]
    return Paired(files.only(names_a), others.only(names_b), alone)


def find_partners(files: Listing, other: Source) -> list[str | None]:
    """Return for each file the name of its partner in another source; None for a file without a partner.

    Partners have the same path below their folders, except for the suffix; `x_A` and `x_B` are partners too.
    Raises ValueError when two files of `other` differ only in the suffix, and what `find_images` raises.
    """
    if files.folder == other.folder:
        return list(files.names)
    return _partners(files.names, _by_stem(other.find()), {_stem(name) for name in files.names})


def _partners(names: Sequence[str], there: Mapping[str, str], own: Collection[str]) -> list[str | None]:
    """Return the name of each partner, if any, given the names `there` by stem, and the stems that end in `MARKS`."""
    return [next((there[stem] for stem in _names(_stem(name), own) if stem in there), None) for name in names]


def _by_stem(listing: Listing) -> dict[str, str]:
    """Return the names of pictures by their stems. Raises ValueError when two have the same."""
    found = dict[str, str]()
    for name in listing.names:
        if (first := found.setdefault(_stem(name), name)) is not name:
            path = listing.folder / name
            both = f"{shown(Path(Path(first).name))} and {shown(Path(path.name))}"
            raise ValueError(f"{shown(path.parent)}: {both} have the same name, so their pair is ambiguous; rename one")
    return found


def _stem(name: str) -> str:
    return split_suffix(name)[0]


def _names(stem: str, others: Collection[str]) -> Iterator[str]:
    """Yield the names that a partner may have: the same one, then `x_B` for `x_A` unless another picture owns it."""
    yield stem
    for own, other in (MARKS, MARKS[::-1]):
        if stem.endswith(own) and (name := stem.removesuffix(own) + other) not in others:
            yield name


def _told(source: Source, other: Source, alone: list[str]) -> str:
    names = ", ".join(shown(Path(name)) for name in alone[:NAMED])
    more = f", and {len(alone) - NAMED:,} more" if len(alone) > NAMED else ""
    have, are = ("picture has", "is") if len(alone) == 1 else ("pictures have", "are")
    what = f"{len(alone):,} {have} no partner in {shown(other.folder)} and {are} skipped"
    return f"{shown(source.folder)}: {what}: {names}{more}"
