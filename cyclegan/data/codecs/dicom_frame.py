"""The numbers that the first frame of a DICOM file stores, of all usual compressions (PS3.5 A.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import convert_color_space, pixel_array

Decoder = Callable[[bytes], npt.NDArray[Any]]

JPEG_SYNTAXES = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70))
"""Baseline, 12 bits, and lossless, which most scanners write."""

DECODERS: dict[str, Decoder] = {
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (80, 81)), imagecodecs.jpegls_decode),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (90, 91)), imagecodecs.jpeg2k_decode),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203)), imagecodecs.htj2k_decode),
}
"""JPEG-LS, JPEG 2000 and HTJ2K."""


def first_frame(dataset: Dataset) -> npt.NDArray[Any]:
    """Return (H, W), or (H, W, 3) as RGB; signed or unsigned as the file says, without bits that are not its pixels.

    Raises ValueError for a frame of another size than the file says, and for a compression of which no decoder is
    installed; almost anything for damaged files.
    """
    syntax, photometric = str(dataset.file_meta.TransferSyntaxUID), str(dataset.PhotometricInterpretation)
    if syntax in JPEG_SYNTAXES:
        pixels = _jpeg(_frame(dataset), photometric)
    elif syntax in DECODERS:
        pixels = DECODERS[syntax](_frame(dataset))
        if photometric.startswith("YBR_FULL"):
            pixels = convert_color_space(pixels, "YBR_FULL", "RGB")
    else:
        pixels = pixel_array(dataset, index=0)
    size = (int(dataset.Rows), int(dataset.Columns))
    if pixels.shape[:2] != size:
        raise ValueError(f"its frame has {pixels.shape[:2]} pixels, its header says {size}")
    return _within_bits(pixels, int(dataset.get("BitsStored", 0)), signed=dataset.get("PixelRepresentation") == 1)


def _frame(dataset: Dataset) -> bytes:
    """Return the compressed first frame, whose own header has been compared with the file's before it is decoded."""
    frames = int(dataset.get("NumberOfFrames") or 1)
    frame: bytes = get_frame(dataset.PixelData, 0, number_of_frames=frames)
    shape = _shape_of_jpeg(frame) if frame[:2] == b"\xff\xd8" else _shape_of_jpeg2000(frame)
    if shape != (int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel", 1))):
        raise ValueError("its compressed frame is damaged, or of another size than its header says")
    return frame


def _shape_of_jpeg(frame: bytes) -> tuple[int, int, int] | None:
    """Return the height, width and channels that the header of JPEG or JPEG-LS states."""
    at = 2
    while at + 10 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            height, width = (int.from_bytes(frame[at + i : at + i + 2], "big") for i in (5, 7))
            return height, width, frame[at + 9]
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _shape_of_jpeg2000(frame: bytes) -> tuple[int, int, int] | None:
    """Return the height, width and channels that the header of a JPEG 2000 codestream states."""
    at = frame.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(frame) < at + 42:
        return None
    x1, y1, x0, y0 = (int.from_bytes(frame[at + i : at + i + 4], "big") for i in (8, 12, 16, 20))
    return y1 - y0, x1 - x0, int.from_bytes(frame[at + 40 : at + 42], "big")


def _jpeg(frame: bytes, photometric: str) -> npt.NDArray[Any]:
    """Decode JPEG; the file, not the JPEG data, says which colours it holds."""
    if photometric.startswith("MONOCHROME") or photometric == "PALETTE COLOR":
        return np.asarray(imagecodecs.jpeg_decode(frame))
    stored = (
        "rgb"
        if photometric == "RGB" and b"\xff\xee\0\x0eAdobe" not in frame[:1024] and b"JFIF" not in frame[:64]
        else None
    )
    return np.asarray(imagecodecs.jpeg_decode(frame, colorspace=stored, outcolorspace="rgb"))


def _within_bits(pixels: npt.NDArray[Any], bits: int, *, signed: bool) -> npt.NDArray[Any]:
    """Return integers of `bits` bits without what is stored above them (overlays), and with their sign."""
    if pixels.dtype.kind not in "iu":
        return pixels
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    shift = 8 * pixels.dtype.itemsize - bits if bits else 0
    shifted: npt.NDArray[Any] = _signed(pixels << shift, signed) >> shift
    return shifted


def _signed(pixels: npt.NDArray[Any], signed: bool) -> npt.NDArray[Any]:
    """Return the same bits as signed or unsigned integers."""
    return pixels.view(f"{'i' if signed else 'u'}{pixels.dtype.itemsize}")
