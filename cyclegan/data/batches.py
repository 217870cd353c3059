"""Batches of the pictures in a folder, and how pictures are fitted to the size of a training."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from cyclegan.data.config import DataConfig
from cyclegan.data.enlarge import enlarging
from cyclegan.data.files import UnreadableImage
from cyclegan.data.fit import Fit, Size, by
from cyclegan.data.listing import Listing
from cyclegan.data.picture import Pixels
from cyclegan.data.presets import fit_of
from cyclegan.data.sources import Source, find_partners
from cyclegan.util.text import shown

BATCH = 16
"""Pictures in a batch."""

log = logging.getLogger(__name__)


class Pictures:
    """The pictures of a source in batches, which can be iterated more than once.

    `files` selects some of its files. `fit` is applied to every picture. All pictures of a batch have one size.
    A picture that cannot be read is reported once and skipped.
    Raises FileNotFoundError when the folder is missing or contains no picture.
    """

    def __init__(self, source: Source, fit: Fit | None = None, files: Listing | None = None) -> None:
        self.source, self.fit, self._listed = source, fit or Fit(), source.find() if files is None else files
        self._broken = set[str]()
        self._lengths: list[int] = []
        """The number of pictures in each batch."""

    @property
    def files(self) -> Listing:
        """The files, without those that could not be read so far."""
        return self._listed.only([name for name in self._listed.names if name not in self._broken])

    def __len__(self) -> int:
        return len(self._listed) - len(self._broken)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield batches of up to 16 pictures, uint8 or float32 (N, C, H, W); see `Pixels`.

        Pictures that follow each other and have one size are in one batch.
        Raises ValueError when the pictures differ in size and `fit` is not meant for several, or when none can be read.
        """
        lengths: list[int] = []
        for pictures in self._batches():
            yield _stacked(pictures)
            lengths.append(len(pictures))
        self._lengths = lengths

    def partners(self, other: Source) -> Iterator[Tensor]:
        """Return the partners of the pictures in another source, in the same batches.

        Iterate over the pictures first, so that those that cannot be read are known and skipped here too.
        Raises FileNotFoundError naming the first picture without a partner, UnreadableImage for a partner that cannot
        be read, and ValueError for partners of a batch that differ in size.
        """
        files = self.files
        partners = find_partners(files, other)
        names = [name for name in partners if name is not None]
        if len(names) < len(files):
            what = f"no partner for {shown(files[partners.index(None)])}; every picture needs one"
            raise FileNotFoundError(f"{shown(other.folder)}: {what}")
        pictures = ((path, other.read(path, self.fit)) for path in Listing(other.folder, names))
        return (_partners(list(islice(pictures, length))) for length in self._lengths)

    def _batches(self) -> Iterator[list[Pixels]]:
        batch: list[Pixels] = []
        first: Size | None = None
        for path, pixels in self._readable():
            if (size := size_of(pixels)) != (first := first or size) and not self.fit.several:
                odd = f"({shown(path)} has {by(size)} pixels, those before {by(first)})"
                what = "pictures differ in size; give one size for all, --size 256"
                raise ValueError(f"{shown(self.source.folder)}: {what} {odd}")
            if batch and (size != size_of(batch[0]) or len(batch) == BATCH):
                yield batch
                batch = []
            batch.append(pixels)
        if batch:
            yield batch

    def _readable(self) -> Iterator[tuple[Path, Pixels]]:
        for path in self.files:
            try:
                yield path, self.source.read(path, self.fit)
            except UnreadableImage as error:
                log.warning("skipped: %s", error)
                self._broken.add(self.source.name(path))
        if not len(self):
            raise ValueError(f"{shown(self.source.folder)}: no picture in it can be read")


def _partners(pictures: Sequence[tuple[Path, Pixels]]) -> Tensor:
    """Stack the partners of the pictures of a batch. Raises ValueError when they differ in size, as those do not."""
    for path, pixels in pictures:
        if size_of(pixels) != (first := size_of(pictures[0][1])):
            what = (
                f"its size, {by(size_of(pixels))}, is not that of its neighbours, {by(first)}; their partners have one"
            )
            raise ValueError(f"{shown(path)}: {what}")
    return _stacked([pixels for _, pixels in pictures])


def _stacked(pictures: Sequence[Pixels]) -> Tensor:
    """Stack pictures of one size as a tensor (N, C, H, W)."""
    return torch.stack([torch.tensor(pixels).permute(2, 0, 1) for pixels in pictures])


def size_of(pixels: Pixels) -> Size:
    """Return the size (H, W) of a picture."""
    height, width = pixels.shape[:2]
    return height, width


def training_fit(config: DataConfig, source: Source, files: Sequence[Path]) -> Fit:
    """Return how pictures are fitted as in training; with a list of transforms, to the size of the first of `files`.

    Raises ValueError when none can be read, or when the transforms reject it.
    """
    if config.transforms is None:
        return fit_of(config)
    augment = config.build()
    for path in files:
        with suppress(UnreadableImage):  # reported later, when the picture is used
            prepared, _ = enlarging(augment.prepare, source.read(path))
            made, _ = enlarging(partial(augment, key=0), prepared)
            return augment.fit(made.shape[:2])
    raise ValueError(f"{shown(source.folder)}: no picture in it can be read")
