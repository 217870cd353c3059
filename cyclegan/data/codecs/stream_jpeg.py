"""Write a JPEG file by strips of rows, each encoded on its own, with restart markers between them (ITU-T T.81, E.1.4).

A restart begins the prediction of mean values anew and changes nothing else: the pixels are those of a file that was
encoded as a whole.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, BinaryIO

from PIL import Image

from cyclegan.data.codecs.contents import Contents
from cyclegan.data.codecs.encode_pillow import options_of

BLOCK = 8
"""Pixels on a side of a unit that is encoded at once; with full resolution of colours, one block."""

MOST_UNITS = 65_535
"""Units between two restarts, at most."""

SAMPLES = 2**21
"""About so many samples of a strip are enough."""

START_OF_FRAME, START_OF_SCAN = 0xC0, 0xDA


def rows_of_a_strip(whole: Contents) -> int:
    """Return how many rows a strip has."""
    across = -(-whole.size[0] // BLOCK)
    enough = SAMPLES // (BLOCK * whole.samples_of_a_row)
    return BLOCK * max(1, min(enough, MOST_UNITS // across))


def write(file: BinaryIO, whole: Contents, strips: Iterable[Contents]) -> None:
    """Write a file from strips of `rows_of_a_strip` rows, the last of fewer; `whole` says what the file says."""
    options = options_of(whole, "JPEG")
    alike = {name: options[name] for name in ("quality", "subsampling")}
    for number, strip in enumerate(strips):
        data = _encoded(strip, alike if number else options)
        scan = _find(data, START_OF_SCAN)
        begin = scan + int.from_bytes(data[scan + 2 : scan + 4], "big") + 2
        if number:
            file.write(bytes((0xFF, 0xD0 + (number - 1) % 8)))
        else:
            file.write(_header(data[:begin], scan, whole))
        file.write(memoryview(data)[begin:-2])
    file.write(b"\xff\xd9")


def _header(header: bytes, scan: int, whole: Contents) -> bytes:
    """Return the header of the first strip with the height of the picture and the distance between restarts."""
    width, height = whole.size
    units = -(-width // BLOCK) * rows_of_a_strip(whole) // BLOCK
    frame = _find(header, START_OF_FRAME) + 5
    restarts = b"\xff\xdd\0\4" + units.to_bytes(2, "big")
    return header[:frame] + height.to_bytes(2, "big") + header[frame + 2 : scan] + restarts + header[scan:]


def _encoded(strip: Contents, options: dict[str, Any]) -> bytes:
    values = strip.values
    image = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    image.save(file := io.BytesIO(), format="JPEG", **options)
    return file.getvalue()


def _find(data: bytes, marker: int) -> int:
    """Return where the segment of a marker begins."""
    at = 2
    while data[at + 1] != marker:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at
