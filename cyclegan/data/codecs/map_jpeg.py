"""Decode a large JPEG file to memory that the caller provides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

from cyclegan.data.codecs.decode_pillow import said_by
from cyclegan.data.codecs.limits import check_size
from cyclegan.data.codecs.stored import Make, Stored, copied
from cyclegan.data.picture import FilePicture, Kind

KINDS: dict[str, tuple[int, Kind]] = {"L": (1, "grey"), "RGB": (3, "rgb"), "CMYK": (4, "cmyk")}
"""The channels of each mode of Pillow, and what they are."""

MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a segment after them: restarts, the start of the picture."""
END = 0xD9
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of the segment that states the size."""


def open_jpeg(path: Path) -> Stored | None:
    """Open a JPEG file; None for one of unusual components."""
    with Image.open(path, formats=["JPEG"]) as image:
        check_size(image.width, image.height, bytes_of_a_pixel=4)
        said, size, mode = said_by(image), (image.height, image.width), image.mode
    if mode not in KINDS:
        return None
    channels, kind = KINDS[mode]

    def decode(make: Make) -> npt.NDArray[Any]:
        data = copied(path, make)
        if not is_complete(data):  # libjpeg would fill the rest with grey
            raise ValueError("the file is truncated")
        samples = make((*size, channels), np.uint8)
        imagecodecs.jpeg8_decode(data, out=samples if channels > 1 else samples[..., 0])
        return samples

    def picture(rows: npt.NDArray[Any]) -> FilePicture:
        values = 255 - rows if kind == "cmyk" else rows  # inks are stored inverted, as Photoshop and Pillow have it
        return FilePicture(values=values, kind=kind, turned=said.turn != 1, profile=said.profile, kept=said.kept)

    return Stored(shape=(*size, channels), dtype=np.dtype(np.uint8), said=said, decode=decode, picture=picture)


def is_complete(data: bytes | memoryview) -> bool:
    """Return whether the first picture of a JPEG file has its end."""
    return any(marker == END for marker, _ in _markers(data))


def size_in(data: bytes | memoryview) -> tuple[int, int]:
    """Return the size (H, W) that a JPEG file states. Raises ValueError if it states none."""
    at = next((at for marker, at in _markers(data) if marker in FRAMES), None)
    if at is None:
        raise ValueError("its JPEG data are damaged")
    return int.from_bytes(data[at + 3 : at + 5], "big"), int.from_bytes(data[at + 5 : at + 7], "big")


def _markers(data: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """Yield each marker up to the end of the first picture, and where its segment begins (ITU-T T.81, B.1)."""
    at, marker = 0, 0
    while marker != END and (found := MARKER.search(data, at)) is not None:
        marker, at = found[1][0], found.end()
        yield marker, at
        if marker not in ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
