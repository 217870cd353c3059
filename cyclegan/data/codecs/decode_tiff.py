"""Decode TIFF of any depth and any number of bands, and GeoTIFF (TIFF 6.0; OGC 19-008; GDAL's own tags)."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from tifffile import TiffFile, TiffPage

from cyclegan.data.codecs import decode_pillow
from cyclegan.data.codecs.decode_pillow import Said
from cyclegan.data.codecs.limits import check_size, most_bytes
from cyclegan.data.codecs.metadata import exif_in, upright
from cyclegan.data.codecs.samples import as_alpha, as_values, divided, of_sixteen_bits, without_data
from cyclegan.data.codecs.tiff_said import NODATA, said_by
from cyclegan.data.codecs.tiff_stack import channels_of, page_numbers
from cyclegan.data.picture import FilePicture, Kept, Kind, Values

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # it logs every odd tag, by default to the terminal

COMPRESSIONS = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
"""None, LZW, deflate, PackBits, LZMA and zstd: those whose result cannot grow beyond what the header says.

The others hold whole pictures (JPEG) or bits (fax); libtiff, through Pillow, checks their size before it decodes them.
"""

MINISWHITE, MINISBLACK, RGB, PALETTE, SEPARATED, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
PREMULTIPLIED, STRAIGHT = 1, 2
"""Kinds of extra samples that are transparency; 0, unspecified, is a band."""

COLOURS: dict[int, tuple[int, Kind]] = {
    MINISWHITE: (1, "grey"),
    MINISBLACK: (1, "grey"),
    RGB: (3, "rgb"),
    PALETTE: (1, "rgb"),
    SEPARATED: (4, "cmyk"),
    CIELAB: (3, "lab"),
    ICCLAB: (3, "lab"),
}
"""The number of channels of each photometric interpretation, and what they are."""


def decode(data: bytes) -> FilePicture:
    """Decode the first page of a TIFF file, or all its pages if it declares them to be channels (OME, ImageJ).

    Raises almost anything on damaged files.
    """
    with TiffFile(io.BytesIO(data)) as file:
        page = first_page(file)
        if is_for_pillow(page):
            return _by_pillow(data, said_by(file, page, exif_in(data)).kept, page)
        return _decoded(file, page, data, is_first=True)


def decode_pages(data: bytes) -> Iterator[FilePicture]:
    """Decode the pages of a TIFF file one after the other; each is a picture of its own kind. See `page_numbers`.

    Raises almost anything on damaged files.
    """
    numbers = page_numbers(io.BytesIO(data))
    if numbers == [0]:
        yield decode(data)
        return
    with TiffFile(io.BytesIO(data)) as file, ExitStack() as stack:
        image: Image.Image | None = None
        for number in numbers:
            page = file.pages[number]
            if not isinstance(page, TiffPage):
                raise ValueError("it is damaged")
            if not is_for_pillow(page):
                yield _decoded(file, page, data, is_first=False)
                continue
            check_size(page.imagewidth, page.imagelength, bytes_of_a_pixel=4)
            image = image or stack.enter_context(Image.open(io.BytesIO(data), formats=["TIFF"]))
            image.seek(number)
            yield decode_pillow.picture_of(image)


def _decoded(file: TiffFile, page: TiffPage, data: bytes, *, is_first: bool) -> FilePicture:
    """Decode a page; if it is the first of a stack of grey channels, all of them."""
    check(page, len(data))
    values, alpha, kind = channels_in(as_rows(page.asarray(maxworkers=1), page), page)
    if is_first and kind == "grey" and alpha is None and (stack := channels_of(file)) is not None:
        values, kind = as_values(stack), "bands"
    said = said_by(file, page, _exif_at(data, file, page))
    picture = picture_of(values, alpha, kind, page, said)
    missing = picture.missing
    return replace(
        picture,
        values=upright(values, said.turn),
        alpha=None if alpha is None else upright(alpha, said.turn),
        missing=None if missing is None else upright(missing, said.turn),
    )


def _exif_at(data: bytes, file: TiffFile, page: TiffPage) -> Image.Exif:
    """Return the EXIF data of a page; empty if it is damaged."""
    if page.index == 0:
        return exif_in(data)
    exif = Image.Exif()
    exif.endian, exif.bigtiff = file.byteorder, file.is_bigtiff
    try:
        exif.load_from_fp(io.BytesIO(data), page.offset)
    except Exception:  # damaged metadata can raise almost anything
        return Image.Exif()
    return exif


def first_page(file: TiffFile) -> TiffPage:
    """Return the first page of a file. Raises ValueError if it is damaged."""
    page = file.pages.first
    if not isinstance(page, TiffPage):
        raise ValueError("its first page is damaged")
    return page


def picture_of(
    values: Values, alpha: npt.NDArray[np.uint8 | np.uint16] | None, kind: Kind, page: TiffPage, said: Said
) -> FilePicture:
    """Return the picture of rows of a page as they are stored, not upright."""
    return FilePicture(
        values=values,
        kind=kind,
        begins_with_rgb=page.photometric == RGB,
        alpha=alpha,
        missing=without_data(values, said.kept.nodata),
        window=_window(page, kind),
        turned=said.turn != 1,
        profile=said.profile,
        kept=said.kept,
    )


def _by_pillow(data: bytes, kept: Kept, page: TiffPage) -> FilePicture:
    """Return the picture that Pillow decodes, with the tags that it does not keep."""
    picture = decode_pillow.decode(data, "TIFF")
    if page.bitspersample != 8 or page.photometric == PALETTE:  # the values are no longer those of the file
        tags = tuple(tag for tag in kept.tiff_tags if tag[0] != NODATA)
        return replace(picture, kept=replace(kept, tiff_tags=tags, nodata=None))
    return replace(picture, kept=kept, missing=without_data(picture.values, kept.nodata))


def is_for_pillow(page: TiffPage) -> bool:
    """Return whether Pillow decodes a page: samples of less than 8 bits, indices of 8 bits, other compressions."""
    if page.compression not in COMPRESSIONS or int(page.photometric) not in COLOURS:
        return True
    bits = int(page.bitspersample)
    return bits < 8 or (bits == 8 and page.photometric == PALETTE)


def check(page: TiffPage, length: int) -> None:
    """Raise ValueError for a page of a file of `length` bytes that is too large, unusual or truncated."""
    kind = page.dtype
    if kind is None:
        raise ValueError(f"its samples are of no known type ({page.bitspersample} bits, format {page.sampleformat})")
    if page.imagedepth != 1:
        raise ValueError("it is a volume; save its slices as files")
    check_size(page.imagewidth, page.imagelength, page.samplesperpixel * kind.itemsize)
    if page.is_tiled and page.tilewidth * page.tilelength * page.samplesperpixel * kind.itemsize > most_bytes():
        raise ValueError("its tiles are damaged")
    if len(page.dataoffsets) < int(np.prod(page.chunked)) or len(page.databytecounts) < len(page.dataoffsets):
        raise ValueError("it is truncated: strips are missing")
    if any(at + size > length for at, size in zip(page.dataoffsets, page.databytecounts, strict=False)):
        raise ValueError("it is truncated: strips end after the file")


def as_rows(samples: npt.NDArray[Any], page: TiffPage) -> npt.NDArray[Any]:
    """Return a view (H, W, C) of the samples of a page."""
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        samples = samples.reshape(page.samplesperpixel, page.imagelength, page.imagewidth).transpose(1, 2, 0)
    return samples.reshape(page.imagelength, page.imagewidth, -1)


def channels_in(
    samples: npt.NDArray[Any], page: TiffPage
) -> tuple[Values, npt.NDArray[np.uint8 | np.uint16] | None, Kind]:
    """Return the values (H, W, C), the alpha (H, W) if there is one, and what the channels are."""
    photometric = int(page.photometric)
    count, kind = COLOURS[photometric]
    if samples.shape[2] < count:
        raise ValueError(f"it has {samples.shape[2]} channels where its colours need {count}")
    extra = tuple(page.extrasamples) + (0,) * samples.shape[2]
    alpha = next((i for i in range(count, samples.shape[2]) if extra[i - count] in (PREMULTIPLIED, STRAIGHT)), None)
    colours = samples if alpha is None else np.delete(samples, alpha, axis=2)
    if photometric == PALETTE:
        colours = np.asarray(page.colormap).T[colours[..., 0]]
    elif photometric == MINISWHITE and samples.dtype.kind in "iu":
        limits = np.iinfo(samples.dtype)
        highest = 2**page.bitspersample - 1 if samples.dtype.kind == "u" else limits.max + limits.min
        colours = (highest - colours.astype(np.int64)).astype(samples.dtype)
    elif photometric == CIELAB and samples.dtype.kind in "iu":  # a and b are signed, in a file of unsigned samples
        colours = colours.copy()
        colours[..., 1:3] ^= samples.dtype.type(1 << (8 * samples.dtype.itemsize - 1))
    elif colours.shape[2] > count:
        kind = "bands"
    bits = int(page.bitspersample)
    values = of_sixteen_bits(colours, 2**bits - 1) if kind == "rgb" and 8 < bits < 16 else as_values(colours)
    if alpha is None:
        return values, None, kind
    opacity = as_alpha(samples[..., alpha])
    return divided(values, opacity) if extra[alpha - count] == PREMULTIPLIED else values, opacity, kind


def _window(page: TiffPage, kind: Kind) -> tuple[float, float] | None:
    """Return black and white of grey and bands of an unusual number of bits, which stay as they are; RGB is scaled."""
    bits = int(page.bitspersample)
    return None if kind == "rgb" or bits in (8, 16, 24, 32, 64) else (0.0, float(2**bits - 1))
