import os
from pathlib import Path

import pytest

from cyclegan.util.text import as_typed, shown

ORDINARY = ["a/two words.jpg", "Grüße.png", "猫 🐱.png", "-rf.png", "[red]x[/red].png", "it's 100 %.png", r"back\slash"]


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_names_stay(name: str) -> None:
    assert shown(Path(name)) == str(Path(name))


@pytest.mark.parametrize(
    "name, expected",
    [
        (b"a\nb.png", r"a\nb.png"),
        (b"a\r\tb.png", r"a\r\tb.png"),
        (b"\x1b[31mred.png", r"\x1b[31mred.png"),
        (b"\xff\xfe.png", r"\xff\xfe.png"),
        ("line\u2028here.png".encode(), r"line\u2028here.png"),
        ("next\x85line.png".encode(), r"next\x85line.png"),
    ],
)
def test_what_breaks_a_line_or_cannot_be_printed_is_escaped(name: bytes, expected: str) -> None:
    assert shown(Path(os.fsdecode(name))) == expected
    shown(Path(os.fsdecode(name))).encode()


@pytest.mark.parametrize(
    "windows, typed", [(False, "train 'my runs/a' 'it'\"'\"'s'"), (True, 'train "my runs/a" it\'s')]
)
def test_words_are_quoted_as_the_system_reads_them(windows: bool, typed: str) -> None:
    assert as_typed("train", "my runs/a", "it's", windows=windows) == typed
