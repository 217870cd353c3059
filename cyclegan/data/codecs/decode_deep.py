"""Decode with all their bits the PNG, PPM, AVIF and JPEG 2000 files of which Pillow would keep only the high byte."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

from cyclegan.data.codecs import decode_pillow
from cyclegan.data.codecs.decode_pillow import said_by
from cyclegan.data.codecs.limits import check_size
from cyclegan.data.codecs.metadata import upright
from cyclegan.data.codecs.samples import as_alpha, as_values
from cyclegan.data.picture import FilePicture, Kept, Kind

MOST_COMPONENTS = 16_384
"""The largest number of components of JPEG 2000."""


def decode_png(data: bytes) -> FilePicture:
    """Decode a PNG file."""
    return _deep(data, "PNG", imagecodecs.png_decode) if data[24:25] == b"\x10" else decode_pillow.decode(data, "PNG")


def decode_avif(data: bytes) -> FilePicture:
    """Decode an AVIF file; 10 and 12 bits stay 10 and 12 bits, in uint16."""
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    if not flags & 0x40:
        return decode_pillow.decode(data, "AVIF")
    return _deep(data, "AVIF", imagecodecs.avif_decode, white=4095.0 if flags & 0x20 else 1023.0)


def decode_ppm(data: bytes) -> FilePicture:
    """Decode a file of Netpbm; samples of two bytes stay as they are."""
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
        values=as_values(samples),
        kind="grey" if channels == 1 else "rgb",
        window=None if white == 65535 else (0.0, float(white)),
    )


def decode_jpeg2000(data: bytes) -> FilePicture:
    """Decode a JPEG 2000 file; the fourth channel is transparency only if the file says so."""
    boxes = dict(_boxes(data)) if data[4:8] == b"jP  " else {b"jp2c": data}
    stream = boxes.get(b"jp2c", b"")
    if stream[:4] != b"\xff\x4f\xff\x51" or len(stream) < 42:
        raise ValueError("it is damaged or truncated")
    x1, y1, x0, y0 = struct.unpack(">4I", stream[8:24])
    components = int.from_bytes(stream[40:42], "big")
    if not 1 <= components <= MOST_COMPONENTS or len(stream) < 42 + 3 * components:
        raise ValueError("it is damaged or truncated")
    bits, signed = [1 + (stream[42 + 3 * i] & 0x7F) for i in range(components)], stream[42] & 0x80
    check_size(x1 - x0, y1 - y0, components * 2)
    header = dict(_boxes(boxes.get(b"jp2h", b"")))
    colour, definitions = header.get(b"colr", b""), header.get(b"cdef", b"")
    has_alpha = any(definitions[at + 2 : at + 4] in (b"\0\1", b"\0\2") for at in range(2, len(definitions), 6))
    is_plain = max(bits) <= 8 and not signed and (components in (1, 3) or (components in (2, 4) and has_alpha))
    profile = colour[3:] if colour[:1] == b"\2" else None
    if is_plain or b"pclr" in header:
        picture = decode_pillow.decode(data, "JPEG2000")
        return FilePicture(
            values=picture.values, kind=picture.kind, alpha=picture.alpha, profile=profile, kept=picture.kept
        )
    samples = imagecodecs.jpeg2k_decode(data)
    samples = samples.reshape(*samples.shape[:2], -1)
    alpha = samples[..., -1] if has_alpha and samples.shape[2] in (2, 4) and samples.dtype.kind == "u" else None
    colours = samples if alpha is None else samples[..., :-1]
    kinds: dict[int, Kind] = {1: "grey", 3: "rgb"}
    white = float(2 ** max(bits) - 1)
    return FilePicture(
        values=as_values(colours),
        kind=kinds.get(colours.shape[2], "bands"),
        alpha=None if alpha is None else _full(alpha, max(bits)),
        window=None if signed or max(bits) in (8, 16) else (0.0, white),
        profile=profile,
    )


def _deep(data: bytes, file_format: str, decoder: object, white: float = 65535.0) -> FilePicture:
    """Let Pillow read what the file says, and `decoder` its pixels."""
    with Image.open(io.BytesIO(data), formats=[file_format]) as image:
        check_size(image.width, image.height, bytes_of_a_pixel=8)
        said = said_by(image)
    samples: npt.NDArray[np.uint16] = decoder(data)  # type: ignore[operator]
    samples = samples.reshape(*samples.shape[:2], -1)
    has_alpha = samples.shape[2] in (2, 4)
    colours = upright(samples[..., :-1] if has_alpha else samples, said.turn)
    bits = int(white).bit_length()
    return FilePicture(
        values=as_values(colours),
        kind="grey" if colours.shape[2] == 1 else "rgb",
        alpha=_full(upright(samples[..., -1], said.turn), bits) if has_alpha else None,
        window=None if white == 65535 else (0.0, white),
        profile=said.profile,
        kept=Kept(exif=said.kept.exif, dpi=said.kept.dpi),
    )


def _full(alpha: npt.NDArray[np.uint16], bits: int) -> npt.NDArray[np.uint8 | np.uint16]:
    """Scale transparency of `bits` bits to the whole range of its type."""
    if bits in (8, 16):
        return np.ascontiguousarray(alpha)
    return as_alpha(alpha / np.float32(2**bits - 1))


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
