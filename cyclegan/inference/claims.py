"""Who translates which pictures: processes that share a directory claim them in blocks."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import overload

from cyclegan.data.listing import Listing
from cyclegan.inference.job import CLAIMS, DEAD, Job
from cyclegan.util.atomic import Unwritten, look_for_leftovers

LARGEST_BLOCK = 64
"""The usual number of pictures of a block of a large folder."""

BLOCKS = 32
"""The least number of blocks of a folder, as far as it has pictures, so that several processes get a fair share."""

DONE = "done"


def blocks_of(names: Sequence[str]) -> Iterator[list[str]]:
    """Divide names into blocks. Where one ends depends on the names in it: a new picture changes no other block."""
    size = 1
    while size < LARGEST_BLOCK and size * 2 * BLOCKS <= len(names):
        size *= 2
    block = list[str]()
    for name in names:
        block.append(name)
        if zlib.crc32(name.encode("utf-8", "surrogateescape")) % size == 0 or len(block) == 4 * size:
            yield block
            block = []
    if block:
        yield block


def key_of(names: Sequence[str]) -> str:
    """Return the key of a block."""
    return hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()[:20]


class Claims:
    """The claims of all processes: files in the folder of the job, whose names are the keys of blocks.

    A claim is a file that only one process can create, also on a network disk. It ends in a number: who takes over the
    claim of a dead process creates the file of the next number. When the pictures of a block are translated, there is
    a file that ends in `done`. No file goes before the job ends, so that none can be created twice.
    """

    def __init__(self, job: Job) -> None:
        self.job, self.folder = job, job.folder / CLAIMS
        self.folder.mkdir(exist_ok=True)

    def look(self) -> dict[str, int | None]:
        """Return the last number of each claim, None if it is done."""
        found: dict[str, int | None] = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                key, _, end = entry.name.partition(".")
                if end == DONE:
                    found[key] = None
                elif end.isdecimal() and found.get(key, -1) is not None:
                    found[key] = max(int(end), found.get(key) or 0)
        return found

    def take(self, key: str, before: int | None) -> bool:
        """Claim a block whose last claim has the number `before` (None: nobody has claimed it); False if it is taken.

        Raises Unwritten when the disk does not take the claim.
        """
        number = 0
        if before is not None:
            if not self.is_left(key, before):
                return False
            number = before + 1
        path = self.folder / f"{key}.{number}"
        try:
            with path.open("xb") as file:
                file.write(self.job.name.encode())
        except FileExistsError:
            return False
        except OSError as error:
            raise Unwritten(path, error) from error
        return True

    def finish(self, key: str) -> None:
        """Mark a block of ours as done."""
        with suppress(OSError):  # then someone else looks at its outputs again
            (self.folder / f"{key}.{DONE}").touch()

    def is_left(self, key: str, number: int) -> bool:
        """Return whether the process that made a claim is gone."""
        path = self.folder / f"{key}.{number}"
        if (self.folder / f"{key}.{DONE}").exists():
            return False
        try:
            owner = path.read_text(encoding="ascii", errors="replace")
            return not self.job.lives(owner) if owner else self.job.age(path) > DEAD
        except FileNotFoundError:
            return False

    def names_in(self, names: Sequence[str]) -> set[str]:
        """Return those of the names whose blocks are claimed or done, also by processes that were killed before."""
        claimed = self.look().keys() | self.job.left
        return {name for block in blocks_of(names) if claimed and key_of(block) in claimed for name in block}


class Share(Sequence[Path]):
    """The pictures that this process gets. Iterating claims them, and ends when others have claimed what is left.

    Its length is the number of pictures that it got, and that it may still get.
    """

    def __init__(
        self, files: Listing, to_do: Sequence[str], claims: Claims, left: Callable[[list[str]], list[str]]
    ) -> None:
        self.files, self.claims, self.left = files, claims, left
        """`left` returns which of the pictures that a dead process had claimed are still to be translated."""
        self.elsewhere = list[str]()
        """The pictures that other processes have translated."""
        self._got = 0
        self._open: dict[str, list[str]] = {}
        self._mine: dict[str, str] = {}
        self._left = dict[str, int]()
        wanted = set(to_do)
        for block in blocks_of(files.names):
            if names := [name for name in block if name in wanted]:
                self._open[key_of(block)] = names

    @property
    def is_over(self) -> bool:
        """Whether all pictures are done, by this process or by others, as far as it has looked."""
        return not self._open

    @property
    def awaited(self) -> int:
        """How many pictures others have claimed, or nobody."""
        return sum(len(names) for key, names in self._open.items() if key not in self._left)

    def __len__(self) -> int:
        return self._got + self.awaited

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Path]: ...
    def __getitem__(self, index: int | slice) -> Path | Sequence[Path]:
        raise TypeError("the pictures of a share are not known before they are claimed")

    def __iter__(self) -> Iterator[Path]:
        seen = self.claims.look()
        for key in [*self._open]:
            if key in self._left:
                continue
            if key in seen and seen[key] is None:
                self.elsewhere += self._open.pop(key)
                continue
            if not self.claims.take(key, seen.get(key)):
                seen = self.claims.look()  # others are at work: see what they have done since
                continue
            names = self._open[key]
            if key in seen:
                look_for_leftovers()
                names = self.left(names)
                self.elsewhere += sorted({*self._open[key]} - {*names})
            self._got += len(names)
            self._left[key] = len(names)
            self._mine |= dict.fromkeys(names, key)
            if not names:
                self._finish(key)
            yield from map(self.files.folder.joinpath, names)

    def has_more(self) -> bool:
        """Return whether iterating again would yield pictures; what others have done meanwhile counts as done."""
        seen, more = self.claims.look(), False
        for key in [*self._open]:
            if key in seen and (number := seen[key]) is None:
                self.elsewhere += self._open.pop(key)
            elif key not in self._left:
                more = more or key not in seen or self.claims.is_left(key, number or 0)
        return more

    def finished(self, name: str) -> None:
        """Say that a picture of ours is translated, or has failed."""
        key = self._mine.pop(name)
        self._left[key] -= 1
        if not self._left[key]:
            self._finish(key)

    def _finish(self, key: str) -> None:
        self.claims.finish(key)
        del self._open[key], self._left[key]
