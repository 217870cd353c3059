"""Every file of a folder is read, named with what to do about it, or known to go along with pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cyclegan.data.codecs.signature import format_of
from cyclegan.data.kinds import READ, SIDECARS, UNREAD, kind_of, other_kind, told_unread
from cyclegan.data.listing import Unread
from tests.pictures import encoded


@pytest.mark.parametrize("name", ["x.JPG", "x.jfif", "x.avif", "X.HEIC", "x.jp2", "x.npy", "x.dcm", "x.tif", "x.pgm"])
def test_a_picture_is_known_by_its_suffix_in_any_case(name: str) -> None:
    assert kind_of(Path(name)).standing == "read"


@pytest.mark.parametrize(
    ("name", "kind", "advice"),
    [
        ("x.CR2", "Canon raw", "develop them to TIFF"),
        ("x.dng", "Adobe raw", "develop them to TIFF"),
        ("x.svg", "drawing", "export them as PNG"),
        ("x.nii.gz", "NIfTI", "save their slices"),
        ("x.tar.gz", "archive", "unpack them"),
        ("x.mov", "video", "extract their frames"),
        ("x.xyz", "unknown", "convert them"),
        ("no suffix", "unknown", "convert them"),
    ],
)
def test_what_is_not_read_has_a_name_and_an_advice(name: str, kind: str, advice: str) -> None:
    found = kind_of(Path(name))
    assert (found.name, found.standing) == (kind, "unread")
    assert found.advice.startswith(advice)


@pytest.mark.parametrize("name", ["Thumbs.db", ".DS_Store", "notes.TXT", "x.aux.xml", "x.tfw", "x.png.part", "README"])
def test_sidecars_are_quiet(name: str) -> None:
    assert kind_of(Path(name)).standing == "sidecar"


def test_no_suffix_is_of_two_kinds() -> None:
    assert not (READ.keys() & UNREAD.keys() or READ.keys() & SIDECARS or UNREAD.keys() & SIDECARS)


def test_without_a_known_suffix_the_first_bytes_decide(tmp_path: Path) -> None:
    for name in ("IM0001", "1.2.840.113619.2"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
        assert kind_of(tmp_path / name).name == "DICOM"
    (tmp_path / "photo").write_bytes(encoded("PNG"))
    assert kind_of(tmp_path / "photo") == ("PNG", "read", "")


def test_a_slice_of_a_scanner_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert kind_of(Path("x.dcm")) == ("DICOM", "unread", "run pip install 'cyclegan[dicom]'")


def others(names: list[str]) -> dict[str, Unread]:
    kinds = Counter(kind for name in names if (kind := other_kind(Path("nowhere"), name)) is not None)
    return {kind: Unread(number, ()) for kind, number in kinds.items()}


def test_one_line_names_all_that_is_not_read() -> None:
    names = ["a.jpg", "b.cr2", "c.CR2", "d.svg", "notes.txt", "e"]
    assert told_unread(others(names)) == (
        "4 files are not read: 2 Canon raw (.cr2), develop them to TIFF; 1 drawing (.svg), export them as PNG or TIFF; "
        "1 unknown (no suffix), convert them to PNG or TIFF if they are pictures"
    )
    assert told_unread(others(["a.jpg", "notes.txt"])) is None


def test_a_line_about_many_kinds_stays_a_line() -> None:
    line = told_unread(others([f"x{suffix}" for suffix in UNREAD]))
    assert line is not None
    assert len(line) < 500
    assert f"{len(UNREAD) - 6} of other kinds" in line


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", None),
        (b"II+\0\x08\0", "TIFF"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"", None),
    ],
)
def test_boxes_and_chunks_are_told_apart(head: bytes, expected: str | None) -> None:
    assert format_of(head, Path("x.jpg")) == expected
