"""The pipeline that reads, translates and writes pictures in parallel; a failed picture does not stop the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import groupby, islice, takewhile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from cyclegan.data.codecs.limits import most_pixels
from cyclegan.data.convert import CLIPPED, convert, values_of
from cyclegan.data.files import UnreadableImage, UnwritableImage
from cyclegan.data.fit import Size, scaled
from cyclegan.data.frames import Frames, frame_count, read_frames
from cyclegan.data.picture import FilePicture, Pixels
from cyclegan.data.read import read_picture
from cyclegan.data.resample import scaled_strips
from cyclegan.data.shapes import size_of
from cyclegan.data.strips import read_large
from cyclegan.data.write import encoded
from cyclegan.data.write_frames import UnwritableFrames
from cyclegan.data.write_strips import streamed, strips_of
from cyclegan.inference.detail import with_detail
from cyclegan.inference.finish import finished
from cyclegan.inference.frames import Halted, translated_frames
from cyclegan.inference.manifest import FileState, Manifest, state_of
from cyclegan.inference.options import Options
from cyclegan.inference.sizes import is_much_larger
from cyclegan.inference.translator import Translator
from cyclegan.machine.memory import free_memory, is_out_of_memory, told
from cyclegan.util.atomic import Unwritten, is_about_its_name, write_whole
from cyclegan.util.prefetch import prefetch
from cyclegan.util.text import reason, shown

THREADS = 2
"""Number of threads that read, and of threads that write, while the network computes."""

SOME = 16
"""Number of batches of one size before compiling for it: of hundreds of sizes, one may occur eight times by chance."""

LARGE = 2**24
"""Pixels from which a picture is read and written by strips, in temporary files instead of RAM."""

SMALLER = "--memory with less, or a smaller --size"
"""The advice when memory runs out."""

NOTHING: Pixels = np.empty((0, 0, 1), np.uint8)


class Picture(NamedTuple):
    """A picture in the pipeline."""

    path: Path
    """Its source file."""
    source: FileState | None
    """The state of the source file before it was read."""
    pixels: Pixels = NOTHING
    """(H, W, C) at the size at which it is translated, and later the translation; empty when it has a problem."""
    full: Pixels = NOTHING
    """The source in its full size, if the output depends on it."""
    small: Pixels = NOTHING
    """The source at the size at which it is translated, if the output depends on it."""
    size: Size | None = None
    """The size (H, W) of the output."""
    frames: Frames | None = None
    """The frames or pages of its file, if it has more than one; they are translated while they are written."""
    source_picture: FilePicture | None = None
    """What its file held, without the values."""
    problem: str = ""
    """Why it cannot be translated; empty if nothing failed so far."""

    def failed(self, problem: str) -> Picture:
        """Return the picture without pixels and with a problem."""
        return self._replace(pixels=NOTHING, full=NOTHING, small=NOTHING, problem=problem)


class Pipeline:
    """Keeps what the reading, translating and writing stages share."""

    def __init__(
        self,
        translator: Translator,
        manifest: Manifest,
        base: Path,
        named: Callable[[str], str],
        options: Options,
        note: Callable[[str], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        translator.engine.note = note
        self.stopped = stopped
        self.translator, self.manifest, self.base, self.note = translator, manifest, base, note
        self.named, self.options = named, options
        self.clipped: list[Path] = []
        """The pictures of whose values more than `CLIPPED` are outside the range of the domain."""
        self.advised: list[tuple[Path, Size]] = []
        """The pictures that are translated at a much larger size than the training's, and that size (H, W)."""
        self.refused: Unwritten | None = None
        """The error that ended the pipeline early, such as a full disk; None if there was none."""
        self.alone: set[tuple[int, ...]] = set()
        """Shapes that are translated one by one, because a batch of them does not fit into memory."""

    def through(self, files: Iterable[Path], number: int) -> Iterator[Picture]:
        """Yield each picture once it is written or has failed, in order; stops after an error of the file system.

        `number` is how many there are, about.
        """
        # Reading, translating and writing overlap: each line pulls from the one above it.
        pictures = prefetch(self._read, takewhile(lambda _: not (self.refused or self.stopped()), files), THREADS)
        translated = self._translated(pictures, number)
        written = prefetch(self._write, translated, THREADS)
        return (picture for picture in written if picture)

    def _read(self, path: Path) -> Picture:
        picture = Picture(path, state_of(path))
        try:
            if frame_count(path) > 1:
                return picture._replace(frames=read_frames(path))
            pixels, clipped, found = self._decoded(path)
            if clipped > CLIPPED:
                self.clipped.append(path)
            translated, output = self.options.sizing.of((pixels.shape[0], pixels.shape[1]), most_pixels())
            if is_much_larger(translated, self.translator.trained):
                self.advised.append((path, translated))
            seen = _scaled(pixels, translated)
            if output != pixels.shape[:2]:
                found, pixels = _mask_scaled(found, output), seen
            if self.options.needs_source:
                picture = picture._replace(full=pixels, small=seen)
            return picture._replace(pixels=seen, size=output, source_picture=found)
        except UnreadableImage as error:
            return picture.failed(str(error))
        except (MemoryError, RuntimeError, ValueError) as error:
            return picture.failed(_problem(picture, error))

    def _decoded(self, path: Path) -> tuple[Pixels, float, FilePicture]:
        """Return the pixels of a file, the share that was clipped, and what else the file holds."""
        size = size_of(path)
        if size and size[0] * size[1] >= LARGE and (large := read_large(path, self.translator.source)):
            return large.pixels, large.clipped, large.picture
        found = read_picture(path)
        pixels, clipped = convert(found, self.translator.source)
        return pixels, clipped, replace(found, values=NOTHING, profile=None)

    def _translated(self, pictures: Iterator[Picture], number: int) -> Iterator[Picture]:
        """Translate neighbours of one size in batches; pictures that could not be read are passed through."""
        seen: Counter[tuple[int, ...]] = Counter()
        for shape, alike in groupby(pictures, key=lambda picture: picture.pixels.shape):
            if not shape[0]:
                yield from alike
                continue
            most = self.translator.batch_size(*shape[:2])
            while batch := list(islice(alike, 1 if shape in self.alone else most)):
                if self.refused:
                    return
                batched = (len(batch), *shape)
                seen[batched] += 1
                engine = self.translator.engine  # it may have changed
                engine.expected = max(engine.expected, number * shape[0] * shape[1])
                if seen[batched] == SOME:
                    share = seen[batched] / seen.total()  # of this size, if the rest is like the pictures so far
                    with suppress(MemoryError):
                        self.translator.settle(_stacked(batch), number * share / len(batch))
                yield from self._together(batch)

    def _together(self, batch: list[Picture]) -> list[Picture]:
        """Translate a batch; if that fails, translate its pictures one by one, so that only the bad ones are lost.

        Raises ValueError when the network's weights are not finite, because then every picture would fail.
        """
        try:
            translated = self.translator.translate_pixels(_stacked(batch))
            return [picture._replace(pixels=new) for picture, new in zip(batch, translated, strict=True)]
        except (RuntimeError, MemoryError, ValueError) as error:
            if isinstance(error, ValueError) and not self.translator.engine.is_finite:
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
        name = Path(self.named(self._name(picture)))
        output = self.manifest.out / name
        try:
            write_whole(
                output,
                self._file(picture, output),
                ready=lambda about: self.manifest.add(name, FileState.of(about), picture.source),
            )
        except (UnwritableImage, UnwritableFrames, UnreadableImage) as error:
            return picture.failed(str(error))
        except Halted:
            return None
        except (MemoryError, RuntimeError, ValueError) as error:
            return picture.failed(_problem(picture, error))
        except Unwritten as error:
            if is_about_its_name(error):
                return picture.failed(str(error))
            self.refused = error
            return None
        return picture._replace(frames=None, pixels=NOTHING, full=NOTHING, small=NOTHING)

    def _file(self, picture: Picture, path: Path) -> bytes | Callable[[BinaryIO], object]:
        """Return the file of a translation, with what its source says and still holds."""
        if picture.frames is not None:
            return translated_frames(
                self.translator,
                picture.frames,
                path,
                name=self._name(picture),
                options=self.options,
                stopped=lambda: bool(self.refused or self.stopped()),
                clipped=lambda: self.clipped.append(picture.path),
            )
        source, target = picture.source_picture, self.translator.target
        assert source is not None
        pixels = self._finished(picture)
        about: dict[str, Any] = {"kept": source.kept, "alpha": source.alpha, "missing": source.missing}
        about |= {"space": target.space, "options": self.options.output}
        if pixels.shape[0] * pixels.shape[1] < LARGE:
            return encoded(values_of(pixels, target), path, **about)
        strips = strips_of(pixels, target)
        return streamed(strips, path, shape=pixels.shape, dtype=target.depth, **about)

    def _finished(self, picture: Picture) -> Pixels:
        """Return the pixels of an output: the translation, with what is kept of its source."""
        options, pixels = self.options, picture.pixels
        if options.sizing.detail:
            pixels = with_detail(picture.full, picture.small, pixels)
        mask = None
        if options.masks is not None:
            mask = options.masks.of(self._name(picture), (pixels.shape[0], pixels.shape[1]))
        if not options.finish and mask is None:
            return pixels
        return finished(picture.full, pixels, options.finish, mask, out=pixels if pixels.flags.writeable else None)

    def _name(self, picture: Picture) -> str:
        """Return the path of a source below the folder of the sources."""
        return picture.path.relative_to(self.base).as_posix()


