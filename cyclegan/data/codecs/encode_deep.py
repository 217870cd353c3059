"""Encode with 16 bits the PNG, PPM and JPEG 2000 files of which Pillow would write only 8."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np

from cyclegan.data.codecs import encode_pillow
from cyclegan.data.codecs.contents import Contents
from cyclegan.data.codecs.encode_pillow import exif_of

INCHES_PER_METRE = 1 / 0.0254
END_OF_HEADER = 8 + 25
"""Bytes of a PNG file before its second chunk."""


def encode_png(contents: Contents) -> bytes:
    """Encode a PNG file of 16 bits, with the chunks that the encoder does not know."""
    samples = contents.with_alpha()
    data = bytes(imagecodecs.png_encode(samples[..., 0] if samples.shape[2] == 1 else samples))
    return data[:END_OF_HEADER] + chunks_of(contents) + data[END_OF_HEADER:]


def chunks_of(contents: Contents) -> bytes:
    """Return the chunks of a PNG file that follow its header: profile, resolution, EXIF data."""
    chunks, exif = b"", exif_of(contents)
    if contents.profile is not None:
        chunks += chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(contents.profile))
    if contents.kept.dpi is not None:
        across, down = (round(dots * INCHES_PER_METRE) for dots in contents.kept.dpi)
        chunks += chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    if exif is not None:
        chunks += chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return chunks


def encode_ppm(contents: Contents) -> bytes:
    """Encode a file of Netpbm of 16 bits."""
    height, width, channels = contents.values.shape
    header = f"P{5 if channels == 1 else 6}\n{width} {height}\n65535\n".encode()
    return header + contents.values.astype(">u2").tobytes()


def encode_jpeg2000(contents: Contents) -> bytes:
    """Encode a JPEG 2000 file without loss; only 8 bits can be transparent."""
    values = contents.filled()
    if contents.alpha is not None and values.dtype == np.uint8 and values.shape[2] <= 3:
        return _tagged(encode_pillow.encode(contents, "JPEG2000"), contents.profile)
    samples = np.ascontiguousarray(values[..., 0] if values.shape[2] == 1 else values)
    return _tagged(bytes(imagecodecs.jpeg2k_encode(samples, level=0, codecformat="jp2")), contents.profile)


def _tagged(data: bytes, profile: bytes | None) -> bytes:
    """Return a JPEG 2000 file with a profile in place of its name of a colour space (ISO 15444-1, I.5.3.3)."""
    header, colour = data.find(b"jp2h"), data.find(b"colr")
    if profile is None or min(header, colour) < 4:
        return data
    size = int.from_bytes(data[colour - 4 : colour], "big")
    box = struct.pack(">I4s3B", 11 + len(profile), b"colr", 2, 0, 0) + profile
    length = int.from_bytes(data[header - 4 : header], "big") + len(box) - size
    between = data[header : colour - 4]
    return data[: header - 4] + length.to_bytes(4, "big") + between + box + data[colour - 4 + size :]


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
