"""ICC profiles of the colour spaces that models are trained in (ICC.1:2010, version 4: matrix and tone curve)."""

from __future__ import annotations

import struct
from functools import cache

from cyclegan.data.format import Space

Row = tuple[float, float, float]

SRGB_CURVE: tuple[float, ...] = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""The parametric curve (type 3) of IEC 61966-2-1."""

ADOBE_CURVE: tuple[float, ...] = (563 / 256,)

SPACES: dict[Space, tuple[str, tuple[Row, Row, Row], tuple[float, ...]]] = {
    "srgb": (
        "sRGB",
        ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
        SRGB_CURVE,
    ),
    "display_p3": (
        "Display P3",
        ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
        SRGB_CURVE,
    ),
    "adobe_rgb": (
        "Adobe RGB (1998) compatible",
        ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
        ADOBE_CURVE,
    ),
}
"""The title, the red, green and blue primary (XYZ, adapted to D50), and the tone curve of each space."""

D50: Row = (0.9642, 1.0, 0.8249)
D65_TO_D50 = (1.04788, 0.02292, -0.05022, 0.02959, 0.99048, -0.01707, -0.00925, 0.01508, 0.75168)


@cache
def profile_of(space: Space, *, grey: bool = False) -> bytes:
    """Return the ICC profile of a colour space, or of its greys; the same bytes at all times."""
    title, primaries, curve = SPACES[space]
    tone = b"para" + struct.pack(">IHH", 0, 3 if len(curve) == 5 else 0, 0) + _fixed(*curve)
    parts = {
        b"desc": _text(title),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*D50),
        b"chad": b"sf32\0\0\0\0" + _fixed(*D65_TO_D50),
    }
    if grey:
        parts[b"kTRC"] = tone
    else:
        for letter, primary in zip("rgb", primaries, strict=True):
            parts[f"{letter}XYZ".encode()] = b"XYZ \0\0\0\0" + _fixed(*primary)
            parts[f"{letter}TRC".encode()] = tone
    table, body, offset = b"", b"", 128 + 4 + 12 * len(parts)
    for tag, data in parts.items():
        table += struct.pack(">4sII", tag, offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s28s12s48s",
        offset + len(body), b"\0\0\0\0", 0x04200000, b"mntr", b"GRAY" if grey else b"RGB ", b"XYZ ",
        struct.pack(">6H", 2020, 1, 1, 0, 0, 0), b"acsp", bytes(28), _fixed(*D50), bytes(48),
    )  # fmt: skip
    return header + struct.pack(">I", len(parts)) + table + body


def _fixed(*numbers: float) -> bytes:
    """Encode numbers as s15Fixed16."""
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def _text(text: str) -> bytes:
    """Encode a text in one language (`mluc`)."""
    return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", 2 * len(text), 28) + text.encode("utf-16-be")
