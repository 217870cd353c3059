"""Batches of the pictures in a folder, and how pictures are fitted to the size of a training."""

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

    def __init__(self, source: Source, fit: Fit | None = None, files: Sequence[Path] | None = None) -> None:
        self.source, self.fit, self.files = source, fit or Fit(), list(source.find() if files is None else files)
        self._batched: list[list[Path]] = []

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield batches of up to 16 pictures, uint8 or float32 (N, C, H, W); see `Pixels`.

        Pictures that follow each other and have one size are in one batch.
        Raises ValueError when the pictures differ in size and `fit` is not meant for several, or when none can be read.
        """
        batched: list[list[Path]] = []
        for paths, pictures in self._batches():
            batched.append(paths)
            yield _stacked(pictures)
        self._batched = batched
        if not self.files:
            raise ValueError(f"{shown(self.source.folder)}: no picture in it can be read")

    def partners(self, other: Source) -> Iterator[Tensor]:
        """Return the partners of the pictures in another source, in the same batches.

        Iterate over the pictures first, so that those that cannot be read are known and skipped here too.
        Raises FileNotFoundError naming the first picture without a partner, UnreadableImage for a partner that cannot
        be read, and ValueError for partners of a batch that differ in size.
        """
        partners = find_partners(self.source, self.files, other)
        if missing := next((path for path in self.files if path not in partners), None):
            what = f"no partner for {shown(missing)}; every picture needs one"
            raise FileNotFoundError(f"{shown(other.folder)}: {what}")
        batched = [[partners[path] for path in paths] for paths in self._batched]
        return (self._partners_of_one_size(other, paths) for paths in batched)

    def _partners_of_one_size(self, other: Source, paths: Sequence[Path]) -> Tensor:
        pictures = [other.read(path, self.fit) for path in paths]
        for path, pixels in zip(paths, pictures, strict=True):
            if pixels.shape != pictures[0].shape:
                sizes = f"{by(pixels.shape[:2])}, not {by(pictures[0].shape[:2])}"
                raise ValueError(f"{shown(path)}: differs in size from its neighbours ({sizes}); its partner does not")
        return _stacked(pictures)

    def _batches(self) -> Iterator[tuple[list[Path], list[Pixels]]]:
        """Yield the files and pictures of each batch; pictures that cannot be read are reported and removed."""
        paths: list[Path] = []
        batch: list[Pixels] = []
        for path, pixels in self._readable():
            if batch and (pixels.shape != batch[0].shape or len(batch) == BATCH):
                yield paths, batch
                paths, batch = [], []
            paths.append(path)
            batch.append(pixels)
        if batch:
            yield paths, batch

    def _readable(self) -> Iterator[tuple[Path, Pixels]]:
        first: tuple[int, ...] | None = None
        for path in tuple(self.files):
            try:
                pixels = self.source.read(path, self.fit)
            except UnreadableImage as error:
                log.warning("skipped: %s", error)
                self.files.remove(path)
                continue
            first = first or pixels.shape[:2]
            if pixels.shape[:2] != first and not self.fit.several:
                odd = f"({shown(path)} has {by(pixels.shape[:2])} pixels, those before {by((first[0], first[1]))})"
                what = "pictures differ in size; give one size for all, --size 256"
                raise ValueError(f"{shown(self.source.folder)}: {what} {odd}")
            yield path, pixels


def _stacked(pictures: Sequence[Pixels]) -> Tensor:
    """Stack pictures of one size as a tensor (N, C, H, W)."""
    return torch.stack([torch.tensor(pixels).permute(2, 0, 1) for pixels in pictures])


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
