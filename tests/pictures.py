"""Every kind of file that people have where pictures should be, and what becomes of it in training and translating."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import pillow_heif
import pydicom
import tifffile
from PIL import Image, ImageCms

from cyclegan.data.codecs.icc import profile_of

Pixel = tuple[int, ...]
RED, BLUE, WHITE, BLACK, GREY = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128)
SUPERUSER = os.name == "nt" or os.geteuid() == 0


class Kind(NamedTuple):
    """A file, and its stated outcome, which is one for training and translating."""

    name: str
    """Below the folder of pictures."""
    make: Callable[[Path], object]
    outcome: Pixel | str | None
    """The upper left pixel of what is read; or words of the line that says why it is left out; None: not looked at."""
    size: tuple[int, int] = (8, 8)
    """Upright width and height, which the translation has too."""
    later: Callable[[Path], object] | None = None
    """What happens to the file after the folder was listed."""
    written: str = ""
    """The name of its translation, if that is another one."""
    unwritable: str = ""
    """Words of the line that says why its translation has no place in a file of that name; training takes it."""


def plain(
    mode: str, colour: float | Pixel = 0, width: int = 8, height: int = 8, **options: Any
) -> Callable[[Path], None]:
    """One colour, in the format that the name says or `format`."""
    return lambda path: Image.new(mode, (width, height), colour).save(path, **options)


red, blue = plain("RGB", RED), plain("RGB", BLUE)


def bytes_of(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG file written by hand, for kinds that Pillow reads but does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(
    kind: str, *pixel: float, photometric: int = 2, extra: int | None = None, width: int = 8
) -> Callable[[Path], object]:
    """A TIFF of one colour written by hand; `kind` is numpy's name of a sample's type, `>u2`."""
    order, code, depth = kind[0], {"u": 1, "i": 2, "f": 3}[kind[1]], 8 * int(kind[2:])
    samples, data = len(pixel), np.tile(np.array(pixel, kind), 64).tobytes()
    tags = {256: [width], 257: [width], 258: [depth] * samples, 259: [1], 262: [photometric], 273: [0], 277: [samples],
            278: [width], 279: [len(data)], 339: [code] * samples}  # fmt: skip
    if extra is not None:
        tags[338] = [extra]
    begin = 8 + 2 + 12 * len(tags) + 4
    long = sum(4 * len(values) for values in tags.values() if len(values) > 1)
    tags[273] = [begin + long]
    entries, beyond = b"", b""
    for tag, values in sorted(tags.items()):  # every number a LONG
        raw = struct.pack(f"{order}{len(values)}I", *values)
        entries += struct.pack(f"{order}HHI", tag, 4, len(values))
        entries += raw if len(raw) == 4 else struct.pack(f"{order}I", begin + len(beyond))
        beyond += raw if len(raw) > 4 else b""
    magic = b"II" if order == "<" else b"MM"
    head = magic + struct.pack(f"{order}HIH", 42, 8, len(tags))
    return bytes_of(head + entries + bytes(4) + beyond + data)


def encoded(file_format: str, **options: Any) -> bytes:
    """64 x 64 pixels, red above, noise below so that a half of the bytes is not enough."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    pixels[:32] = RED
    Image.fromarray(pixels).save(stream := BytesIO(), file_format, **options)
    return stream.getvalue()


