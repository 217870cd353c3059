"""Write the frames of an animation or the pages of a TIFF file, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from cyclegan.data.codecs.contents import Contents
from cyclegan.data.format import Space
from cyclegan.data.picture import Kept, Values
from cyclegan.data.stores import SUFFIXES, OutputFormat
from cyclegan.data.write import Output, contents_of
from cyclegan.util.text import one_line, shown

Write = Callable[[Iterable[tuple[Contents, "float | None"]], int, BinaryIO], None]


class UnwritableFrames(ValueError):
    """The format of a file cannot store the frames; the message is one line with the path and the reason."""


class NewFrame(NamedTuple):
    """A frame or page to write."""

    values: Values
    """(H, W, C) in the units of the file."""
    alpha: npt.NDArray[np.uint8 | np.uint16] | None = None
    """(H, W)."""
    missing: npt.NDArray[np.bool_] | None = None
    """(H, W), true where there is no data."""
    duration: float | None = None
    """Milliseconds; None for a page."""
    kept: Kept | None = None
    """What its source says. Of an animation, that of the first frame counts."""


def _gif(frames: Iterable[tuple[Contents, float | None]], plays: int, file: BinaryIO) -> None:
    from cyclegan.data.codecs.encode_gif import write_gif

    write_gif(frames, plays, file)


def _apng(frames: Iterable[tuple[Contents, float | None]], plays: int, file: BinaryIO) -> None:
    from cyclegan.data.codecs.encode_apng import write_apng

    write_apng(frames, plays, file)


def _webp(frames: Iterable[tuple[Contents, float | None]], plays: int, file: BinaryIO) -> None:
    from cyclegan.data.codecs.encode_webp import write_webp

    write_webp(frames, plays, file)


def _pages(frames: Iterable[tuple[Contents, float | None]], plays: int, file: BinaryIO) -> None:
    from cyclegan.data.codecs.encode_pages import write_pages

    write_pages(frames, plays, file)


WRITERS: dict[OutputFormat, Write] = {"GIF": _gif, "PNG": _apng, "TIFF": _pages, "WEBP": _webp}
"""The formats that hold more than one picture."""


class _OfTheSource(Exception):
    """An error that the iterable of frames raised, on its way through the encoder."""


def can_hold_frames(path: Path) -> bool:
    """Return whether the format that a suffix selects holds more than one picture."""
    return SUFFIXES.get(path.suffix.lower()) in WRITERS


def write_frames(
    path: Path,
    frames: Iterable[NewFrame],
    *,
    plays: int = 0,
    space: Space | None = None,
    options: Output | None = None,
) -> Callable[[BinaryIO], None]:
    """Return a function that writes the frames to an open file of the format that the suffix of `path` selects.

    The file must be seekable. Frames are taken from the iterable one at a time, and at most two are held. `plays` is
    how often an animation plays, 0 without end. All frames of an animation have one size and type, and either all or
    none have alpha; pages of TIFF have their own. GIF keeps alpha as on or off, and 256 colours a frame.
    The function raises UnwritableFrames when the format cannot store them, OSError, and what the iterable raises.
    """

    def write(file: BinaryIO) -> None:
        name = SUFFIXES.get(path.suffix.lower())
        if name not in WRITERS:
            raise UnwritableFrames(f"{shown(path)} cannot be written: {told_cannot(path)}")
        try:
            WRITERS[name](_contents(frames, name, space, options or Output()), plays, file)
        except _OfTheSource as passed:
            assert passed.__cause__ is not None
            raise passed.__cause__ from None
        except OSError as error:
            if error.errno is not None:  # of the disk
                raise
            raise UnwritableFrames(f"{shown(path)} cannot be written: {one_line(str(error))}") from error
        except Exception as error:  # encoders raise almost anything for what they cannot store
            raise UnwritableFrames(f"{shown(path)} cannot be written: {one_line(str(error))}") from error

    return write


def told_cannot(path: Path) -> str:
    """Return why a file of this name cannot hold frames, and what to do."""
    return f"{path.suffix or 'it'} holds one picture, not frames; choose gif, png, tif or webp"


def _contents(
    frames: Iterable[NewFrame], name: OutputFormat, space: Space | None, options: Output
) -> Iterator[tuple[Contents, float | None]]:
    iterator, is_first = iter(frames), True
    while True:
        try:
            frame = next(iterator, None)
        except Exception as error:
            raise _OfTheSource from error
        if frame is None:
            break
        says = is_first or name == "TIFF"
        values, kept = np.ascontiguousarray(frame.values), frame.kept if says else None
        contents = contents_of(name, values, kept, frame.alpha, frame.missing, space if says else None, options)
        yield contents, frame.duration
        is_first = False
    if is_first:
        raise ValueError("there are no frames")
