"""Translating the frames of an animation or the pages of a TIFF file, a few at a time, into one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np

from cyclegan.data.convert import CLIPPED, values_of
from cyclegan.data.files import UnreadableImage
from cyclegan.data.format import PictureFormat
from cyclegan.data.frames import Frames
from cyclegan.data.picture import Pixels
from cyclegan.data.write_frames import NewFrame, UnwritableFrames, can_hold_frames, told_cannot, write_frames
from cyclegan.inference.graph.nodes import Code
from cyclegan.inference.options import Options
from cyclegan.inference.prepare import Prepared, finish, prepare

MOST = 8
"""The largest number of frames in a batch, so that few are held."""


class Translates(Protocol):
    """What translating files needs of a translator, whatever it computes with."""

    @property
    def source(self) -> PictureFormat:
        """The format of the pictures that it takes."""

    @property
    def target(self) -> PictureFormat:
        """The format of the pictures that it makes."""

    def batch_size(self, height: int, width: int) -> int:
        """Return how many pictures of this size to translate at once."""

    def translate_pixels(self, pixels: Pixels, style: Code | None = None) -> Pixels:
        """Translate (N, H, W, C) of the source domain to (N, H, W, C') of the target domain."""


class Halted(Exception):
    """The work was stopped in the middle of a file, of which nothing is written."""


class _Waiting(NamedTuple):
    prepared: Prepared
    duration: float | None


def check_frames(frames: Frames, path: Path) -> None:
    """Raise UnwritableFrames when a file of this name cannot hold these frames or pages."""
    if not can_hold_frames(path):
        raise UnwritableFrames(f"{frames.name} has {_told(frames)}: {told_cannot(path)}, by --output_format")
    if frames.are_pages and path.suffix.lower() in (".gif", ".png", ".apng", ".webp"):
        raise UnwritableFrames(f"{frames.name} has {_told(frames)}, which are no animation; choose --output_format tif")


def translated_frames(
    translator: Translates,
    frames: Frames,
    path: Path,
    *,
    name: str = "",
    options: Options | None = None,
    style: Code | None = None,
    stopped: Callable[[], bool] = lambda: False,
    clipped: Callable[[], object] = lambda: None,
) -> Callable[[BinaryIO], None]:
    """Return a function that translates all frames and writes them to an open, seekable file named `path`.

    Frames are read, translated and written a batch at a time, of at most `MOST`; a thousand need no more memory than a
    few. Each is translated like a picture of its own, by the same `options`; `name` is the path of the source below the
    folder of the sources, by which its mask is found. All have the same `style`, (1, S). The animation keeps its
    durations and how often it plays, each page of TIFF its own size and tags. `stopped` is asked before each batch, and
    `clipped` is called once if a frame has values outside the range of the domain.

    Raises UnwritableFrames, as `check_frames` does. The function raises UnreadableImage for a frame that cannot be
    read or translated, UnwritableFrames for one that the format cannot store, Halted when `stopped`, OSError, and what
    `translate_pixels` raises.
    """
    check_frames(frames, path)
    options = options or Options()

    def waiting() -> Iterator[_Waiting]:
        is_told = False
        for number, (picture, duration) in enumerate(frames, start=1):
            try:
                prepared = prepare(picture, translator.source, options)
            except ValueError as error:
                what = "page" if frames.are_pages else "frame"
                line = f"{frames.name} cannot be translated: {what} {number:,}: {error}"
                raise UnreadableImage(line) from error
            if prepared.clipped > CLIPPED and not is_told:
                is_told = True
                clipped()
            yield _Waiting(prepared, duration)

    def made() -> Iterator[NewFrame]:
        for shape, alike in groupby(waiting(), key=lambda each: each.prepared.pixels.shape):
            most = max(1, min(MOST, translator.batch_size(*shape[:2])))
            while batch := list(islice(alike, most)):
                if stopped():
                    raise Halted
                pixels = translator.translate_pixels(np.stack([each.prepared.pixels for each in batch]), style)
                for each, new in zip(batch, pixels, strict=True):
                    yield _new(each, finish(each.prepared, new, options, name), translator.target)

    return write_frames(path, made(), plays=frames.plays, space=translator.target.space, options=options.output)


def _new(source: _Waiting, pixels: Pixels, target: PictureFormat) -> NewFrame:
    picture = source.prepared.picture
    return NewFrame(values_of(pixels, target), picture.alpha, picture.missing, source.duration, picture.kept)


def _told(frames: Frames) -> str:
    return f"{frames.count:,} {'pages' if frames.are_pages else 'frames'}"
