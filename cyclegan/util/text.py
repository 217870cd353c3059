"""Format untrusted values, paths and errors as one short line that is safe to print."""

from __future__ import annotations

import difflib
import os
import re
import reprlib
import shlex
import subprocess
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories that break a line, control a terminal or cannot be printed; Cs holds bytes that are not UTF-8."""


def shown(path: Path) -> str:
    r"""Format a path for a message: control characters and undecodable bytes become \n, \x1b, \xff."""
    return "".join(_escaped(c) if unicodedata.category(c) in UNSEEN else c for c in str(path))


def one_line(text: str, longest: int = 300) -> str:
    """Join a text into one line of about `longest` characters.

    Characters that cannot be printed are escaped, and the middle of a long text is replaced by dots.
    """
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))
    if len(line) <= longest:
        return line
    return f"{line[: longest // 2]} ... {line[-longest // 3 :]}"


def as_typed(*words: str, windows: bool = os.name == "nt") -> str:
    """Join words to a command line of this system's shell, with quotes where they are needed."""
    return subprocess.list2cmdline(words) if windows else shlex.join(words)


def reason(error: BaseException) -> str:
    """Return the message of an error in one line, or the name of its type if the message is empty."""
    return one_line(str(error)) or type(error).__name__


def quoted(value: Any) -> str:
    """Return the `repr` of a value, shortened to fit into a line."""
    return one_line(_SHORT.repr(value), 100)


def key_of(parts: Iterable[str | int]) -> str:
    """Join parts to a dotted key, `data.transforms.0`; a part with unusual characters is quoted."""
    words = [str(part) if re.fullmatch(r"[\w\[\]-]{1,40}", str(part)) else quoted(part) for part in parts]
    return one_line(".".join(words), 200)


def mistake(key: str, error: ErrorDetails) -> str:
    """Return a line with the key, the problem that pydantic found, and the value."""
    if error["type"] == "union_tag_not_found":
        return f"{key}: its kind is missing; add one"
    if error["type"] == "union_tag_invalid":
        kinds, found = error["ctx"]["expected_tags"], str(error["ctx"]["tag"])
        near = difflib.get_close_matches(found, re.findall(r"\w+", kinds), n=1)
        return f"{key}.kind: {quoted(found)} is not one of {kinds}" + (f"; did you mean '{near[0]}'?" if near else "")
    what = one_line(re.sub(" for <class [^>]*>", "", error["msg"]), 200)
    value = "" if error["type"] == "missing" else f" (got {quoted(error['input'])})"
    return f"{key}: {what[0].lower()}{what[1:]}{value}"


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8, as Python represents it (PEP 383)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 3, 60, 60, 40

    def repr_int(self, x: int, level: int) -> str:
        """Describe huge numbers by their size, because Python refuses to print thousands of digits."""
        return super().repr_int(x, level) if x.bit_length() < 10_000 else f"a number of {x.bit_length():,} bits"


_SHORT = _Short()


SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
"""The letters before the B of bytes, and how many bytes they stand for."""


def bytes_from(text: str) -> int:
    """Return the number of bytes that a text says: 2GB, 1.5 GiB, 800M. Raises ValueError for any other text."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?) *([kmgt]?i?)b?", text.strip().lower())
    if found is None or found[2] not in SIZES:
        raise ValueError(f"expected a size such as 2GB or 800MB, not {text}")
    return int(float(found[1]) * SIZES[found[2]])
