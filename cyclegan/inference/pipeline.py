"""The pipeline that reads, translates and writes pictures in parallel; a failed picture does not stop the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import groupby, islice, takewhile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from cyclegan.data.convert import CLIPPED, values_of
from cyclegan.data.files import UnreadableImage, UnwritableImage
from cyclegan.data.fit import Size
from cyclegan.data.frames import Frames, frame_count, read_frames
from cyclegan.data.picture import Pixels
from cyclegan.data.write import encoded
from cyclegan.data.write_frames import UnwritableFrames
from cyclegan.data.write_strips import streamed, strips_of
from cyclegan.inference.frames import Halted, translated_frames
from cyclegan.inference.graph.nodes import Code
from cyclegan.inference.manifest import FileState, Manifest, state_of
from cyclegan.inference.options import Options
from cyclegan.inference.prepare import LARGE, NOTHING, Prepared, finish, prepare_file
from cyclegan.inference.sizes import is_much_larger
from cyclegan.inference.styles import Stylist
from cyclegan.inference.translator import Translator
from cyclegan.machine.memory import free_memory, is_out_of_memory, told
from cyclegan.util.atomic import Unwritten, is_about_its_name, write_whole
from cyclegan.util.prefetch import prefetch
from cyclegan.util.text import reason, shown

THREADS = 2
"""Number of threads that read, and of threads that write, while the network computes."""

SOME = 16
"""Number of batches of one size before compiling for it: of hundreds of sizes, one may occur eight times by chance."""

SMALLER = "--memory with less, or a smaller --size"
"""The advice when memory runs out."""


class Picture(NamedTuple):
    """A picture in the pipeline."""

    path: Path
    """Its source file."""
    source: FileState | None
    """The state of the source file before it was read."""
    prepared: Prepared | None = None
    """The picture that is translated; None when it has a problem or frames."""
    made: Pixels = NOTHING
    """Its translation (H, W, C), once there is one."""
    frames: Frames | None = None
    """The frames or pages of its file, if it has more than one; they are translated while they are written."""
    problem: str = ""
    """Why it cannot be translated; empty if nothing failed so far."""

    def failed(self, problem: str) -> Picture:
        """Return the picture without pixels and with a problem."""
        return self._replace(prepared=None, made=NOTHING, frames=None, problem=problem)

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, C) of what is translated; empty when that is nothing."""
        return () if self.prepared is None else self.prepared.pixels.shape

    @property
    def size(self) -> Size | None:
        """The size (H, W) of the output, if there is one."""
        return None if self.prepared is None else self.prepared.size


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
        self.stylist = Stylist(translator, options.styles)
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
            prepared = prepare_file(path, self.translator.source, self.options)
            if prepared.clipped > CLIPPED:
                self.clipped.append(path)
            translated = (prepared.pixels.shape[0], prepared.pixels.shape[1])
            if is_much_larger(translated, self.translator.trained):
                self.advised.append((path, translated))
            return picture._replace(prepared=prepared)
        except UnreadableImage as error:
            return picture.failed(str(error))
        except (MemoryError, RuntimeError, ValueError) as error:
            return picture.failed(_problem(picture, error))

    def _translated(self, pictures: Iterator[Picture], number: int) -> Iterator[Picture]:
        """Translate neighbours of one size in batches; pictures that could not be read are passed through."""
        seen: Counter[tuple[int, ...]] = Counter()
        for shape, alike in groupby(pictures, key=lambda picture: picture.shape):
            if not shape:
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
                    with suppress(MemoryError, UnreadableImage):
                        self.translator.settle(_stacked(batch), number * share / len(batch), self._styles(batch))
                yield from self._together(batch)

    def _together(self, batch: list[Picture]) -> list[Picture]:
        """Translate a batch; if that fails, translate its pictures one by one, so that only the bad ones are lost.

        Raises ValueError when the network's weights are not finite, because then every picture would fail.
        """
        try:
            translated = self.translator.translate_pixels(_stacked(batch), self._styles(batch))
            return [picture._replace(made=new) for picture, new in zip(batch, translated, strict=True)]
        except (RuntimeError, MemoryError, ValueError) as error:
            if isinstance(error, ValueError) and not self.translator.engine.is_finite:
                raise
            problem = _problem(batch[0], error)
            if is_out_of_memory(error):
                self.alone.add(batch[0].shape)
        free_memory()  # here, not above: the error's traceback holds what the failed call had made
        if len(batch) == 1:
            return [batch[0].failed(problem)]
        return [each for picture in batch for each in self._together([picture])]

    def _styles(self, batch: list[Picture]) -> Code | None:
        """Return the style codes of a batch, (N, S); None for a model without styles."""
        codes = [self.stylist.of(self._name(picture)) for picture in batch]
        return None if any(code is None for code in codes) else np.concatenate([c for c in codes if c is not None])

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
        return picture._replace(frames=None, prepared=picture.prepared and picture.prepared.emptied(), made=NOTHING)

    def _file(self, picture: Picture, path: Path) -> bytes | Callable[[BinaryIO], object]:
        """Return the file of a translation, with what its source says and still holds."""
        if picture.frames is not None:
            return translated_frames(
                self.translator,
                picture.frames,
                path,
                name=self._name(picture),
                options=self.options,
                style=self.stylist.of(self._name(picture)),
                stopped=lambda: bool(self.refused or self.stopped()),
                clipped=lambda: self.clipped.append(picture.path),
            )
        assert picture.prepared is not None
        source, target = picture.prepared.picture, self.translator.target
        pixels = finish(picture.prepared, picture.made, self.options, self._name(picture))
        about: dict[str, Any] = {"kept": source.kept, "alpha": source.alpha, "missing": source.missing}
        about |= {"space": target.space, "options": self.options.output}
        if pixels.shape[0] * pixels.shape[1] < LARGE:
            return encoded(values_of(pixels, target), path, **about)
        strips = strips_of(pixels, target)
        return streamed(strips, path, shape=pixels.shape, dtype=target.depth, **about)

    def _name(self, picture: Picture) -> str:
        """Return the path of a source below the folder of the sources."""
        return picture.path.relative_to(self.base).as_posix()


def _stacked(batch: list[Picture]) -> Pixels:
    """Return the pixels of pictures of one size, (N, H, W, C); a single one is not copied."""
    pixels = [picture.prepared.pixels for picture in batch if picture.prepared is not None]
    return pixels[0][None] if len(pixels) == 1 else np.stack(pixels)


def _problem(picture: Picture, error: BaseException) -> str:
    """Return a line about why a picture cannot be translated."""
    why = reason(error)
    if is_out_of_memory(error):
        size = f"{picture.shape[1]:,} x {picture.shape[0]:,} pixels, " if picture.shape else ""
        why = f"{size}{told(error, SMALLER)}"
    return f"{shown(picture.path)} cannot be translated: {why}"
