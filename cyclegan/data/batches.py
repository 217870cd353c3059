"""The pictures of a folder in batches of one size, as often as they are asked for; and the size to ask for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cyclegan.data.config import DataConfig
from cyclegan.data.enlarge import enlarging
from cyclegan.data.files import UnreadableImage
from cyclegan.data.sources import Source, find_partners
from cyclegan.util.text import shown

BATCH = 16

log = logging.getLogger(__name__)


class Pictures:
    """Of a source, or `files` of it, fitted to `size` (height, width) if given; broken ones are told once and left out.

    Raises FileNotFoundError for a folder that is missing or holds no picture.
    """

    def __init__(self, source: Source, size: Sequence[int] | None = None, files: Sequence[Path] | None = None) -> None:
        self.source, self.size, self.files = source, size, list(source.find() if files is None else files)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Tensor]:
        """Batches of up to 16, uint8 (N, 3, H, W); raises ValueError for mixed sizes, and when none can be read."""
        return self._batches(self._readable())

    def partners(self, other: Source) -> Iterator[Tensor]:
        """Their partners in another source, in the same batches once all were gone through.

        Raises FileNotFoundError naming the first picture without a partner, and UnreadableImage for a partner that
        cannot be read.
        """
        partners = find_partners(self.source, self.files, other)
        if missing := next((path for path in self.files if path not in partners), None):
            what = f"no picture for {shown(missing)}; give one for each, or none"
            raise FileNotFoundError(f"{shown(other.folder)}: {what}")
        return self._batches((path, self._read(other, path)) for path in partners.values())

    def _read(self, source: Source, path: Path) -> Image.Image:
        return source.read_fitted(path, self.size) if self.size else source.read(path)

    def _readable(self) -> Iterator[tuple[Path, Image.Image]]:
        for path in tuple(self.files):
            try:
                yield path, self._read(self.source, path)
            except UnreadableImage as error:
                log.warning("left out: %s", error)
                self.files.remove(path)
        if not self.files:
            raise ValueError(f"{shown(self.source.folder)}: no picture in it can be read")

    def _batches(self, images: Iterator[tuple[Path, Image.Image]]) -> Iterator[Tensor]:
        batch: list[Tensor] = []
        first: tuple[int, int] | None = None
        for path, image in images:
            if image.size != (first := first or image.size):
                odd = f"({shown(path)} has {image.width} x {image.height} pixels, those before {first[0]} x {first[1]})"
                what = "pictures of 2 sizes; give --size 256 to fit them to one"
                raise ValueError(f"{shown(self.source.folder)}: {what} {odd}")
            batch.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
            if len(batch) == BATCH:
                yield torch.stack(batch)
                batch = []
        if batch:
            yield torch.stack(batch)


def training_size(config: DataConfig, source: Source, files: Sequence[Path]) -> tuple[int, int]:
    """(height, width) of what the transforms of a run make of the first of a source's files that can be read.

    Raises ValueError when none can be read, or the transforms do not take it.
    """
    augment = config.build()
    for path in files:
        with suppress(UnreadableImage):  # it is named when it is used
            prepared, _ = enlarging(augment.prepare, np.asarray(source.read(path)))
            made, _ = enlarging(partial(augment, key=0), prepared)
            return made.shape[0], made.shape[1]
    raise ValueError(f"{shown(source.folder)}: no picture in it can be read")
