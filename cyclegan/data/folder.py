"""The training pictures of one domain: read, prepared and cached; those that cannot be read are skipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cyclegan.data.cache import Cache
from cyclegan.data.config import DataConfig
from cyclegan.data.convert import CLIPPED
from cyclegan.data.enlarge import enlarging
from cyclegan.data.files import UnreadableImage
from cyclegan.data.held_out import Chosen
from cyclegan.data.kinds import told_unread
from cyclegan.data.listing import Listing
from cyclegan.data.picture import Pixels
from cyclegan.data.scratch import Scratch
from cyclegan.data.sources import Source, check_learned, find_pairs, sources
from cyclegan.types import Domain
from cyclegan.util.text import shown

TOLERATED = 10
"""Training stops when more than one in this many pictures of a folder cannot be read."""


class Folder:
    """The pictures of a source by index; `files` selects some of its files.

    `prepare` is applied to each picture when it is read; up to `memory` bytes of the results are cached in RAM, and
    the rest in `scratch`, if there is one. `warn` is called with a line for each picture that cannot be read.
    Raises FileNotFoundError when the folder is missing or contains no picture.
    """

    def __init__(
        self, source: Source, prepare: Callable[[Pixels], Pixels], *, memory: int, warn: Callable[[str], None],
        files: Listing | None = None, scratch: Scratch | None = None,
    ) -> None:  # fmt: skip
        self.source, self.files = source, source.find() if files is None else files
        self.held_out = self.files.only([])
        """Held-out pictures: not in `files`, used for validation."""
        self.broken: dict[int, str] = {}
        """The indices of the pictures that cannot be read, and the reasons."""
        self.enlarged: set[int] = set()
        """The indices of the pictures that were too small for a crop and are enlarged."""
        self.clipped: set[int] = set()
        """The indices of the pictures of whose values more than `CLIPPED` are outside the range of the domain."""
        self._prepare, self._warn = prepare, warn
        self._cache = Cache(len(self.files), memory, scratch)

    def __len__(self) -> int:
        return len(self.files)

    def hold_out(self, chosen: Chosen) -> None:
        """Move chosen pictures from `files` to `held_out`; call it before any picture is read.

        Pictures whose mark is "" are removed, but not held out. Raises ValueError when no picture would be left.
        """
        files = self.files
        self.held_out = files.only([name for name in files.names if chosen.get(name)])
        self.files = files.only([name for name in files.names if name not in chosen])
        if not self.files:
            raise ValueError(
                f"{shown(self.source.folder)}: all {len(files)} pictures are held out; add some for training"
            )

    def __getitem__(self, index: int) -> Pixels:
        """Return a prepared picture, (H, W, C).

        Raises UnreadableImage when it cannot be read, and ValueError when `prepare` rejects it or more than a tenth of
        the folder cannot be read.
        """
        if (cached := self._cache.get(index)) is not None:
            return cached
        if index in self.broken:
            raise UnreadableImage(self.broken[index])
        try:
            pixels, clipped = self.source.convert(self.files[index])
        except UnreadableImage as error:
            self._leave_out(index, str(error))
            raise
        try:
            pixels, enlarged = enlarging(self._prepare, pixels)
        except ValueError as error:
            raise ValueError(f"{shown(self.files[index])}: {error}") from None
        if enlarged:
            self.enlarged.add(index)
        if clipped > CLIPPED:
            self.clipped.add(index)
        self._cache.put(index, pixels)
        return pixels

    def clipped_told(self) -> str:
        """Return a line that says how many pictures have values outside the range of the domain; empty if none has."""
        if not self.clipped:
            return ""
        (low, high), first = self.source.format.range, shown(Path(self.files.names[min(self.clipped)]))
        have, more = ("has", "") if len(self.clipped) == 1 else ("have", ", ...")
        some = f"{len(self.clipped):,} of {len(self):,} pictures {have} values outside {low:g} to {high:g}"
        return f"{shown(self.source.folder)}: {some}, which are clipped: {first}{more}"

    def enlarged_told(self) -> str:
        """Return a line that says how many pictures were too small for a crop; empty if none was."""
        if not self.enlarged:
            return ""
        first = shown(self.files[min(self.enlarged)].relative_to(self.source.folder))
        are, more = ("is", "") if len(self.enlarged) == 1 else ("are", ", ...")
        small = f"{len(self.enlarged):,} of {len(self):,} pictures {are} smaller than a crop in data.transforms"
        return f"{shown(self.source.folder)}: {small} and {are} enlarged: {first}{more}"

    def _leave_out(self, index: int, reason: str) -> None:
        if index in self.broken:  # another thread read it at the same time
            return
        self.broken[index] = reason
        self._warn(f"skipped: {reason}")
        if len(self.broken) * TOLERATED > len(self.files):
            some = "; ".join(list(self.broken.values())[:3])
            of_all = f"{len(self.broken)} of {len(self.files)} pictures"
            raise ValueError(f"{shown(self.source.folder)}: {of_all} cannot be read; repair or remove them: {some}")


def open_folders(
    data: DataConfig, prepare: Callable[[Pixels], Pixels], *, memory: int, warn: Callable[[str], None],
    tell: Callable[[str], None],
) -> dict[Domain, Folder]:  # fmt: skip
    """Open the training pictures of both domains. If they are pairs, partners have the same index.

    `memory` is the size in bytes of both caches in RAM together. `tell` is called with a line for each domain that has
    pictures without a partner, which are skipped, and for each folder with files that are not read.
    Raises what `check_learned`, `find_pairs` and `Scratch` raise.
    """
    check_learned(data)
    places, files = sources(data, "train"), dict[Domain, Listing]()
    if data.paired:
        pairs = find_pairs(places)
        files = {"a": pairs.a, "b": pairs.b}
        for line in pairs.alone:
            tell(line)
    scratch = Scratch(data.cache_dir, warn) if data.cache_dir else None
    folders = {
        domain: Folder(place, prepare, memory=memory // 2, warn=warn, files=files.get(domain), scratch=scratch)
        for domain, place in places.items()
    }
    others = {folder.source.folder: folder.files.others for folder in folders.values()}  # one, if side by side
    for below, found in others.items():
        if unread := told_unread(found):
            tell(f"{shown(below)}: {unread}")
    return folders
