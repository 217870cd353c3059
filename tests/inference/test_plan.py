"""Before anything is done it is known what will be done, and what is not ours is not overwritten."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cyclegan.inference import plan as plans
from cyclegan.inference.directory import Outcome, dry_run, translate_directory
from cyclegan.inference.events import Ended, Event, Failed, Note, Started, Translated, as_line
from cyclegan.inference.manifest import FOLDER, NAME
from cyclegan.inference.options import Options
from cyclegan.inference.sizes import Sizing
from cyclegan.inference.translator import Translator
from tests.data.test_frames import saved, still
from tests.pictures import RED, plain, turned
from tests.tiny import outputs, write_pictures


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """0.png to 3.png, and a folder with one of them."""
    for path in write_pictures(tmp_path / "in", 4, size=16)[3:]:
        (tmp_path / "in" / "sub").mkdir()
        path.replace(tmp_path / "in" / "sub" / path.name)
    return tmp_path / "in"


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def of_somebody_else(out: Path) -> None:
    (out / "sub").mkdir(parents=True)
    (out / "1.png").write_bytes(b"precious")
    (out / "sub" / "3.png").write_bytes(b"precious too")


@pytest.mark.parametrize("resume", [False, True])
def test_what_is_not_ours_is_named_and_nothing_is_done(resume: bool, translator: Translator, pictures: Path) -> None:
    out = pictures.parent / "out"
    of_somebody_else(out)
    before = bytes_in(out)
    told = f"{out}: would overwrite 2 files that are not as cyclegan wrote them: 1.png, sub/3.png; choose another"
    with pytest.raises(ValueError) as caught:
        translate_directory(translator, pictures, out, resume=resume)
    assert str(caught.value) == f"{told} directory, or say --overwrite"
    assert bytes_in(out) == before and not (out / FOLDER).exists()
    outcome = translate_directory(translator, pictures, out, resume=resume, overwrite=True)
    assert len(outcome.translated) == 4 and b"precious" not in b"".join(bytes_in(out).values())


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("0.png")


CHANGES: dict[str, Callable[[Path], object]] = {
    "retouched": lambda path: path.write_bytes(path.read_bytes() + b"!"),
    "a link": link,
    "another time": lambda path: os.utime(path, ns=(0, 0)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_since_is_not_ours_any_more(name: str, translator: Translator, pictures: Path) -> None:
    out = pictures.parent / "out"
    translate_directory(translator, pictures, out)
    CHANGES[name](out / "1.png")
    for resume in (False, True):
        with pytest.raises(ValueError, match=r"would overwrite 1 file that is not as cyclegan wrote it: 1\.png; "):
            translate_directory(translator, pictures, out, resume=resume)
    assert len(translate_directory(translator, pictures, out, resume=True, overwrite=True).translated) == 1


def test_what_is_ours_is_made_anew_without_a_word(translator: Translator, pictures: Path) -> None:
    out, notes = pictures.parent / "out", list[str]()
    for options in (Options(), Options(), Options(sizing=Sizing(size=12))):
        outcome = translate_directory(translator, pictures, out, options=options, note=notes.append)
        assert len(outcome.translated) == 4 and not notes


def test_other_files_in_the_directory_are_nobodys_business(translator: Translator, pictures: Path) -> None:
    out = pictures.parent / "out"
    out.mkdir()
    (out / "another.png").write_bytes(b"precious")
    assert len(translate_directory(translator, pictures, out).translated) == 4
    assert (out / "another.png").read_bytes() == b"precious"


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(translator: Translator, pictures: Path) -> None:
    out = pictures.parent / "out"
    assert [each.state for each in dry_run(translator, pictures, out).each()] == ["translate"] * 4
    assert not out.exists()
    translate_directory(translator, pictures, out)
    (out / "0.png").unlink()
    (out / "2.png").write_bytes(b"precious")
    before, times = bytes_in(pictures.parent), {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    plan = dry_run(translator, pictures, out, resume=True)
    assert [each.line for each in plan.each()] == [
        f"{pictures}/0.png -> {out}/0.png, 16 x 16",
        f"{pictures}/1.png -> {out}/1.png, 16 x 16, finished",
        f"{pictures}/2.png -> {out}/2.png, 16 x 16, would overwrite",
        f"{pictures}/sub/3.png -> {out}/sub/3.png, 16 x 16, finished",
    ]
    assert "1 file that is not as cyclegan wrote it: 2.png" in plan.refusal
    again = [each.state for each in dry_run(translator, pictures, out).each()]
    assert again == ["translate", "replace", "overwrite", "replace"]
    assert bytes_in(pictures.parent) == before
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times


def test_a_dry_run_names_what_cannot_be_read(translator: Translator, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"text")
    turned(6)(tmp_path / "in" / "b.jpg")
    saved(tmp_path / "in" / "c.gif", [still(i) for i in range(3)])
    os.mkfifo(tmp_path / "in" / "d.png")
    plain("RGB", RED)(tmp_path / "in" / "e.avif")
    a, b, c, d, e = dry_run(translator, tmp_path / "in", tmp_path / "out").each()
    assert a.problem.startswith(f"{tmp_path}/in/a.png cannot be read: empty, damaged") and a.line == a.problem
    assert (b.size, c.size, c.frames, e.size) == ((48, 32), (24, 20), 3, (8, 8))
    assert c.line.endswith("c.gif, 24 x 20, 3 frames") and "pipe" in d.problem


def test_a_dry_run_refuses_what_translating_refuses(translator: Translator, pictures: Path) -> None:
    with pytest.raises(ValueError, match="lies among the sources"):
        dry_run(translator, pictures, pictures / "out")
    with pytest.raises(FileNotFoundError):
        dry_run(translator, pictures.parent / "none", pictures.parent / "out")


def test_each_folder_is_listed_once(translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        write_pictures(tmp_path / "in" / name, 20, size=8)
    (tmp_path / "out" / "a").mkdir(parents=True)
    listed, asked, scandir, lstat = list[Path](), list[Path](), os.scandir, Path.lstat

    def counted(path: Path) -> Any:
        listed.append(path)
        return scandir(path)

    def looked_at(path: Path) -> os.stat_result:
        asked.append(path)
        return lstat(path)

    monkeypatch.setattr(os, "scandir", counted)
    monkeypatch.setattr(Path, "lstat", looked_at)
    plan = dry_run(translator, tmp_path / "in", tmp_path / "out")
    below = [path for path in listed if tmp_path / "out" in Path(path).parents]
    assert len(plan.to_do) == 40 and below == [tmp_path / "out" / "a", tmp_path / "out" / "b"]
    assert not [path for path in asked if path.suffix == ".png" and tmp_path / "out" in path.parents]


@pytest.mark.parametrize("written, there", [("A.PNG", "a.png"), ("\u00e4.png", "a\u0308.png")])
def test_spellings_that_a_disk_may_take_for_one_are_looked_at(written: str, there: str, tmp_path: Path) -> None:
    (tmp_path / there).touch()
    exists = plans._existing(tmp_path)
    assert exists(written) and exists(there) and not exists("b.png") and not exists("none/b.png")


def test_events_tell_all_that_happens(translator: Translator, pictures: Path) -> None:
    (pictures / "1.png").write_bytes(b"broken")
    (pictures / "x.cr2").write_bytes(b"raw")
    out, events = pictures.parent / "out", list[Event]()
    outcome = translate_directory(translator, pictures, out, tell=events.append)
    note, started, *between, ended = events
    assert isinstance(note, Note) and "Canon raw" in note.text
    assert started == Started(total=4, skipped=0)
    assert ended == Ended(translated=3, skipped=0, failed=1)
    [failed] = [event for event in between if isinstance(event, Failed)]
    assert failed == Failed(source=f"{pictures}/1.png", reason=outcome.failed[0])
    made = [event for event in between if isinstance(event, Translated)]
    assert [(event.source, event.output, event.size) for event in made] == [
        (f"{pictures}/{name}", f"{out}/{name}", (16, 16)) for name in ("0.png", "2.png", "sub/3.png")
    ]
    assert all(event.seconds >= 0 for event in made)


def test_an_event_is_one_line_of_json() -> None:
    lines = {
        as_line(Started(total=2, skipped=1, model="m", direction="AtoB", engine="torch")): {
            "event": "start", "total": 2, "skipped": 1, "model": "m", "direction": "AtoB", "engine": "torch",
        },
        as_line(Translated(source="a\nb.png", output="c", seconds=0.5, size=(3, 4))): {
            "event": "picture", "source": "a\nb.png", "output": "c", "seconds": 0.5, "size": [3, 4],
        },
        as_line(Failed(source=os.fsdecode(b"\xff.png"), reason="\u00e4")): {
            "event": "failed", "source": os.fsdecode(b"\xff.png"), "reason": "\u00e4",
        },
        as_line(Note(text="n")): {"event": "note", "text": "n"},
        as_line(Ended(translated=1, skipped=2, failed=3)): {
            "event": "end", "translated": 1, "skipped": 2, "failed": 3, "elsewhere": 0,
        },
    }  # fmt: skip
    for line, fields in lines.items():
        assert line.isascii() and "\n" not in line and json.loads(line) == fields


def test_an_outcome_counts_all(tmp_path: Path, translator: Translator, pictures: Path) -> None:
    out = pictures.parent / "out"
    translate_directory(translator, pictures / "0.png", out)
    (pictures / "2.png").write_bytes(b"broken")
    outcome = translate_directory(translator, pictures, out, resume=True)
    assert (len(outcome.translated), len(outcome.skipped), len(outcome.failed), outcome.done) == (2, 1, 1, 4)
    assert [*outputs(out)] == ["0.png", "1.png", "sub/3.png"] and (out / NAME).exists()
    assert isinstance(replace(Started(total=1, skipped=0), model="m"), Started) and isinstance(outcome, Outcome)
    with Image.open(out / "0.png") as image:
        assert image.size == (16, 16)
