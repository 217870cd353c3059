"""The pipeline that reads, translates and writes pictures in parallel; a failed picture does not stop the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby, islice, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cyclegan.data.codecs.limits import is_over
from cyclegan.data.convert import CLIPPED, convert, normalised, values_of
from cyclegan.data.files import UnreadableImage, UnwritableImage
from cyclegan.data.fit import scaled
from cyclegan.data.picture import FilePicture, Pixels
from cyclegan.data.read import read_picture
from cyclegan.data.write import Output, encoded
from cyclegan.inference.manifest import FileState, Manifest, state_of
from cyclegan.inference.translator import Translator
from cyclegan.machine.memory import free_memory, is_out_of_memory, told
from cyclegan.util.atomic import Unwritten, is_about_its_name, write_whole
from cyclegan.util.prefetch import prefetch
from cyclegan.util.text import reason, shown

THREADS = 2
"""Number of threads that read, and of threads that write, while the network computes."""

SOME = 16
"""Number of batches of one size before compiling for it: of hundreds of sizes, one may occur eight times by chance."""

SMALLER = "a smaller --size, or a smaller picture"
"""The advice when memory runs out."""

EMPTY = torch.empty(0)
NOTHING = np.empty((0, 0, 1), np.uint8)


class Picture(NamedTuple):
    """A picture in the pipeline."""

    path: Path
    """Its source file."""
    source: FileState | None
    """The state of the source file before it was read."""
    pixels: Tensor = EMPTY
    """(C, H, W) of `Pixels`; empty when it has a problem."""
    source_picture: FilePicture | None = None
    """What its file held, without the values."""
    problem: str = ""
    """Why it cannot be translated; empty if nothing failed so far."""

    def failed(self, problem: str) -> Picture:
        """Return the picture without pixels and with a problem."""
        return self._replace(pixels=EMPTY, problem=problem)


class Pipeline:
    """Keeps what the reading, translating and writing stages share."""

    def __init__(
        self,
        translator: Translator,
        manifest: Manifest,
        base: Path,
        size: int | None,
        named: Callable[[str], str],
        output: Output,
        note: Callable[[str], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        translator.note = note
        self.stopped = stopped
        self.translator, self.manifest, self.base, self.size, self.note = translator, manifest, base, size, note
        self.named, self.output = named, output
        self.clipped: list[Path] = []
        """The pictures of whose values more than `CLIPPED` are outside the range of the domain."""
        self.refused: Unwritten | None = None
        """The error that ended the pipeline early, such as a full disk; None if there was none."""
        self.alone: set[torch.Size] = set()
        """Sizes that are translated one by one, because a batch of them does not fit into memory."""

    def through(self, files: Sequence[Path]) -> Iterator[Picture]:
        """Yield each picture once it is written or has failed, in order; stops after an error of the file system."""
        # Reading, translating and writing overlap: each line pulls from the one above it.
        pictures = prefetch(self._read, takewhile(lambda _: not (self.refused or self.stopped()), files), THREADS)
        translated = self._translated(pictures, len(files))
        written = prefetch(self._write, translated, THREADS)
        return (picture for picture in written if picture)

    def _read(self, path: Path) -> Picture:
        picture = Picture(path, state_of(path))
        try:
            found = read_picture(path)
            pixels, clipped = convert(found, self.translator.source)
            if clipped > CLIPPED:
                self.clipped.append(path)
            if self.size:
                size = _size(pixels, self.size, path)
                pixels, found = scaled(pixels, size), _mask_scaled(found, size)
            found = replace(found, values=NOTHING, profile=None)
            return picture._replace(pixels=torch.tensor(pixels).permute(2, 0, 1), source_picture=found)
        except UnreadableImage as error:
            return picture.failed(str(error))
        except (MemoryError, RuntimeError, ValueError) as error:
            return picture.failed(_problem(picture, error))

    def _translated(self, pictures: Iterator[Picture], number: int) -> Iterator[Picture]:
        """Translate neighbours of one size in batches; pictures that could not be read are passed through."""
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
                    share = seen[batched] / seen.total()  # of this size, if the rest is like the pictures so far
                    self._compile(batch, number * share / len(batch))
                yield from self._together(batch)

    def _compile(self, batch: list[Picture], times: float) -> None:
        """Compile for pictures of this size if that saves time, with `times` such batches to come."""
        pixels = torch.stack([picture.pixels for picture in batch])
        with suppress(MemoryError):
            self.translator.compile(normalised(pixels.to(self.translator.device)), times)

    def _together(self, batch: list[Picture]) -> list[Picture]:
        """Translate a batch; if that fails, translate its pictures one by one, so that only the bad ones are lost.

        Raises ValueError when the network's weights are not finite, because then every picture would fail.
        """
        try:
            pixels = torch.stack([picture.pixels for picture in batch])
            translated = self.translator.translate_pixels(pixels)
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
        """Write a picture and return it; None once writing has failed for all pictures."""
        if picture.problem:
            return picture
        if self.refused:
            return None
        name = Path(self.named(picture.path.relative_to(self.base).as_posix()))
        output = self.manifest.out / name
        try:
            write_whole(
                output,
                self._encoded(picture, output),
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

    def _encoded(self, picture: Picture, path: Path) -> bytes:
        """Return the file of a translation, with what its source says and still holds."""
        source, target = picture.source_picture, self.translator.target
        assert source is not None
        return encoded(
            values_of(picture.pixels.permute(1, 2, 0).numpy(), target),
            path,
            kept=source.kept,
            alpha=source.alpha,
            missing=source.missing,
            space=target.space,
            options=self.output,
        )


def _problem(picture: Picture, error: BaseException) -> str:
    """Return a line about why a picture cannot be translated."""
    why = reason(error)
    if is_out_of_memory(error):
        size = f"{picture.pixels.shape[2]:,} x {picture.pixels.shape[1]:,} pixels, " if picture.pixels.numel() else ""
        why = f"{size}{told(error, SMALLER)}"
    return f"{shown(picture.path)} cannot be translated: {why}"


def _is_finite(network: nn.Module) -> bool:
    return all(bool(weights.isfinite().all()) for weights in network.parameters())


def _mask_scaled(picture: FilePicture, size: tuple[int, int]) -> FilePicture:
    """Return a picture whose transparency and missing parts are scaled to `size` (H, W)."""
    alpha, missing = picture.alpha, picture.missing
    if alpha is not None:
        white = np.iinfo(alpha.dtype).max
        soft = scaled((alpha / white).astype(np.float32)[..., None], size)[..., 0]
        alpha = (soft * white).round().astype(alpha.dtype)
    if missing is not None:
        missing = scaled(missing.astype(np.float32)[..., None], size)[..., 0] > 0.5
    return replace(picture, alpha=alpha, missing=missing)


def _size(pixels: Pixels, shorter: int, path: Path) -> tuple[int, int]:
    """Return the size (H, W) at which the shorter side has `shorter` pixels; the aspect ratio is kept.

    Raises UnreadableImage when the result has more pixels than may be read, as for a long narrow strip.
    """
    factor = shorter / min(pixels.shape[:2])
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    if is_over(width * height):
        raise UnreadableImage(f"{shown(path)}: {width:,} x {height:,} pixels are over the limit; use a smaller --size")
    return height, width
