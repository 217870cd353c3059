"""Encode with 16 bits the PNG, PPM and JPEG 2000 files of which Pillow would write only 8."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np

from cyclegan.data.codecs.contents import Contents
from cyclegan.data.codecs.encode_pillow import exif_of

INCHES_PER_METRE = 1 / 0.0254
END_OF_HEADER = 8 + 25
"""Bytes of a PNG file before its second chunk."""


def encode_png(contents: Contents) -> bytes:
    """Encode a PNG file of 16 bits, with the chunks that the encoder does not know."""
    samples = contents.with_alpha()
    data = bytes(imagecodecs.png_encode(samples[..., 0] if samples.shape[2] == 1 else samples))
    chunks, exif = b"", exif_of(contents)
    if contents.profile is not None:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(contents.profile))
    if contents.kept.dpi is not None:
        across, down = (round(dots * INCHES_PER_METRE) for dots in contents.kept.dpi)
        chunks += _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    if exif is not None:
        chunks += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return data[:END_OF_HEADER] + chunks + data[END_OF_HEADER:]


def encode_ppm(contents: Contents) -> bytes:
    """Encode a file of Netpbm of 16 bits."""
    height, width, channels = contents.values.shape
    header = f"P{5 if channels == 1 else 6}\n{width} {height}\n65535\n".encode()
    return header + contents.values.astype(">u2").tobytes()


def encode_jpeg2000(contents: Contents) -> bytes:
    """Encode a JPEG 2000 file of 16 bits or many channels without loss, and without transparency."""
    values = contents.filled()
    samples = values[..., 0] if values.shape[2] == 1 else values
    return bytes(imagecodecs.jpeg2k_encode(np.ascontiguousarray(samples), level=0, codecformat="jp2"))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
