"""Pictures in files: names, failures, what is replaced, and what is continued."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

import cyclegan.painting.studio
from cyclegan.data.write import Output
from cyclegan.inference.masks import Masks
from cyclegan.painting.directory import Unfinished, dry_run, stylize_directory
from cyclegan.painting.extractor import Extractor
from cyclegan.painting.painting import Painting
from cyclegan.painting.record import FOLDER
from cyclegan.painting.settings import Settings
from cyclegan.painting.studio import Outcome
from cyclegan.painting.task import Task
from cyclegan.util.locks import Busy, locked
from cyclegan.util.signals import Stopped
from tests.painting.tiny import LAYERS, Slow, extractor
from tests.tiny import outputs, write_pictures

FAST = Settings(network="squeezenet1_1", iterations=2, levels=1)
TASK = Task(settings=FAST)


@pytest.fixture(scope="module")
def run() -> Extractor:
    return extractor(LAYERS._replace(shifts=1))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "photos", 2, size=40)
    write_pictures(tmp_path / "photos" / "more", 1, size=36, seed=4)
    return tmp_path / "photos"


@pytest.fixture
def styles(tmp_path: Path) -> Path:
    for number, path in enumerate(write_pictures(tmp_path / "styles", 2, size=32, seed=9)):
        path.rename(path.with_name(f"style{number}.jpg"))
    return tmp_path / "styles"


def test_each_content_gets_each_style_under_both_names(run: Extractor, photos: Path, styles: Path) -> None:
    out = photos.parent / "out"
    done = list[tuple[float, int]]()
    outcome = stylize_directory(
        run, photos, [styles], out, TASK, report=lambda now, total, _: done.append((now, total))
    )
    names = {f"{name}_style{style}.png" for name in ("0", "1", "more/0") for style in (0, 1)}
    assert {*outputs(out)} == names and len(outcome.painted) == 6 and not outcome.failed
    assert {Image.open(path).size for path in outputs(out).values()} == {(40, 40), (36, 36)}
    assert done == sorted(done) and done[-1] == (6, 6)


def test_several_styles_are_mixed_in_one_painting(run: Extractor, photos: Path, styles: Path) -> None:
    out = photos.parent / "out"
    pair = [styles / "style0.jpg", styles / "style1.jpg"]
    stylize_directory(run, photos / "0.png", pair, out, TASK)
    stylize_directory(run, photos / "0.png", [styles, pair[1]], out, TASK)
    assert {*outputs(out)} == {"0_style0_style1.png", "0_style1_style1.png"}


def test_one_painting_may_have_a_name_of_its_own(run: Extractor, photos: Path, styles: Path) -> None:
    out = photos.parent / "mine.jpg"
    outcome = stylize_directory(run, photos / "0.png", [styles / "style0.jpg"], out, TASK)
    assert outcome.painted == [out] and Image.open(out).format == "JPEG"


def test_a_painting_keeps_what_its_content_says(run: Extractor, tmp_path: Path, styles: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Camera", 6
    photo = Image.new("RGB", (40, 30), (200, 90, 10))
    photo.save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300))
    pixels = np.full((30, 40, 4), 128, np.uint8)
    pixels[:, :20, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "b.png")
    for name in ("a.jpg", "b.png"):
        stylize_directory(run, tmp_path / name, [styles / "style0.jpg"], tmp_path / "out", TASK)
    a, b = (Image.open(tmp_path / "out" / name) for name in ("a_style0.jpg", "b_style0.png"))
    assert a.size == (30, 40) and a.getexif()[ExifTags.Base.Make] == "Camera" and a.info["dpi"] == (300, 300)
    assert b.mode == "RGBA" and np.array_equal(np.asarray(b)[..., 3], pixels[..., 3])
    task = replace(TASK, output=Output(strip=True, format="tif"), settings=replace(FAST, size=24))
    stylize_directory(run, tmp_path / "a.jpg", [styles / "style0.jpg"], tmp_path / "out", task)
    small = Image.open(tmp_path / "out" / "a_style0.tif")
    assert small.size == (24, 32) and ExifTags.Base.Make not in small.getexif()


def test_what_fails_is_listed_and_the_rest_is_done(run: Extractor, photos: Path, styles: Path) -> None:
    (photos / "1.png").write_bytes(b"broken")
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    frames[0].save(photos / "dance.gif", save_all=True, append_images=frames[1:])
    Image.new("RGB", (4, 400)).save(photos / "thin.png")  # too small for the network
    out = photos.parent / "out"
    outcome = stylize_directory(run, photos, [styles / "style0.jpg"], out, TASK)
    assert {*outputs(out)} == {"0_style0.png", "more/0_style0.png"}
    broken, dance, thin = sorted(outcome.failed)
    assert "1.png cannot be read" in broken and "has 2 frames" in dance and "thin.png" in thin
    assert "cannot be painted" in thin and not any("\n" in line for line in outcome.failed)


def test_a_broken_style_is_told_once(run: Extractor, photos: Path, styles: Path) -> None:
    (styles / "style0.jpg").write_bytes(b"broken")
    outcome = stylize_directory(run, photos, [styles], photos.parent / "out", TASK)
    assert len(outcome.painted) == 3 and len(outcome.failed) == 1 and "style0.jpg cannot be read" in outcome.failed[0]


def test_memory_that_runs_out_fails_one_picture(
    run: Extractor, photos: Path, styles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Painting.advance

    def advance(painting: Painting) -> bool:
        if painting.size == (36, 36):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000000 bytes")
        return real(painting)

    monkeypatch.setattr(Painting, "advance", advance)
    outcome = stylize_directory(run, photos, [styles / "style0.jpg"], photos.parent / "out", TASK)
    assert len(outcome.painted) == 2
    [line] = outcome.failed
    assert "out of memory (3.7 GiB more were requested); try a smaller --size" in line


def test_finished_paintings_are_kept_by_resume_unless_something_has_changed(
    run: Extractor, photos: Path, styles: Path
) -> None:
    out, style = photos.parent / "out", styles / "style0.jpg"

    def painted(task: Task = TASK, resume: bool = True) -> list[str]:
        outcome = stylize_directory(run, photos, [style], out, task, resume=resume)
        assert len(outcome.painted) + len(outcome.skipped) == 3
        return [path.relative_to(out).as_posix() for path in outcome.painted]

    assert len(painted()) == 3 and painted() == [] and len(painted(resume=False)) == 3
    os.utime(photos / "1.png", (1, 1))
    assert painted() == ["1_style0.png"]
    os.utime(style, (1, 1))
    assert len(painted()) == 3
    other = replace(TASK, settings=replace(FAST, style_weight=3.0))
    assert len(painted(other)) == 3 and painted(other) == []


def test_files_of_others_are_replaced_only_with_overwrite(run: Extractor, photos: Path, styles: Path) -> None:
    out, style = photos.parent / "out", styles / "style0.jpg"
    out.mkdir()
    (out / "1_style0.png").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"1_style0.png; choose another directory, or say --overwrite"):
        stylize_directory(run, photos, [style], out, TASK)
    assert (out / "1_style0.png").read_bytes() == b"mine" and not (out / "0_style0.png").exists()
    stylize_directory(run, photos, [style], out, TASK, overwrite=True)
    assert Image.open(out / "1_style0.png").size == (40, 40)
    (out / "0_style0.png").write_bytes(b"changed")
    with pytest.raises(ValueError, match=r"0_style0\.png"):
        stylize_directory(run, photos, [style], out, TASK, resume=True)


@pytest.mark.parametrize(
    "content, given, out, told",
    [
        ("photos", ["styles"], "photos/out", "lies among the sources"),
        ("photos", ["styles"], "styles", "lies among the sources"),
        ("photos/0.png", ["styles/style0.jpg"], "photos/0.png", "lies among the sources"),
        ("photos", ["styles/style0.jpg"], "out.png", "names one picture"),
        ("photos/0.png", ["styles/style9.jpg"], "out", "style9.jpg: no such picture"),
        ("photos/0.png", ["about.svg"], "out", "is not read"),
        ("photos/0.png", [], "out", "at least one STYLE"),
        ("styles", ["photos"], "out", "would both be written to"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_painted(
    run: Extractor, photos: Path, styles: Path, content: str, given: list[str], out: str, told: str
) -> None:
    base = photos.parent
    (base / "about.svg").write_text("<svg/>", encoding="utf-8")
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    with pytest.raises((ValueError, FileNotFoundError), match=told):
        stylize_directory(run, base / content, [base / each for each in given], base / out, TASK)
    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before


def test_masks_are_found_by_the_names_of_the_contents(run: Extractor, photos: Path, styles: Path) -> None:
    masks = photos.parent / "masks"
    for name in ("0", "1", "more/0"):
        (masks / name).parent.mkdir(parents=True, exist_ok=True)
        size = Image.open(photos / f"{name}.png").size
        mask = Image.new("L", size)
        mask.paste(255, (0, 0, size[0] // 2, size[1]))
        mask.save(masks / f"{name}.jpg")
    out = photos.parent / "out"
    stylize_directory(run, photos, [styles / "style0.jpg"], out, replace(TASK, masks=(Masks(masks),)))
    for name in ("0", "more/0"):
        before, after = (np.asarray(Image.open(path)) for path in (photos / f"{name}.png", out / f"{name}_style0.png"))
        assert np.array_equal(before[:, 24:], after[:, 24:]) and not np.array_equal(before[:, :16], after[:, :16])
    (masks / "1.jpg").unlink()
    outcome = stylize_directory(run, photos, [styles / "style0.jpg"], out, replace(TASK, masks=(Masks(masks),)))
    assert len(outcome.failed) == 1 and "1.png" in outcome.failed[0] and "there is no mask" in outcome.failed[0]


def stopped_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, count = Painting.advance, 0

    def advance(painting: Painting) -> bool:
        nonlocal count
        count += 1
        if count == steps:
            signal.raise_signal(signal.SIGINT)
        return real(painting)

    monkeypatch.setattr(Painting, "advance", advance)


def test_a_stopped_painting_continues_to_the_same_picture(
    run: Extractor, photos: Path, styles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, style, notes = photos.parent / "out", styles / "style0.jpg", list[str]()
    task = Task(settings=replace(FAST, iterations=7))
    stylize_directory(run, photos, [style], photos.parent / "whole", task)
    with monkeypatch.context() as patch:
        stopped_after(10, patch)
        with pytest.raises(Stopped, match=r"stopped after 1\.43 of 3 paintings") as stop:
            stylize_directory(run, photos, [style], out, task)
    assert stop.value.signal == signal.SIGINT and [*outputs(out)] == ["0_style0.png"]
    assert (out / FOLDER / "1_style0.png.state").is_file()
    outcome = stylize_directory(run, photos, [style], out, task, resume=True, note=notes.append)
    assert len(outcome.painted) == 2 and len(outcome.skipped) == 1
    assert notes == [f"{out}/1_style0.png: continuing at 43%"]
    for name, path in outputs(photos.parent / "whole").items():
        assert (out / name).read_bytes() == path.read_bytes()
    assert not [*out.rglob("*.state")]


def test_a_killed_painting_continues_from_its_last_state(
    photos: Path, styles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, out = Slow(seconds_per_pixel=1e-3), photos.parent / "out"  # 4 seconds for a step
    task, words = Task(settings=replace(FAST, iterations=20)), (photos / "0.png", [styles / "style0.jpg"])
    stylize_directory(slow, *words, photos.parent / "whole.png", task)
    real, count = Painting.advance, 0

    class Killed(BaseException):
        pass

    def advance(painting: Painting) -> bool:
        nonlocal count
        count += 1
        if count == 18:
            raise Killed
        return real(painting)

    with monkeypatch.context() as patch:
        patch.setattr(Painting, "advance", advance)
        with pytest.raises(Killed):
            stylize_directory(slow, *words, out / "it.png", task, clock=slow.clock)
    notes = list[str]()
    stylize_directory(slow, *words, out / "it.png", task, resume=True, clock=slow.clock, note=notes.append)
    assert len(notes) == 1 and "it.png: continuing at " in notes[0]
    assert (out / "it.png").read_bytes() == (photos.parent / "whole.png").read_bytes()


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"broken"), lambda path: path.write_bytes(b"")])
def test_a_damaged_state_is_told_and_painted_anew(
    run: Extractor,
    photos: Path,
    styles: Path,
    damage: Callable[[Path], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, words = photos.parent / "out", (photos / "0.png", [styles / "style0.jpg"])
    with monkeypatch.context() as patch:
        stopped_after(1, patch)
        with pytest.raises(Stopped):
            stylize_directory(run, *words, out, TASK)
    damage(out / FOLDER / "0_style0.png.state")
    notes = list[str]()
    outcome = stylize_directory(run, *words, out, TASK, resume=True, note=notes.append)
    assert len(outcome.painted) == 1 and len(notes) == 1 and notes[0].endswith("0_style0.png from the beginning")


def test_the_state_of_other_options_is_not_continued(
    run: Extractor, photos: Path, styles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, words = photos.parent / "out", (photos / "0.png", [styles / "style0.jpg"])
    with monkeypatch.context() as patch:
        stopped_after(1, patch)
        with pytest.raises(Stopped):
            stylize_directory(run, *words, out, TASK)
    notes, other = list[str](), replace(TASK, settings=replace(FAST, style_weight=1.0))
    stylize_directory(run, *words, out, other, resume=True, note=notes.append)
    assert not notes


def test_the_preview_shows_the_painting_in_the_making(photos: Path, styles: Path) -> None:
    slow, preview = Slow(seconds_per_pixel=1e-3), photos.parent / "live.png"
    seen = set[bytes]()

    def look(done: float, total: int, told: str) -> None:
        if preview.exists():
            seen.add(Image.open(preview).tobytes())  # whole, whenever it is read

    task = Task(settings=replace(FAST, iterations=6), preview=preview)
    words = photos / "0.png", [styles / "style0.jpg"], photos.parent / "out"
    stylize_directory(slow, *words, task, clock=slow.clock, report=look)
    assert len(seen) >= 3
    assert Image.open(preview).tobytes() == Image.open(photos.parent / "out" / "0_style0.png").tobytes()
    with pytest.raises(ValueError, match=r"--preview: .* is one of the pictures"):
        stylize_directory(slow, *words, replace(task, preview=photos / "0.png"))
    with pytest.raises(ValueError, match="no known suffix"):
        stylize_directory(slow, *words, replace(task, preview=photos.parent / "live.xyz"))


def test_every_painting_has_the_time_of_its_own(photos: Path, styles: Path) -> None:
    slow, ends = Slow(seconds_per_pixel=1e-4), [0.0]

    def note(done: float, total: int, told: str) -> None:
        if not told:
            ends.append(slow.now)

    task = Task(settings=replace(FAST, iterations=1000, seconds=7.0))
    stylize_directory(slow, photos, [styles / "style0.jpg"], photos.parent / "out", task, clock=slow.clock, report=note)
    assert len(ends) == 4 and all(5 < after - before <= 7 for before, after in pairwise(ends))


def test_what_another_process_paints_is_waited_for_or_refused(
    run: Extractor, photos: Path, styles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, words = photos.parent / "out", (photos, [styles / "style0.jpg"])
    (out / FOLDER).mkdir(parents=True)
    lock = locked(out / FOLDER / "0_style0.png.lock")
    lock.__enter__()
    with pytest.raises(Busy, match="in use by"):
        stylize_directory(run, *words, out, TASK)
    waited = list[float]()

    def sleep(seconds: float) -> None:
        assert {*outputs(out)} == {"1_style0.png", "more/0_style0.png"}
        waited.append(seconds)
        lock.__exit__(None, None, None)  # it has died

    monkeypatch.setattr(cyclegan.painting.studio.time, "sleep", sleep)  # type: ignore[attr-defined]
    outcome = stylize_directory(run, *words, out, TASK, resume=True)
    assert len(outcome.painted) == 3 and len(waited) == 1


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(run: Extractor, photos: Path, styles: Path) -> None:
    out, style = photos.parent / "out", styles / "style0.jpg"
    stylize_directory(run, photos / "0.png", [style], out, TASK)
    (photos / "more" / "0.png").write_bytes(b"broken")
    (out / "1_style0.png").write_bytes(b"mine")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def lines(resume: bool) -> list[str]:
        return [each.line for each in dry_run(run, photos, [style], out, TASK, resume=resume)]

    first, second, third = lines(resume=False)
    assert first == f"{photos}/0.png in the style of {style} -> {out}/0_style0.png, 40 x 40 in 1 size, again"
    assert second.endswith("would overwrite") and "more/0.png cannot be read" in third
    assert lines(resume=True)[0].endswith("finished")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("small_disk", ["60k"], indirect=True)
def test_a_full_disk_ends_the_work_and_leaves_whole_files(
    run: Extractor, photos: Path, styles: Path, small_disk: Path
) -> None:
    write_pictures(photos, 30, size=90, seed=3)
    with pytest.raises(
        Unfinished, match=r"cannot be written: No space left on device; .* continue with --resume"
    ) as end:
        stylize_directory(run, photos, [styles / "style0.jpg"], small_disk / "out", TASK)
    outcome = end.value.outcome
    assert isinstance(outcome, Outcome) and 0 < len(outcome.painted) < 31
    assert all(Image.open(path).load() for path in outputs(small_disk / "out").values())
