"""Translating one picture from its bytes to the bytes of its translation."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from cyclegan.data.convert import values_of
from cyclegan.data.frames import open_frames
from cyclegan.data.read import read_bytes
from cyclegan.data.write import Output, encoded
from cyclegan.inference.frames import Translates, translated_frames
from cyclegan.inference.outputs import stream_suffix
from cyclegan.inference.prepare import prepare


def translate_stream(
    translator: Translates, data: bytes, output: Output | None = None, *, size: int | None = None, name: str = "stdin"
) -> bytes:
    """Translate the bytes of a picture file, and return those of its translation.

    It has the format of the source, by its first bytes, if that can store pictures of the target domain, else PNG or
    TIFF; `output` chooses another. All frames of an animation and all pages of a TIFF file are translated. `name`
    stands in errors.
    Raises UnreadableImage when it cannot be read, ValueError when it cannot be translated or `output` cannot store the
    translation, and UnwritableImage or UnwritableFrames when the format cannot store this one.
    """
    output = output or Output()
    path = Path(f"{name}{stream_suffix(data, name, translator.target, output)}")
    frames = open_frames(data, name)
    if frames.count > 1:
        translated_frames(translator, frames, path, size=size, output=output)(file := io.BytesIO())
        return file.getvalue()
    pixels, picture, _ = prepare(read_bytes(data, name), translator.source, size, name)
    [made] = translator.translate_pixels(np.stack([pixels]))
    return encoded(
        values_of(made, translator.target),
        path,
        kept=picture.kept,
        alpha=picture.alpha,
        missing=picture.missing,
        space=translator.target.space,
        options=output,
    )
