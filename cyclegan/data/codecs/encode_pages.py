"""Write the pages of a TIFF file one after the other: each is a TIFF file, whose offsets are moved (TIFF 6.0)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import BinaryIO

from cyclegan.data.codecs import encode_tiff
from cyclegan.data.codecs.contents import Contents

OFFSETS = frozenset({273, 324})
"""Tags whose values are places in the file: strips and tiles."""

DIRECTORIES = frozenset({34665, 34853, 40965})
"""Tags whose value is the place of another directory: EXIF, GPS, interoperability."""

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value of each type."""

FIRST = 4
LARGEST = 2**32 - 1


def write_pages(pages: Iterable[tuple[Contents, float | None]], plays: int, file: BinaryIO) -> None:
    """Write pages of any sizes and types, each with its own tags; times and `plays` have no place in a TIFF file.

    One page is held. Raises ValueError for a file of more than 4 GiB.
    """
    begin, link = file.tell(), FIRST
    for contents, _ in pages:
        data = bytearray(encode_tiff.encode(contents))
        if data[:4] != b"II*\0":
            raise ValueError("one of its pages needs more than the 4 GiB of TIFF")
        at = file.tell() - begin
        if at % 2:
            file.write(b"\0")
            at += 1
        if at + len(data) > LARGEST:
            raise ValueError("its pages need more than the 4 GiB of TIFF; translate fewer at a time")
        (directory,) = struct.unpack_from("<I", data, FIRST)
        next_link = _move(data, directory, at)
        file.write(data)
        if at:
            end = file.tell()
            file.seek(begin + link)
            file.write(struct.pack("<I", at + directory))
            file.seek(end)
        link = at + next_link


def _move(data: bytearray, directory: int, by: int) -> int:
    """Add `by` to all places that a directory names; returns the place of its link to the next directory."""
    count = int.from_bytes(data[directory : directory + 2], "little")
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from("<HHI", data, entry)
        here = entry + 8
        if tag in DIRECTORIES:
            (below,) = struct.unpack_from("<I", data, here)
            _move(data, below, by)
            _add(data, here, "I", 1, by)
        elif SIZES[kind] * number > 4:
            (values,) = struct.unpack_from("<I", data, here)
            if tag in OFFSETS:
                _add(data, values, "I" if kind == 4 else "H", number, by)
            _add(data, here, "I", 1, by)
        elif tag in OFFSETS:
            if kind == 3:  # a short cannot hold a larger place, a long has room for it
                struct.pack_into("<HI", data, entry + 2, 4, number)
                struct.pack_into("<I", data, here, struct.unpack_from("<H", data, here)[0])
            _add(data, here, "I", number, by)
    return directory + 2 + 12 * count


def _add(data: bytearray, at: int, kind: str, number: int, by: int) -> None:
    form = f"<{number}{kind}"
    struct.pack_into(form, data, at, *(value + by for value in struct.unpack_from(form, data, at)))
