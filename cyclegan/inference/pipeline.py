"""The way of pictures from file to file, read, translated and written at once; one that fails costs no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby, islice, takewhile
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from cyclegan.data.files import (
    UnreadableImage,
    UnwritableImage,
    encoded,
    from_bytes,
    from_pixels,
    read_image,
    to_pixels,
)
from cyclegan.inference.manifest import FileState, Manifest, state_of
from cyclegan.inference.translator import Translator
from cyclegan.machine.memory import free_memory, is_out_of_memory, told
from cyclegan.util.atomic import Unwritten, is_about_its_name, write_whole
from cyclegan.util.prefetch import prefetch
from cyclegan.util.text import reason, shown

THREADS = 2
"""Threads that read, and as many that write, while the network works."""

SOME = 16
"""Batches of one size to see before it is compiled for: among hundreds of sizes, one may come eight times by chance."""

SMALLER = "a smaller --size, or a smaller picture"

EMPTY = torch.empty(0)


class Picture(NamedTuple):
    """A picture on its way from file to file, or why it ends here."""

    path: Path
    source: FileState | None
    """Its file, before it was read."""
    pixels: Tensor = EMPTY
    """(3, H, W) in 0..255; empty when it has a problem."""
    problem: str = ""

    def failed(self, problem: str) -> Picture:
        """Its end."""
        return self._replace(pixels=EMPTY, problem=problem)


class Pipeline:
    """Keeps what the stations of the way share, and why it ends before the last picture."""

    def __init__(
        self,
        translator: Translator,
        manifest: Manifest,
        base: Path,
        size: int | None,
        note: Callable[[str], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        translator.note = note
        self.stopped = stopped
        self.translator, self.manifest, self.base, self.size, self.note = translator, manifest, base, size, note
        self.refused: Unwritten | None = None
        """A file that the system did not let be written: there is no use in going on."""
        self.alone: set[torch.Size] = set()
        """Sizes of which memory does not hold a batch."""

    def through(self, files: list[Path]) -> Iterator[Picture]:
        """Each picture at the end of its way, in order; of those after a refusal, none."""
        # Reading, the network and writing overlap: each line pulls from the one above it.
        pictures = prefetch(self._read, takewhile(lambda _: not (self.refused or self.stopped()), files), THREADS)
        translated = self._translated(pictures, len(files))
        written = prefetch(self._write, translated, THREADS)
        return (picture for picture in written if picture)

    def _read(self, path: Path) -> Picture:
        picture = Picture(path, state_of(path))
        try:
            image = read_image(path)
            return picture._replace(pixels=to_pixels(_scaled(image, self.size, path) if self.size else image))
        except UnreadableImage as error:
            return picture.failed(str(error))
        except (MemoryError, RuntimeError) as error:
            return picture.failed(_problem(picture, error))

    def _translated(self, pictures: Iterator[Picture], number: int) -> Iterator[Picture]:
        """Neighbours of one size go through the network together; what could not be read passes by."""
        seen: Counter[torch.Size] = Counter()
        for shape, alike in groupby(pictures, key=lambda picture: picture.pixels.shape):
            if not shape.numel():
                yield from alike
                continue
            most = self.translator.batch_size(*shape[1:])
            while batch := list(islice(alike, 1 if shape in self.alone else most)):
                if self.refused:
                    return
                batched = torch.Size([len(batch), *shape])
                seen[batched] += 1
                self.translator.expected = max(self.translator.expected, number * shape[1] * shape[2])
                if seen[batched] == SOME:
                    share = seen[batched] / seen.total()  # of this size, if the rest is like what came
                    self._compile(batch, number * share / len(batch))
                yield from self._together(batch)

    def _compile(self, batch: list[Picture], times: float) -> None:
        """Try whether it pays for pictures like these, of which so many batches are to come."""
        pixels = torch.stack([picture.pixels for picture in batch])
        with suppress(MemoryError):
            self.translator.compile(from_bytes(pixels.to(self.translator.device)), times)

    def _together(self, batch: list[Picture]) -> list[Picture]:
        """Through the network at once; where that fails, each alone, so that only those are lost that fail alone.

        Raises ValueError for a network that diverged, which no picture can pass.
        """
        try:
            pixels = torch.stack([picture.pixels for picture in batch])
            translated = self.translator.translate_bytes(pixels)
            return [picture._replace(pixels=new) for picture, new in zip(batch, translated, strict=True)]
        except (RuntimeError, MemoryError, ValueError) as error:
            if isinstance(error, ValueError) and not _is_finite(self.translator.network):
                raise
            problem = _problem(batch[0], error)
            if is_out_of_memory(error):
                self.alone.add(batch[0].pixels.shape)
        free_memory()  # here, not above: the error's traceback holds what the failed call had made
        if len(batch) == 1:
            return [batch[0].failed(problem)]
        return [each for picture in batch for each in self._together([picture])]

    def _write(self, picture: Picture) -> Picture | None:
        """The picture, or None when there is no use in writing it."""
        if picture.problem:
            return picture
        if self.refused:
            return None
        name = picture.path.relative_to(self.base)
        output = self.manifest.out / name
        try:
            write_whole(
                output,
                encoded(from_pixels(picture.pixels), output),
                ready=lambda about: self.manifest.add(name, FileState.of(about), picture.source),
            )
        except UnwritableImage as error:
            return picture.failed(str(error))
        except (MemoryError, RuntimeError) as error:
            return picture.failed(_problem(picture, error))
        except Unwritten as error:
            if is_about_its_name(error):
                return picture.failed(str(error))
            self.refused = error
            return None
        return picture


def _problem(picture: Picture, error: BaseException) -> str:
    """Why a picture cannot be translated, in one line."""
    why = reason(error)
    if is_out_of_memory(error):
        size = f"{picture.pixels.shape[2]:,} x {picture.pixels.shape[1]:,} pixels, " if picture.pixels.numel() else ""
        why = f"{size}{told(error, SMALLER)}"
    return f"{shown(picture.path)} cannot be translated: {why}"


def _is_finite(network: nn.Module) -> bool:
    return all(bool(weights.isfinite().all()) for weights in network.parameters())


def _scaled(image: Image.Image, shorter: int, path: Path) -> Image.Image:
    """Scaled so that the shorter side has so many pixels; the aspect stays.

    Raises UnreadableImage when that makes more pixels than a picture may have to be read: a long strip, widened.
    """
    factor = shorter / min(image.size)
    width, height = (max(1, round(side * factor)) for side in image.size)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise UnreadableImage(f"{shown(path)}: {width:,} x {height:,} pixels are over the limit; take a smaller --size")
    return image.resize((width, height), Image.Resampling.BICUBIC)