def half(file_format: str) -> Callable[[Path], object]:
    data = encoded(file_format)
    return bytes_of(data[: len(data) // 2])


def flipped(file_format: str) -> Callable[[Path], object]:
    """A damaged byte in what is noise."""
    data = bytearray(encoded(file_format))
    data[len(data) * 3 // 4] ^= 255
    return bytes_of(bytes(data))


def cmyk_jpg(*, adobe: bool) -> Callable[[Path], object]:
    """Pillow writes inverted inks with Adobe's marker, as Photoshop does; without the marker they read the same."""
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(stream := BytesIO(), "JPEG")
    data = stream.getvalue()
    marker = data.index(b"\xff\xee\x00\x0eAdobe")
    return bytes_of(data if adobe else data[:marker] + data[marker + 16 :])


def palette_with_clear_entry(path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(path, transparency=1)


def two_frames(path: Path, file_format: str | None = None) -> None:
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE))
    red.save(path, file_format, save_all=True, append_images=[blue])


def profile() -> bytes:
    """Of a screen whose red is blue: whoever applies it sees the wrong colour."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return srgb.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")


def layers(values: np.ndarray, **options: Any) -> Callable[[Path], object]:
    """A TIFF of any type and number of channels."""
    return lambda path: tifffile.imwrite(path, values, metadata=None, **options)


def heic(pixel: Pixel, mode: str = "RGB") -> Callable[[Path], object]:
    values = np.full((8, 8, len(pixel)), pixel, np.uint16 if ";16" in mode else np.uint8)
    return lambda path: pillow_heif.encode(mode, (8, 8), values.tobytes(), path, quality=-1, chroma=444)


def array(values: np.ndarray) -> Callable[[Path], object]:
    return lambda path: np.save(path, values, allow_pickle=True)


def dicom(stored: np.ndarray, **attributes: Any) -> Callable[[Path], object]:
    """A slice of a scanner, (H, W), or a picture, (H, W, 3)."""

    def make(path: Path) -> None:
        dataset, bits = pydicom.Dataset(), 8 * stored.dtype.itemsize
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
        dataset.Rows, dataset.Columns = stored.shape[:2]
        is_colour = stored.ndim == 3
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (3, "RGB") if is_colour else (1, "MONOCHROME2")
        if is_colour:
            dataset.PlanarConfiguration = 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
        dataset.PixelRepresentation = 1 if stored.dtype.kind == "i" else 0
        for name, value in attributes.items():
            setattr(dataset, name, value)
        dataset.add_new("PixelData", "OW" if bits > 8 else "OB", stored.tobytes())
        dataset.save_as(path, enforce_file_format=True)

    return make


def upright() -> np.ndarray:
    """48 x 32 pixels that look different from every side; white in the upper left corner."""
    pixels = np.zeros((32, 48, 3), dtype=np.uint8)
    pixels[:16, :16], pixels[16:, 32:] = 255, 128
    return pixels


def turned(orientation: int) -> Callable[[Path], None]:
    """`upright` as a camera stores it: where EXIF says the first stored row and column lie, undone by hand."""
    pixels = upright()
    stored = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(pixels, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return lambda path: Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=100)


def claims_65500_pixels(path: Path) -> None:
    data = bytearray(encoded("JPEG"))
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = struct.pack(">HH", 65500, 65500)
    path.write_bytes(data)


def claims_65535_pixels(path: Path) -> None:
    frame = struct.pack("<cHHHHB", b",", 0, 0, 65535, 65535, 0)
    path.write_bytes(b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + frame + b"\2\0;")


def larger_than_a_gibibyte(path: Path) -> None:
    red(path)
    os.truncate(path, 2**30 + 1)  # sparse: it takes no room


def link_to_a_picture(path: Path) -> None:
    red(path.parent.parent / "elsewhere.png")
    path.symlink_to(path.parent.parent / "elsewhere.png")


def forbidden(path: Path) -> None:
    red(path)
    path.chmod(0)


def inside_a_folder(path: Path) -> None:
    path.parent.mkdir()
    red(path)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


COLOURS: dict[str, Kind] = {
    "grey jpg": Kind("x.jpg", plain("L", 128), GREY),
    "colour jpg": Kind("x.jpeg", red, (254, 0, 0)),
    "progressive jpg": Kind("x.jpg", bytes_of(encoded("JPEG", progressive=True)), RED, (64, 64)),
    "CMYK jpg with Adobe's marker, inverted": Kind("x.jpg", cmyk_jpg(adobe=True), RED),
    "CMYK jpg without it, taken as inverted too": Kind("x.jpg", cmyk_jpg(adobe=False), RED),
    "black ink jpg": Kind("x.jpg", plain("CMYK", (0, 0, 0, 255)), BLACK),
    "YCbCr tiff": Kind("x.tif", plain("YCbCr", (76, 84, 255), compression="jpeg", quality=95), RED),
    "CMYK tiff": Kind("x.tif", plain("CMYK", (0, 255, 255, 0)), RED),
    "CMYK tiff of 64 bits": Kind("x.tif", tiff("<u2", 0, 65535, 65535, 0, photometric=5), RED),
    "LAB tiff": Kind("x.tif", plain("LAB", (136, 208, 195)), (250, 3, 11)),
    "1-bit png": Kind("x.png", plain("1", 1), WHITE),
    "1-bit tiff": Kind("x.tiff", plain("1", 0), BLACK),
    "1-bit tiff of a fax": Kind("x.tiff", plain("1", 1, compression="group4"), WHITE),
    "palette png": Kind("x.png", plain("P", 0), BLACK),
    "palette, clear entry": Kind("x.png", palette_with_clear_entry, WHITE),
    "palette gif": Kind("x.gif", red, RED),
    "palette gif, clear entry": Kind("x.gif", palette_with_clear_entry, WHITE),
    "grey, clear level": Kind("x.png", plain("L", 7, transparency=7), WHITE),
    "grey + alpha, half": Kind("x.png", plain("LA", (0, 127)), GREY),
    "RGBA, clear": Kind("x.png", plain("RGBA", (255, 0, 0, 0)), WHITE),
    "RGBA, half": Kind("x.png", plain("RGBA", (0, 0, 255, 127)), (128, 128, 255)),
    "RGBA tiff": Kind("x.tif", plain("RGBA", (255, 0, 0, 0)), WHITE),
    "RGBA webp": Kind("x.webp", plain("RGBA", (255, 0, 0, 0)), WHITE),
    "RGB webp": Kind("x.webp", red, RED),
    "bmp": Kind("x.bmp", red, RED),
    "ppm": Kind("x.ppm", red, RED),
    "tiff, compressed": Kind("x.tif", plain("RGB", RED, compression="tiff_lzw"), RED),
    "profile in jpg": Kind("x.jpg", plain("RGB", RED, icc_profile=profile()), BLUE),
    "profile in png": Kind("x.png", plain("RGB", RED, icc_profile=profile()), BLUE),
    "profile in tiff": Kind("x.tif", plain("RGB", RED, icc_profile=profile()), BLUE),
    "damaged profile in jpg": Kind("x.jpg", plain("RGB", RED, icc_profile=b"no profile"), RED),
    "damaged profile in png": Kind("x.png", plain("RGB", RED, icc_profile=b"no profile"), RED),
}

DEEP: dict[str, Kind] = {
    "16-bit grey png": Kind("x.png", plain("I;16", 0x8080), GREY),
    "grey + alpha png of 32 bits": Kind("x.png", bytes_of(png(1, 1, 16, 4, bytes.fromhex("008080ffff"))), GREY, (1, 1)),
    "RGB png of 48 bits": Kind("x.png", bytes_of(png(1, 1, 16, 2, bytes.fromhex("00ffff00000000"))), RED, (1, 1)),
    "RGB ppm of 48 bits": Kind("x.ppm", bytes_of(b"P6 1 1 65535\n" + bytes.fromhex("ffff00000000")), RED, (1, 1)),
    "16-bit grey tiff": Kind("x.tif", tiff("<u2", 0x8080, photometric=1), GREY),
    "16-bit grey tiff, high byte first": Kind("x.tif", tiff(">u2", 0x8080, photometric=1), GREY),
    "16-bit grey tiff whose 0 is white": Kind("x.tif", tiff("<u2", 0, photometric=0), WHITE),
    "signed 16-bit grey tiff": Kind("x.tif", tiff("<i2", 0, photometric=1), BLACK),
    "RGB tiff of 48 bits": Kind("x.tif", tiff("<u2", 65535, 0, 0), RED),
    "RGB tiff of 48 bits, high byte first": Kind("x.tif", tiff(">u2", 65535, 0, 0), RED),
    "RGBA tiff of 64 bits": Kind("x.tif", tiff("<u2", 65535, 0, 0, 0, extra=2), WHITE),
    "integer tiff": Kind("x.tif", plain("I", 0x8080), GREY),
    "float tiff": Kind("x.tif", plain("F", 128 / 255), GREY),
    "float tiff of NaN": Kind("x.tif", plain("F", float("nan")), "no finite value"),
    "float tiff of 64 bits": Kind("x.tif", tiff("<f8", 0.5, photometric=1), GREY),
    "float tiff of 16 bits": Kind("x.tif", tiff("<f2", 0.5, photometric=1), GREY),
    "float RGB tiff": Kind("x.tif", tiff("<f4", 1, 0, 0), RED),
    "grey + alpha tiff of 32 bits": Kind("x.tif", tiff("<u2", 0, 0, photometric=1, extra=2), WHITE),
}

FRAMES: dict[str, Kind] = {
    "first of two gif frames": Kind("x.gif", two_frames, RED),
    "first of two png frames": Kind("x.png", two_frames, RED),
    "first of two webp frames": Kind("x.webp", two_frames, RED),
    "first of two tiff pages": Kind("x.tif", two_frames, RED),
    "first of two in a jpg of a phone": Kind("x.jpg", lambda path: two_frames(path, "MPO"), RED),
    **{f"EXIF orientation {n}": Kind("x.jpg", turned(n), WHITE, (48, 32)) for n in range(1, 9)},
    "EXIF orientation 99": Kind(
        "x.jpg", plain("RGB", RED, exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0c\0\0\0\0\0\0\0"), RED
    ),
    "damaged EXIF in jpg": Kind("x.jpg", plain("RGB", RED, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff"), RED),
    "damaged EXIF in png": Kind("x.png", plain("RGB", RED, exif=b"Exif\0\0garbage"), RED),
}

SIZES: dict[str, Kind] = {
    "1 x 1": Kind("x.png", plain("RGB", RED, 1, 1), RED, (1, 1)),
    "1 x 50": Kind("x.png", plain("RGB", RED, 1, 50), RED, (1, 50)),
    "50 x 1": Kind("x.png", plain("RGB", RED, 50, 1), RED, (50, 1)),
    "2 x 3": Kind("x.jpg", plain("RGB", RED, 2, 3), RED, (2, 3)),
    "10000 x 3": Kind("x.png", plain("RGB", RED, 10_000, 3), RED, (10_000, 3)),
    "3 x 10000": Kind("x.jpg", plain("RGB", RED, 3, 10_000), RED, (3, 10_000)),
    "a side over the limit of jpg": Kind(
        "x.jpg",
        plain("RGB", RED, 66_000, 2, format="PNG"),
        RED,
        unwritable="66,000 pixels on a side, JPEG allows 65,500",
    ),
    "a side over the limit of webp": Kind(
        "x.webp", plain("RGB", RED, 17_000, 2, format="PNG"), RED, unwritable="WEBP allows 16,383"
    ),
    "png over the limit of pixels": Kind("x.png", bytes_of(png(10_000, 10_000, 8, 2, b"")), "100,000,000 pixels"),
    "png far over it": Kind("x.png", bytes_of(png(60_000, 60_000, 8, 2, b"")), "3,600,000,000 pixels"),
    "jpg far over it": Kind("x.jpg", claims_65500_pixels, "4,290,250,000 pixels"),
    "gif far over it": Kind("x.gif", claims_65535_pixels, "pixels"),
    "tiff far over it": Kind("x.tif", tiff("<u1", 255, 0, 0, width=65_535), "pixels"),
    "0 x 0": Kind("x.tif", tiff("<u1", 255, 0, 0, width=0), "no pixels"),
    "over a gibibyte": Kind("x.jpg", larger_than_a_gibibyte, "1,073,741,825 bytes"),
}

DAMAGE: dict[str, Kind] = {
    "zero bytes": Kind("x.jpg", bytes_of(b""), "empty"),
    "text named jpg": Kind("x.jpg", bytes_of(b"hello"), "none of"),
    "web page named png": Kind("x.png", bytes_of(b"<!DOCTYPE html><title>404</title>"), "none of"),
    "drawing named png": Kind("x.png", bytes_of(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "none of"),
    "PostScript named jpg": Kind("x.jpg", bytes_of(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "none of"),
    "png named jpg": Kind("x.jpg", plain("RGB", RED, format="PNG"), RED),
    "jpg named png": Kind("x.png", plain("RGB", RED, format="JPEG"), RED),
    "gif named jpg": Kind("x.jpg", plain("P", 0, format="GIF"), BLACK),
    "jpeg 2000 named jpg": Kind("x.jpg", plain("RGB", RED, format="JPEG2000"), RED),
    "targa named bmp": Kind("x.bmp", plain("RGB", RED, format="TGA"), "none of"),
    "half a jpg": Kind("x.jpg", half("JPEG"), "truncated"),
    "half a png": Kind("x.png", half("PNG"), "truncated"),
    "half a gif": Kind("x.gif", half("GIF"), "truncated"),
    "half a webp": Kind("x.webp", half("WEBP"), "decoder"),
    "half a tiff": Kind("x.tif", half("TIFF"), "truncated"),
    "half a bmp": Kind("x.bmp", half("BMP"), "truncated"),
    "half a ppm": Kind("x.ppm", half("PPM"), "truncated"),
    "jpg without its last two bytes": Kind("x.jpg", bytes_of(encoded("JPEG")[:-2]), "truncated"),
    "png without its last chunk, all pixels there": Kind("x.png", bytes_of(encoded("PNG")[:-12]), RED, (64, 64)),
    "only the header of a png": Kind("x.png", bytes_of(encoded("PNG")[:16]), "Truncated"),
    "bytes after the end of a jpg": Kind("x.jpg", bytes_of(encoded("JPEG") + b"more"), RED, (64, 64)),
    "a wrong byte in a png": Kind("x.png", flipped("PNG"), "broken data stream"),
    "a wrong byte in a jpg, which has no checksum": Kind("x.jpg", flipped("JPEG"), RED, (64, 64)),
}

NAMES: dict[str, Kind] = {
    "upper case": Kind("X.JPG", red, RED),
    "both cases": Kind("x.TiFf", red, RED),
    "spaces": Kind(" two  words .png", red, RED),
    "dots": Kind("a.b..c.png", red, RED),
    "leading dash": Kind("-rf.png", red, RED),
    "letters of the world": Kind("Grüße 猫 🐱.png", red, RED),
    "marks of a shell, a pattern and a markup": Kind("$(x) *?~ [red]`\"'\\.png", red, RED),
    "newline": Kind("two\nlines.png", red, RED),
    "colours of a terminal": Kind("\x1b[31mred.png", red, RED),
    "bytes that are no UTF-8": Kind(os.fsdecode(b"\xff\xfe.png"), red, RED),
    "no UTF-8 and a newline in a folder": Kind(os.fsdecode(b"a\n\xff/x.png"), inside_a_folder, RED),
    "200 letters": Kind("x" * 200 + ".png", red, RED),
    "250 bytes": Kind("x" * 246 + ".png", red, RED),
    "255 bytes": Kind("x" * 251 + ".png", red, RED),
    "broken, newline": Kind("two\nlines.png", bytes_of(b""), r"two\nlines.png"),
    "broken, new lines of other kinds": Kind("a\r\x0b\x85\u2028b.png", bytes_of(b""), r"a\r\x0b\x85\u2028b.png"),
    "broken, colours of a terminal": Kind("\x1b[31mred.png", bytes_of(b""), r"\x1b[31mred.png"),
    "broken, bytes that are no UTF-8": Kind(os.fsdecode(b"\xff\xfe.png"), bytes_of(b""), r"\xff\xfe.png"),
    "broken, 250 bytes": Kind("x" * 246 + ".png", bytes_of(b""), "x" * 246),
    "broken, markup": Kind("[red]x.png", bytes_of(b""), "[red]x.png"),
    "hidden": Kind(".x.png", red, None),
    "half written": Kind("x.png.part", bytes_of(encoded("PNG")), None),
    "another suffix": Kind("x.txt", bytes_of(encoded("PNG")), None),
    "no suffix": Kind("x", bytes_of(encoded("PNG")), RED, (64, 64), written="x.png"),
}

PLACES: dict[str, Kind] = {
    "link to a picture": Kind("x.png", link_to_a_picture, RED),
    "link to itself": Kind("x.jpg", lambda path: path.symlink_to(path), "symbolic links"),
    "dangling link": Kind("x.jpg", lambda path: path.symlink_to("nowhere.jpg"), "No such file"),
    "link to an endless device": Kind("x.jpg", lambda path: path.symlink_to("/dev/zero"), "not a file"),
    "pipe": Kind("x.jpg", lambda path: os.mkfifo(path), "not a file"),
    "folder": Kind("x.jpg", Path.mkdir, None),
    "picture in a folder named so": Kind("x.jpg/inside.png", inside_a_folder, RED),
    "link to a folder named so": Kind("x.jpg", lambda path: path.symlink_to(path.parent), None),
    "forbidden": Kind("x.png", forbidden, "Permission denied"),
    "vanishes": Kind("x.jpg", red, "No such file", later=Path.unlink),
    "is cut": Kind("x.jpg", bytes_of(encoded("JPEG")), "truncated", later=truncated),
    "is emptied": Kind("x.png", red, "empty", later=bytes_of(b"")),
    "is forbidden": Kind("x.png", red, "Permission denied", later=lambda path: path.chmod(0)),
    "becomes another picture": Kind("x.jpg", plain("L", 0, 3, 3), BLUE, later=blue),
    "becomes a folder": Kind("x.jpg", red, "not a file", later=folder_instead),
}

FULL = 65535

FORMATS: dict[str, Kind] = {
    "jfif": Kind("x.jfif", plain("RGB", RED, format="JPEG"), (254, 0, 0)),
    "jpe": Kind("x.jpe", plain("RGB", RED, format="JPEG"), (254, 0, 0)),
    "avif": Kind("x.avif", plain("RGB", RED, quality=100), RED),
    "RGBA avif, clear": Kind("x.avif", plain("RGBA", (255, 0, 0, 0)), WHITE),
    "avif of 10 bits": Kind(
        "x.avif",
        bytes_of(bytes(imagecodecs.avif_encode(np.full((8, 8, 3), 1023, np.uint16), level=100, bitspersample=10))),
        WHITE,
    ),
    "heic": Kind("x.HEIC", heic(RED), RED),
    "heif": Kind("x.heif", heic(RED), RED),
    "RGBA heic, clear": Kind("x.heic", heic((*RED, 0), "RGBA"), WHITE),
    "heic of 10 bits": Kind("x.heic", heic((FULL, FULL, FULL), "RGB;16"), WHITE),
    "grey heic": Kind("x.heic", heic((128,), "L"), GREY),
    "jp2": Kind("x.jp2", plain("RGB", RED), RED),
    "jpeg 2000 codestream": Kind("x.j2k", plain("RGB", RED), RED, written="x.png"),
    "RGBA jp2, clear": Kind("x.jp2", plain("RGBA", (255, 0, 0, 0)), WHITE),
    "RGB jp2 of 48 bits": Kind(
        "x.jp2",
        bytes_of(bytes(imagecodecs.jpeg2k_encode(np.full((8, 8, 3), FULL, np.uint16), level=0, codecformat="jp2"))),
        WHITE,
    ),
    "pgm": Kind("x.pgm", plain("L", 128), GREY),
    "pbm": Kind("x.pbm", plain("1", 1), WHITE, written="x.png"),
    "ppm of 10 bits": Kind("x.ppm", bytes_of(b"P6 8 8 1023\n" + np.full(192, 1023, ">u2").tobytes()), WHITE),
    "apng": Kind("x.apng", plain("RGB", RED, format="PNG"), RED),
    "dib": Kind("x.dib", red, RED),
    "targa": Kind("x.tga", red, RED),
    "pcx": Kind("x.pcx", red, RED, written="x.png"),
    "sgi": Kind("x.sgi", red, RED, written="x.png"),
    "qoi": Kind(
        "x.qoi", bytes_of(bytes(imagecodecs.qoi_encode(np.full((8, 8, 3), RED, np.uint8)))), RED, written="x.png"
    ),
    "dds": Kind("x.dds", red, RED, written="x.png"),
    "signed 8-bit tiff": Kind("x.tif", layers(np.full((8, 8), 7, np.int8)), BLACK),
    "tiff of RGB and near infrared": Kind(
        "x.tif",
        layers(np.full((8, 8, 4), (255, 0, 0, 0), np.uint8), photometric="rgb", extrasamples=["unspecified"]),
        RED,
    ),
    "tiff of 7 bands of 12 bits": Kind(
        "x.tif",
        layers(np.full((8, 8, 7), 2048, np.uint16), photometric="minisblack", planarconfig="contig"),
        "it has 7 channels, not the 3 of its domain",
    ),
    "RGB tiff in planes, tiled, with zstd": Kind(
        "x.tif",
        layers(
            np.stack([np.full((16, 16), level, np.uint16) for level in (FULL, 0, 0)]),
            photometric="rgb",
            planarconfig="separate",
            tile=(16, 16),
            compression="zstd",
        ),
        RED,
        (16, 16),
    ),
    "tiff with premultiplied alpha, half": Kind(
        "x.tif",
        layers(np.full((8, 8, 4), (0, 0, 127, 127), np.uint8), photometric="rgb", extrasamples=["assocalpha"]),
        (128, 128, 255),
    ),
    "geotiff, no data": Kind(
        "x.tif", layers(np.full((8, 8), 7, np.uint8), extratags=[(42113, 2, 0, "7", True)]), BLACK
    ),
    "grey npy": Kind("x.npy", array(np.full((8, 8), 128, np.uint8)), GREY),
    "RGB npy": Kind("x.npy", array(np.full((8, 8, 3), RED, np.uint8)), RED),
    "float npy": Kind("x.npy", array(np.full((8, 8), 128 / 255)), GREY),
    "npy, channels first": Kind("x.npy", array(np.zeros((3, 80, 80), np.uint8)), "move the channels to the end"),
    "npy of objects": Kind("x.npy", array(np.array([[None]])), "Python objects"),
    "slice of a scanner": Kind("x.dcm", dicom(np.full((8, 8), 40, np.int16)), BLACK),
    "slice without a suffix": Kind("IM0001", dicom(np.full((8, 8), 40, np.int16)), BLACK, written="IM0001.dcm"),
    "RGB dicom": Kind("x.dcm", dicom(np.full((8, 8, 3), RED, np.uint8)), RED),
    "dicom without pixels": Kind(
        "x.dcm", dicom(np.zeros((8, 8), np.int16), PixelData=None, Rows=None), "without pixels"
    ),
    "Display P3 png": Kind("x.png", plain("RGB", (234, 51, 35), icc_profile=profile_of("display_p3")), RED),
    "Adobe RGB jpg": Kind(
        "x.jpg", plain("RGB", (144, 144, 144), icc_profile=profile_of("adobe_rgb"), quality=100), (145, 145, 145)
    ),
}

KINDS = COLOURS | DEEP | FRAMES | SIZES | DAMAGE | NAMES | PLACES | FORMATS

NAMED = ("x.dng", "x.CR2", "x.svg", "x.psd", "x.mov", "x.exr", "x.nii.gz", "x.jxl", "x.xyz")
"""Files that are not read, and are named in a line."""

QUIET = ("Thumbs.db", "desktop.ini", "x.txt", "x.json", "x.aux.xml", "x.tfw", "x.png.part")
"""Files that go along with pictures."""
