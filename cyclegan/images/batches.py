"""The pictures of a folder in batches of one size, as often as they are asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from cyclegan.images.files import UnreadableImage, find_images, read_image
from cyclegan.words import shown

BATCH = 16

log = logging.getLogger(__name__)


class Pictures:
    """Of a folder, fitted to `size` (height, width) if one is given; broken ones are told once and left out.

    Raises FileNotFoundError for a folder that is missing or holds no picture.
    """

    def __init__(self, folder: Path, size: tuple[int, int] | None = None) -> None:
        self.folder, self.size, self.files = folder, size, find_images(folder)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Tensor]:
        """Batches of up to 16, uint8 (N, 3, H, W); raises ValueError for mixed sizes, and when none can be read."""
        return self._batches(self._readable())

    def partners(self, folder: Path) -> Iterator[Tensor]:
        """The pictures of the same names in another folder, in the same batches once all were gone through.

        Names are compared without suffixes. Raises FileNotFoundError naming the first picture without a partner,
        and UnreadableImage for a partner that cannot be read.
        """
        there = {_name(path, folder): path for path in find_images(folder)}
        for path in self.files:
            if _name(path, self.folder) not in there:
                raise FileNotFoundError(f"{shown(folder)}: no picture for {shown(path)}; give one for each, or none")
        partners = [there[_name(path, self.folder)] for path in self.files]
        return self._batches((path, read_image(path)) for path in partners)

    def _readable(self) -> Iterator[tuple[Path, Image.Image]]:
        for path in tuple(self.files):
            try:
                yield path, read_image(path)
            except UnreadableImage as error:
                log.warning("left out: %s", error)
                self.files.remove(path)
        if not self.files:
            raise ValueError(f"{shown(self.folder)}: no picture in it can be read")

    def _batches(self, images: Iterator[tuple[Path, Image.Image]]) -> Iterator[Tensor]:
        batch: list[Tensor] = []
        first: tuple[int, int] | None = None
        for path, image in images:
            if self.size:
                image = ImageOps.fit(image, self.size[::-1], Image.Resampling.BICUBIC)
            if image.size != (first := first or image.size):
                odd = f"({shown(path)} has {image.width} x {image.height} pixels, those before {first[0]} x {first[1]})"
                what = "pictures of 2 sizes; give --size 256 to fit them to one"
                raise ValueError(f"{shown(self.folder)}: {what} {odd}")
            batch.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
            if len(batch) == BATCH:
                yield torch.stack(batch)
                batch = []
        if batch:
            yield torch.stack(batch)


def _name(path: Path, folder: Path) -> Path:
    """The path below the folder, without its suffix."""
    return path.relative_to(folder).with_suffix("")
