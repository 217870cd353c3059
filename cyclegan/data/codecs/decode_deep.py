"""Decode with all their bits the PNG, PPM, AVIF and JPEG 2000 files of which Pillow would keep only the high byte."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

from cyclegan.data.codecs import decode_pillow
from cyclegan.data.codecs.decode_pillow import said_by
from cyclegan.data.codecs.limits import check_size
from cyclegan.data.codecs.metadata import upright
from cyclegan.data.codecs.samples import as_values, of_sixteen_bits
from cyclegan.data.picture import FilePicture, Kept, Kind

logging.getLogger("imagecodecs").addHandler(logging.NullHandler())  # it logs odd metadata, by default to the terminal

Decoder: TypeAlias = Callable[[bytes], npt.NDArray[np.uint16]]
"""Decodes a file to samples (H, W) or (H, W, C)."""

MOST_COMPONENTS = 16_384
"""The largest number of components of JPEG 2000."""


def decode_png(data: bytes) -> FilePicture:
    """Decode a PNG file."""
    return _deep(data, "PNG", imagecodecs.png_decode) if data[24:25] == b"\x10" else decode_pillow.decode(data, "PNG")


def decode_avif(data: bytes) -> FilePicture:
    """Decode an AVIF file; 10 and 12 bits are scaled to 16."""
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    if not flags & 0x40:
        return decode_pillow.decode(data, "AVIF")
    return _deep(data, "AVIF", imagecodecs.avif_decode, white=4095 if flags & 0x20 else 1023)


def decode_ppm(data: bytes) -> FilePicture:
    """Decode a file of Netpbm; samples of two bytes are scaled to 16 bits from the white that the file states."""
    kind, numbers, begin = _ppm_header(data)
    if kind not in (b"P5", b"P6") or len(numbers) < 3 or not 256 <= numbers[2] <= 65535:
        return decode_pillow.decode(data, "PPM")
    width, height, white = numbers
    channels = 1 if kind == b"P5" else 3
    check_size(width, height, 2 * channels)
    if len(data) < begin + width * height * channels * 2:
        raise ValueError("the file is truncated")
    samples = np.frombuffer(data, ">u2", width * height * channels, begin).reshape(height, width, channels)
    return FilePicture(
        values=of_sixteen_bits(samples, white),
        kind="grey" if channels == 1 else "rgb",
    )


def decode_jpeg2000(data: bytes) -> FilePicture:
    """Decode a JPEG 2000 file; the fourth channel is transparency only if the file says so.

    Colours of more than 8 bits are scaled to 16 bits; grey and bands, which can be measurements, stay as they are.
    """
    boxes = dict(_boxes(data)) if data[4:8] == b"jP  " else {b"jp2c": data}
    stream = boxes.get(b"jp2c", b"")
    if stream[:4] != b"\xff\x4f\xff\x51" or len(stream) < 42:
        raise ValueError("it is damaged or truncated")
    x1, y1, x0, y0 = struct.unpack(">4I", stream[8:24])
    components = int.from_bytes(stream[40:42], "big")
    if not 1 <= components <= MOST_COMPONENTS or len(stream) < 42 + 3 * components:
        raise ValueError("it is damaged or truncated")
    bits, signed = [1 + (stream[42 + 3 * i] & 0x7F) for i in range(components)], stream[42] & 0x80
    check_size(x1 - x0, y1 - y0, components * 8)  # OpenJPEG decodes to four bytes, and copies
    header = dict(_boxes(boxes.get(b"jp2h", b"")))
    colour, definitions = header.get(b"colr", b""), header.get(b"cdef", b"")
    has_alpha = any(definitions[at + 2 : at + 4] in (b"\0\1", b"\0\2") for at in range(2, len(definitions), 6))
    is_plain = max(bits) <= 8 and not signed and (components in (1, 3) or (components in (2, 4) and has_alpha))
    profile = colour[3:] if colour[:1] == b"\2" else None
    if is_plain or b"pclr" in header:
        picture = decode_pillow.decode(data, "JPEG2000")
        return replace(picture, profile=profile)
    samples = imagecodecs.jpeg2k_decode(stream)  # not `data`: OpenJPEG would apply the profile, and wrongly
    samples = samples.reshape(*samples.shape[:2], -1)
    alpha = samples[..., -1] if has_alpha and samples.shape[2] in (2, 4) and samples.dtype.kind == "u" else None
    colours = samples if alpha is None else samples[..., :-1]
    kinds: dict[int, Kind] = {1: "grey", 3: "rgb"}
    kind, white = kinds.get(colours.shape[2], "bands"), 2 ** max(bits) - 1
    is_scaled = kind == "rgb" and not signed and 8 < max(bits) < 16
    return FilePicture(
        values=of_sixteen_bits(colours, white) if is_scaled else as_values(colours),
        kind=kind,
        alpha=None if alpha is None else of_sixteen_bits(alpha, white),
        window=None if signed or is_scaled or max(bits) in (8, 16) else (0.0, float(white)),
        profile=profile,
    )


def _deep(data: bytes, file_format: str, decoder: Decoder, white: int = 65535) -> FilePicture:
    """Let Pillow read what the file says, and `decoder` its pixels, of which `white` is the largest."""
    with Image.open(io.BytesIO(data), formats=[file_format]) as image:
        check_size(image.width, image.height, bytes_of_a_pixel=8)
        said = said_by(image)
    decoded = decoder(data)
    samples = upright(of_sixteen_bits(decoded.reshape(*decoded.shape[:2], -1), white), said.turn)
    has_alpha = samples.shape[2] in (2, 4)
    colours = samples[..., :-1] if has_alpha else samples
    return FilePicture(
        values=np.ascontiguousarray(colours),
        kind="grey" if colours.shape[2] == 1 else "rgb",
        alpha=np.ascontiguousarray(samples[..., -1]) if has_alpha else None,
        turned=said.turn != 1,
        profile=said.profile,
        kept=Kept(exif=said.kept.exif, dpi=said.kept.dpi),
    )


def _ppm_header(data: bytes) -> tuple[bytes, list[int], int]:
    """Return the magic number, up to three numbers, and where the samples begin."""
    numbers: list[int] = []
    at, end = 2, min(len(data), 10_000)
    while len(numbers) < 3 and at < end:
        if data[at : at + 1].isspace():
            at += 1
        elif data[at : at + 1] == b"#":
            at = data.find(b"\n", at) + 1 or end
        else:
            begin = at
            while at < end and data[at : at + 1].isdigit() and at - begin < 10:
                at += 1
            if at == begin:
                break
            numbers.append(int(data[begin:at]))
    return data[:2], numbers, at + 1


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and the content of each box of a JPEG 2000 file; of two of one type, `dict` keeps the last."""
    at = 0
    while at + 8 <= len(data):
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < head:
            return
        yield kind, data[at + head : at + size]
        at += size
