"""Batches of the pictures in a folder, all of one size, and how pictures are fitted to that of a training."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from cyclegan.data.config import DataConfig
from cyclegan.data.enlarge import by, enlarging
from cyclegan.data.files import UnreadableImage
from cyclegan.data.fit import Fit
from cyclegan.data.listing import Listing
from cyclegan.data.picture import Pixels
from cyclegan.data.sources import Source, find_partners
from cyclegan.util.text import shown

BATCH = 16
"""Pictures in a batch."""

log = logging.getLogger(__name__)


class Pictures:
    """The pictures of a source in batches, which can be iterated more than once.

    `files` selects some of its files. `fit` is applied to every picture.
    A picture that cannot be read is reported once and skipped.
    Raises FileNotFoundError when the folder is missing or contains no picture.
    """

    def __init__(self, source: Source, fit: Fit | None = None, files: Listing | None = None) -> None:
        self.source, self.fit, self._listed = source, fit, source.find() if files is None else files
        self._broken = set[str]()

    @property
    def files(self) -> Listing:
        """The files, without those that could not be read so far."""
        return self._listed.only([name for name in self._listed.names if name not in self._broken])

    def __len__(self) -> int:
        return len(self._listed) - len(self._broken)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield batches of up to 16 pictures, uint8 or float32 (N, C, H, W); see `Pixels`.

        Raises ValueError when the pictures differ in size, or when none can be read.
        """
        return self._batches(self._readable())

    def partners(self, other: Source) -> Iterator[Tensor]:
        """Return the partners of the pictures in another source, in the same batches.

        Iterate over the pictures first, so that those that cannot be read are known and skipped here too.
        Raises FileNotFoundError naming the first picture without a partner, and UnreadableImage for a partner that
        cannot be read.
        """
        files = self.files
        partners = find_partners(files, other)
        names = [name for name in partners if name is not None]
        if len(names) < len(files):
            what = f"no partner for {shown(files[partners.index(None)])}; every picture needs one"
            raise FileNotFoundError(f"{shown(other.folder)}: {what}")
        return self._batches((path, other.read(path, self.fit)) for path in Listing(other.folder, names))

    def _readable(self) -> Iterator[tuple[Path, Pixels]]:
        for path in self.files:
            try:
                yield path, self.source.read(path, self.fit)
            except UnreadableImage as error:
                log.warning("skipped: %s", error)
                self._broken.add(self.source.name(path))
        if not len(self):
            raise ValueError(f"{shown(self.source.folder)}: no picture in it can be read")

    def _batches(self, pictures: Iterator[tuple[Path, Pixels]]) -> Iterator[Tensor]:
        batch: list[Tensor] = []
        first: tuple[int, int] | None = None
        for path, pixels in pictures:
            if (size := pixels.shape[:2]) != (first := first or size):
                odd = f"({shown(path)} has {by(size)} pixels, those before {by(first)})"
                what = "pictures differ in size; give one size for all, --size 256"
                raise ValueError(f"{shown(self.source.folder)}: {what} {odd}")
            batch.append(torch.tensor(pixels).permute(2, 0, 1))
            if len(batch) == BATCH:
                yield torch.stack(batch)
                batch = []
        if batch:
            yield torch.stack(batch)


def training_fit(config: DataConfig, source: Source, files: Sequence[Path]) -> Fit:
    """Return how pictures are fitted as in training: to the size that the first of `files` has there.

    Raises ValueError when none can be read, or when the transforms reject it.
    """
    augment = config.build()
    for path in files:
        with suppress(UnreadableImage):  # reported later, when the picture is used
            prepared, _ = enlarging(augment.prepare, source.read(path))
            made, _ = enlarging(partial(augment, key=0), prepared)
            return augment.fit(made.shape[:2])
    raise ValueError(f"{shown(source.folder)}: no picture in it can be read")
