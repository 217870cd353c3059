"""The frames of an animation (GIF, WebP, APNG) and the pages of a TIFF file, decoded one at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image

from cyclegan.data.codecs import decode_pillow
from cyclegan.data.codecs.animation import FOREVER, InFile, animation_of
from cyclegan.data.codecs.limits import check_size
from cyclegan.data.codecs.signature import HEAD, Format, format_of
from cyclegan.data.files import UnreadableImage, contents
from cyclegan.data.picture import FilePicture
from cyclegan.data.read import read_bytes, unreadable, with_holes
from cyclegan.util.text import shown


class Frame(NamedTuple):
    """One frame of an animation, or one page."""

    picture: FilePicture
    """The whole frame, as it is seen: composed of its parts and of the frames before it."""
    duration: float | None
    """Milliseconds for which it is shown; None for a page, which has no time."""


@dataclass(frozen=True)
class Frames:
    """The pictures in one file; iterating decodes them again each time, one after the other, and holds only one.

    Iterating raises UnreadableImage, see `read_picture`, when it comes to a damaged frame.
    """

    data: bytes = field(repr=False)
    """The file."""
    name: str
    """How errors call it."""
    format: Format | None
    """None for a file of no format that is read."""
    count: int
    """How many there are; 1 for an ordinary picture."""
    plays: int
    """How often an animation plays; 0 is without end."""
    transparent: bool
    """Whether the frames of an animation have transparency; then each has an alpha, else none has."""

    @property
    def are_pages(self) -> bool:
        """Whether they are pages, which have no duration, and each a size and a type of its own."""
        return self.format == "TIFF"

    def __iter__(self) -> Iterator[Frame]:
        if self.count == 1:
            yield Frame(read_bytes(self.data, self.name), None)
            return
        decoded, number = _pages(self.data) if self.are_pages else self._frames(), 0
        try:
            for number, frame in enumerate(decoded, start=1):  # noqa: B007  # for the message
                yield frame
        except GeneratorExit:
            raise
        except Exception as error:  # decoders raise almost anything on damaged files
            what = "page" if self.are_pages else "frame"
            raise unreadable(f"{self.name}, {what} {number + 1} of {self.count:,},", error) from error

    def _frames(self) -> Iterator[Frame]:
        assert self.format is not None
        with Image.open(io.BytesIO(self.data), formats=[self.format]) as image:
            check_size(image.width, image.height, bytes_of_a_pixel=4)
            first = 1 if image.info.get("default_image") else 0  # a still picture for viewers without animation
            for number in range(first, first + self.count):
                image.seek(number)
                image.load()
                frame = decode_pillow.picture_of(self._uniform(image))
                yield Frame(frame, float(image.info.get("duration", 0)))

    def _uniform(self, image: Image.Image) -> Image.Image:
        """Return a frame whose channels are those of all frames of its file; of GIF, grey is not told from colour."""
        grey = self.format == "PNG" and image.mode in ("1", "L", "LA", "I", "I;16")
        if grey and image.mode.startswith("I"):
            return image
        mode = ("LA" if grey else "RGBA") if self.transparent else "L" if grey else "RGB"
        if image.mode == mode:
            return image
        converted = image.convert(mode)
        converted.info = {name: value for name, value in image.info.items() if name != "transparency"}
        return converted


def open_frames(data: bytes, name: str) -> Frames:
    """Return the pictures in the bytes of a file, of which nothing is decoded yet; `name` stands in errors.

    Raises UnreadableImage for a TIFF file whose pages cannot be counted.
    """
    found = format_of(data[:HEAD], Path(name))
    if found == "TIFF":
        return Frames(data, name, found, _count_pages(io.BytesIO(data), name), FOREVER, False)
    animation = animation_of(data, found)
    return Frames(data, name, found, *animation)


def read_frames(path: Path) -> Frames:
    """Read a file and return its pictures, of which nothing is decoded yet. Raises UnreadableImage."""
    try:
        data = contents(path)
    except (OSError, ValueError, MemoryError) as error:
        raise unreadable(shown(path), error) from error
    return open_frames(data, shown(path))


def frame_count(path: Path) -> int:
    """Return how many pictures a file holds; 1 for most, and for one that is no picture.

    Of a file, only what says so is read; of GIF, all.
    Raises UnreadableImage when the file cannot be opened, and for a TIFF file whose pages cannot be counted.
    """
    try:
        if not path.is_file():  # opening a pipe would wait forever
            return read_frames(path).count
        with path.open("rb") as file:
            found = format_of(file.read(HEAD), path)
            if found == "TIFF":
                return _count_pages(file, shown(path))
            if found == "GIF":
                return animation_of(contents(path), found).frames
            return animation_of(InFile(file), found).frames
    except UnreadableImage:
        raise
    except (OSError, ValueError, MemoryError) as error:
        raise unreadable(shown(path), error) from error


def _count_pages(file: BinaryIO, name: str) -> int:
    from cyclegan.data.codecs.tiff_stack import page_numbers  # tifffile takes long to import

    try:
        file.seek(0)
        return len(page_numbers(file))
    except Exception as error:  # as in `read_bytes`
        raise unreadable(name, error) from error


def _pages(data: bytes) -> Iterator[Frame]:
    from cyclegan.data.codecs import decode_tiff

    for page in decode_tiff.decode_pages(data):
        yield Frame(with_holes(page), None)
