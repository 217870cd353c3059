"""Decode a large PNG file to memory that the caller provides."""

from __future__ import annotations

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
from cyclegan.data.picture import FilePicture, Kept

CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""The number of channels of each colour type (PNG 1.2, 4.1.1); a palette is decoded to its colours."""

BEGIN = 8 + 25
"""Bytes before the second chunk."""


def open_png(path: Path) -> Stored:
    """Open a PNG file of any type; fewer than 8 bits and palettes become 8 bits."""
    with path.open("rb") as file:
        head = file.read(BEGIN)
        chunks = list(_chunks(file))
        late = next(((at, size) for kind, at, size in chunks if kind == b"eXIf"), None)
        exif = _content(file, *late) if late else None
    with Image.open(path, formats=["PNG"]) as image:
        check_size(image.width, image.height, bytes_of_a_pixel=8)
        if exif is not None:  # Pillow finds what follows the pixels only when it has decoded them
            image.info.setdefault("exif", b"Exif\0\0" + exif)
        said, size = said_by(image), (image.height, image.width)
    depth, colour = head[24], head[25]
    if depth == 16:  # as `decode_png` keeps it
        said = said._replace(kept=Kept(exif=said.kept.exif, dpi=said.kept.dpi))
    is_clear_somewhere = colour in (0, 2, 3) and any(kind == b"tRNS" for kind, *_ in chunks)
    channels = CHANNELS[colour] + is_clear_somewhere
    dtype = np.dtype(np.uint16 if depth == 16 else np.uint8)

    def decode(make: Make) -> npt.NDArray[Any]:
        samples = make((*size, channels), dtype)
        imagecodecs.png_decode(copied(path, make), out=samples if channels > 1 else samples[..., 0])
        return samples

    def picture(rows: npt.NDArray[Any]) -> FilePicture:
        has_alpha = channels in (2, 4)
        return FilePicture(
            values=rows[..., :-1] if has_alpha else rows,
            kind="grey" if channels < 3 else "rgb",
            alpha=rows[..., -1] if has_alpha else None,
            turned=said.turn != 1,
            profile=said.profile,
            kept=said.kept,
        )

    return Stored(shape=(*size, channels), dtype=dtype, said=said, decode=decode, picture=picture)


def _chunks(file: Any) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each chunk, where its content begins, and its length; up to the end, or to damage."""
    at = 8
    while len(head := _content(file, at, 8)) == 8:
        size = int.from_bytes(head[:4], "big")
        yield head[4:], at + 8, size
        at += 12 + size


def _content(file: Any, at: int, size: int) -> bytes:
    file.seek(at)
    content: bytes = file.read(size)
    return content
