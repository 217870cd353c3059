"""The choice of a held-out picture depends on its name only, and it is recognised by its bytes when it is renamed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from cyclegan.data.folder import Folder
from cyclegan.data.held_out import Chosen, changes, draw
from cyclegan.data.listing import Listing
from cyclegan.data.sources import Source
from tests.tiny import write_pictures


def silence(line: str) -> None:
    pass


def files_in(folder: Path) -> Listing:
    return Source(folder).find()


def drawn(folder: Path, number: int = 8, seed: int = 0) -> Chosen:
    return draw(files_in(folder), number, seed, silence)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 pictures of a few pixels."""
    write_pictures(tmp_path / "A", 30, size=4)
    return tmp_path / "A"


def test_the_seed_decides(folder: Path) -> None:
    assert drawn(folder, seed=1).keys() == drawn(folder, seed=1).keys() != drawn(folder, seed=2).keys()
    assert len(drawn(folder)) == 8


def test_other_files_have_no_say(folder: Path) -> None:
    before = drawn(folder)
    others = [path for path in files_in(folder) if path.name not in before]
    others[0].unlink()
    others[1].rename(folder / "renamed.png")
    shutil.copy(others[2], folder / "added.png")
    after = drawn(folder)
    assert len(before.keys() & after.keys()) >= 6 and {*after} - {*before} <= {"renamed.png", "added.png"}


def test_two_folders_hold_out_pictures_of_the_same_names(folder: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "B", 30, size=4, seed=1)
    assert drawn(folder).keys() == drawn(tmp_path / "B").keys()


def test_the_draw_is_the_same_everywhere(folder: Path) -> None:
    """The names sorted by BLAKE2b, keyed by the seed: no library, machine or locale affects the order."""
    assert list(drawn(folder)) == ["18.png", "29.png", "26.png", "16.png", "1.png", "8.png", "17.png", "15.png"]


def test_one_that_cannot_be_read_is_told_and_another_drawn(folder: Path) -> None:
    first, *_, last = drawn(folder)
    (folder / first).write_bytes(b"")
    told: list[str] = []
    chosen = draw(files_in(folder), 8, 0, told.append)
    assert chosen[first] == "" and sum(map(bool, chosen.values())) == 8 and last in chosen
    [line] = told
    assert line.startswith(f"skipped, and another picture is held out instead: {folder / first} cannot be read")
    pictures = Folder(Source(folder), lambda x: x, memory=0, warn=silence)
    pictures.hold_out(chosen)
    assert len(pictures.held_out) == 8 and len(pictures) == 21 and folder / first not in pictures.files


@pytest.mark.parametrize(
    ("number", "broken", "told"),
    [
        (30, 0, r"A: has 30 pictures, but data\.validation holds out 30; lower it"),
        (20, 15, r"A: only 15 pictures can be read, but data\.validation holds out 20; lower it"),
    ],
)
def test_too_few_are_one_line(folder: Path, number: int, broken: int, told: str) -> None:
    for path in files_in(folder)[:broken]:
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=told):
        drawn(folder, number)


@pytest.mark.parametrize(("number", "has"), [(1, "1 picture"), (4, "4 pictures")])
def test_a_folder_that_is_too_small_for_any_scores_says_so(tmp_path: Path, number: int, has: str) -> None:
    write_pictures(tmp_path / "A", number, size=4)
    with pytest.raises(ValueError, match=rf"A: has {has}, too few to hold out 4 .*; set log\.evaluate_every to null"):
        drawn(tmp_path / "A", 50)


def test_names_that_are_no_text_are_held_out_too(folder: Path) -> None:
    odd = os.fsdecode(b"\xff\xfe.png")
    try:
        shutil.copy(folder / "0.png", folder / odd)
    except OSError:
        pytest.skip("this file system does not take the name")
    assert odd in drawn(folder, 29) or odd in files_in(folder).names


def test_what_became_of_files_is_seen(folder: Path) -> None:
    names, chosen = files_in(folder).names, drawn(folder)
    one, other, third, *_ = chosen
    learned = [name for name in names if name not in chosen]
    (folder / one).rename(folder / "new name.png")
    shutil.copy(folder / other, folder / "copy.png")
    (folder / third).unlink()
    (folder / learned[0]).unlink()
    write_pictures(folder / "sub", 1, size=4, seed=5)
    found = changes(files_in(folder), names, chosen)
    assert found.added == ["sub/0.png"] and set(found.removed) == {third, learned[0]}
    assert found.again == {"new name.png": one, "copy.png": other}


def test_nothing_that_was_held_out_is_ever_learned_from(folder: Path) -> None:
    """A held-out picture is recognised by its bytes, while files are added, removed, renamed and copied 20 times."""
    random, chosen = np.random.default_rng(0), drawn(folder)
    secret = {(folder / name).read_bytes() for name in chosen}
    for life in range(20):
        noted = files_in(folder).names
        for what, name in zip(random.integers(0, 4, 3), random.permutation(noted)[:3], strict=True):
            if what == 0:
                (folder / name).unlink()
            elif what == 1:
                (folder / name).rename(folder / f"renamed {life} {Path(name).name}"[-60:])
            elif what == 2:
                shutil.copy(folder / name, folder / f"copy {life} {Path(name).name}"[-60:])
            else:
                write_pictures(folder / f"added {life}", 1, size=4, seed=100 + life)
        found = changes(files_in(folder), noted, chosen)
        chosen |= {new: "" if old in files_in(folder).names else chosen[old] for new, old in found.again.items()}
        pictures = Folder(Source(folder), lambda x: x, memory=0, warn=silence)
        pictures.hold_out(chosen)
        assert not secret & {path.read_bytes() for path in pictures.files}
        assert not {*noted} - {*chosen} & {path.relative_to(folder).as_posix() for path in pictures.held_out}
