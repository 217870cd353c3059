"""A folder is listed by names only, and its other files are counted by kind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cyclegan.data.files import find_images
from cyclegan.data.listing import Listing, Unread, list_files


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def is_text(name: str) -> str | None:
    return None if name.endswith(".txt") else "other"


def test_paths_are_made_on_demand(tmp_path: Path) -> None:
    write(tmp_path, "b/2.png", "a.png", "b/1.png")
    found = find_images(tmp_path)
    assert found.names == ["a.png", "b/1.png", "b/2.png"] and len(found) == 3
    assert list(found) == [found[0], found[1], found[-1]] == [tmp_path / name for name in found.names]
    assert found[1] is not found[1] and list(found[1:]) == list(found)[1:]


def test_other_files_are_counted_by_kind_with_examples(tmp_path: Path) -> None:
    write(tmp_path, "x.png", "b/LICENSE", *(f"{i}.HEIC" for i in range(9)), "b/one.heic", "Thumbs.db", ".hidden.txt")
    found = find_images(tmp_path)
    assert found.others == {
        ".heic": Unread(10, ("0.HEIC", "1.HEIC", "2.HEIC")),
        "license": Unread(1, ("b/LICENSE",)),
        ".db": Unread(1, ("Thumbs.db",)),
    }
    assert found.only([]).others == found.others


def test_the_caller_says_what_a_picture_is(tmp_path: Path) -> None:
    write(tmp_path, "x.png", "b/y.txt")
    found = list_files(tmp_path, is_text)
    assert found.names == ["b/y.txt"] and found.others == {"other": Unread(1, ("x.png",))}


def test_a_link_to_itself_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert find_images(tmp_path).names == ["loop.png"]


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "x.png", "closed/y.png")
    scandir = os.scandir

    def refused(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PermissionError, match="closed"):
        find_images(tmp_path)


def test_a_listing_of_some_names_needs_no_folder(tmp_path: Path) -> None:
    assert list(Listing(tmp_path / "gone", ["b/x.png"])) == [tmp_path / "gone" / "b" / "x.png"]
