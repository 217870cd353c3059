"""What came from outside, told in one short line that is safe to print."""

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
"""Categories of Unicode that break a line, steer a terminal or cannot be printed; Cs holds bytes that are no UTF-8."""


def shown(path: Path) -> str:
    r"""The path with control characters and undecodable bytes written as \n, \x1b, \xff; ordinary names stay."""
    return "".join(_escaped(c) if unicodedata.category(c) in UNSEEN else c for c in str(path))


def one_line(text: str, longest: int = 300) -> str:
    """The words of a text on one line: what cannot be printed is escaped, and the middle of a long one left out."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))
    if len(line) <= longest:
        return line
    return f"{line[: longest // 2]} ... {line[-longest // 3 :]}"


def as_typed(*words: str, windows: bool = os.name == "nt") -> str:
    """Words as a person types them on this system, quoted where need be."""
    return subprocess.list2cmdline(words) if windows else shlex.join(words)


def reason(error: BaseException) -> str:
    """Why, in one line: what the error says, or its name when it says nothing."""
    return one_line(str(error)) or type(error).__name__


def quoted(value: Any) -> str:
    """A value as Python writes it, cut to fit into a line."""
    return one_line(_SHORT.repr(value), 100)


def key_of(parts: Iterable[str | int]) -> str:
    """The dotted key, `data.transforms.0`; a part that would not read well in it is quoted."""
    words = [str(part) if re.fullmatch(r"[\w\[\]-]{1,40}", str(part)) else quoted(part) for part in parts]
    return one_line(".".join(words), 200)


def mistake(key: str, error: ErrorDetails) -> str:
    """The key, what pydantic finds wrong with its value, and the value."""
    if error["type"] == "union_tag_not_found":
        return f"{key}: give its kind"
    if error["type"] == "union_tag_invalid":
        kinds, found = error["ctx"]["expected_tags"], str(error["ctx"]["tag"])
        near = difflib.get_close_matches(found, re.findall(r"\w+", kinds), n=1)
        return f"{key}.kind: {quoted(found)} is none of {kinds}" + (f"; did you mean '{near[0]}'?" if near else "")
    what = one_line(re.sub(" for <class [^>]*>", "", error["msg"]), 200)
    value = "" if error["type"] == "missing" else f" (it is {quoted(error['input'])})"
    return f"{key}: {what[0].lower()}{what[1:]}{value}"


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte as Python carries it through (PEP 383)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 3, 60, 60, 40

    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to write numbers of thousands of digits."""
        return super().repr_int(x, level) if x.bit_length() < 10_000 else f"a number of {x.bit_length():,} bits"


_SHORT = _Short()
