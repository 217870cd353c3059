"""A path as it is told to a person: on one line, whatever the name of the file."""

from __future__ import annotations

import unicodedata
from pathlib import Path

UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of Unicode that break a line, steer a terminal or cannot be printed; Cs holds bytes that are no UTF-8."""


def shown(path: Path) -> str:
    r"""The path with control characters and undecodable bytes written as \n, \x1b, \xff; ordinary names stay."""
    return "".join(_escaped(c) if unicodedata.category(c) in UNSEEN else c for c in str(path))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte as Python carries it through (PEP 383)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
