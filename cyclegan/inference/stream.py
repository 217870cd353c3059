"""Translating one picture from its bytes to the bytes of its translation."""

from __future__ import annotations

import io
from pathlib import Path

from cyclegan.data.convert import values_of
from cyclegan.data.frames import open_frames
from cyclegan.data.read import read_bytes
from cyclegan.data.write import encoded
from cyclegan.inference.frames import Translates, translated_frames
from cyclegan.inference.graph.nodes import Code
from cyclegan.inference.options import Options
from cyclegan.inference.outputs import stream_suffix
from cyclegan.inference.prepare import finish, prepare


def translate_stream(
    translator: Translates,
    data: bytes,
    options: Options | None = None,
    *,
    name: str = "stdin",
    style: Code | None = None,
) -> bytes:
    """Translate the bytes of a picture file, and return those of its translation.

    It has the format of the source, by its first bytes, if that can store pictures of the target domain, else PNG or
    TIFF; `options` choose another. All frames of an animation and all pages of a TIFF file are translated. `name`
    stands in errors. `style` is a style code, (1, S), for a model with styles.
    Raises UnreadableImage when it cannot be read, ValueError when it cannot be translated or the format of `options`
    cannot store the translation, and UnwritableImage or UnwritableFrames when the format cannot store this one.
    """
    options = options or Options()
    path = Path(f"{name}{stream_suffix(data, name, translator.target, options.output)}")
    frames = open_frames(data, name)
    if frames.count > 1:
        translated_frames(translator, frames, path, options=options, style=style)(file := io.BytesIO())
        return file.getvalue()
    prepared = prepare(read_bytes(data, name), translator.source, options)
    [made] = translator.translate_pixels(prepared.pixels[None], style)
    picture = prepared.picture
    return encoded(
        values_of(finish(prepared, made, options, ""), translator.target),
        path,
        kept=picture.kept,
        alpha=picture.alpha,
        missing=picture.missing,
        space=translator.target.space,
        options=options.output,
    )