def _stacked(batch: list[Picture]) -> Pixels:
    """Return the pixels of pictures of one size, (N, H, W, C); a single one is not copied."""
    return batch[0].pixels[None] if len(batch) == 1 else np.stack([picture.pixels for picture in batch])


def _problem(picture: Picture, error: BaseException) -> str:
    """Return a line about why a picture cannot be translated."""
    why = reason(error)
    if is_out_of_memory(error):
        size = f"{picture.pixels.shape[1]:,} x {picture.pixels.shape[0]:,} pixels, " if picture.pixels.size else ""
        why = f"{size}{told(error, SMALLER)}"
    return f"{shown(picture.path)} cannot be translated: {why}"


def _scaled(pixels: Pixels, size: Size) -> Pixels:
    """Scale a picture (H, W, C) with Pillow's bicubic filter; a large one in strips."""
    if pixels.shape[:2] == size:
        return pixels
    return scaled_strips(pixels, size) if max(pixels[..., 0].size, size[0] * size[1]) >= LARGE else scaled(pixels, size)


def _mask_scaled(picture: FilePicture, size: Size) -> FilePicture:
    """Return a picture whose transparency and missing parts are scaled to `size` (H, W)."""
    alpha, missing = picture.alpha, picture.missing
    if alpha is not None:
        white = np.iinfo(alpha.dtype).max
        soft = scaled((alpha / white).astype(np.float32)[..., None], size)[..., 0]
        alpha = (soft * white).round().astype(alpha.dtype)
    if missing is not None:
        missing = scaled(missing.astype(np.float32)[..., None], size)[..., 0] > 0.5
    return replace(picture, alpha=alpha, missing=missing)
