"""A picture that fails does not stop the others; when writing fails, translating ends and nothing is lost."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.cli.codes import REFUSED
from cyclegan.data.codecs import decode_pillow, metadata
from cyclegan.data.picture import Pixels
from cyclegan.data.read import read_image
from cyclegan.inference import pipeline, prepare
from cyclegan.inference.directory import Unfinished, translate_directory
from cyclegan.inference.manifest import Manifest
from cyclegan.inference.translator import Translator
from cyclegan.util.atomic import Unwritten, write_whole
from tests.cli.test_cli import run_main
from tests.forked import Forks
from tests.pictures import SUPERUSER
from tests.tiny import outputs, write_pictures

PLAIN = ("--device", "cpu", "--precision", "float32")

LARGE = 24
"""Side, in pixels, of pictures that do not fit into memory in these tests; other pictures have 16."""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """0.png to 4.png, of which 2.png is large."""
    write_pictures(tmp_path / "in", 5, size=16)
    write_pictures(tmp_path / "one", 1, size=LARGE)[0].replace(tmp_path / "in" / "2.png")
    return tmp_path / "in"


CPU_FULL = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 21474836480 bytes.")
GPU_FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
TOO_LARGE = "24 x 24 pixels, out of memory{}; try --memory with less, or a smaller --size"
FAILURES = [
    (CPU_FULL, TOO_LARGE.format(" (20.0 GiB more were requested)")),
    (GPU_FULL, TOO_LARGE.format(" (2.0 GiB more were requested)")),
    (MemoryError(), TOO_LARGE.format("")),
    (RuntimeError("Padding size should be less\nthan the input"), "Padding size should be less than the input"),
    (ValueError("the image contains NaN"), "the image contains NaN"),
]


def failing_at_large(work: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """Wrap a function so that it raises the error for the large picture."""

    def failing(given: Any, *more: Any, **options: Any) -> Any:
        values = getattr(given, "values", given)
        size = values.shape[1]
        if size == LARGE:
            raise error
        return work(given, *more, **options)

    return failing


@pytest.mark.parametrize("error, told", FAILURES)
def test_a_picture_that_fails_in_the_network_is_listed_and_the_rest_goes_on(
    error: Exception, told: str, translator: Translator, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translator, "translate_pixels", failing_at_large(translator.translate_pixels, error))
    outcome = translate_directory(translator, pictures, pictures.parent / "out")
    assert outcome.failed == [f"{pictures}/2.png cannot be translated: {told}"]
    assert list(outputs(pictures.parent / "out")) == ["0.png", "1.png", "3.png", "4.png"]


@pytest.mark.parametrize("station", ["convert", "values_of", "encoded"])
@pytest.mark.parametrize("error", [CPU_FULL, MemoryError()])
def test_memory_may_run_out_anywhere(
    station: str, error: Exception, translator: Translator, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = prepare if station == "convert" else pipeline
    monkeypatch.setattr(home, station, failing_at_large(getattr(home, station), error))
    outcome = translate_directory(translator, pictures, pictures.parent / "out")
    [line] = outcome.failed
    assert line.startswith(f"{pictures}/2.png cannot be translated: ") and "out of memory" in line
    assert len(outcome.translated) == 4


def test_memory_may_run_out_while_decoding(
    translator: Translator, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_pillow, "upright", failing_at_large(metadata.upright, MemoryError()))
    [line] = translate_directory(translator, pictures, pictures.parent / "out").failed
    assert line == f"{pictures}/2.png cannot be read: out of memory; make it smaller"


@pytest.mark.parametrize("error, calls", [(GPU_FULL, [3, 1, 1, 1, 1, 1]), (RuntimeError("odd"), [3, 1, 1, 1, 2, 1, 1])])
def test_a_batch_that_fails_is_tried_again_one_by_one(
    error: Exception, calls: list[int], translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A size whose batch does not fit into memory is not tried again."""
    write_pictures(tmp_path / "in", 5, size=16)
    whole, seen, freed = translator.translate_pixels, list[int](), list[bool]()

    def small(pixels: Pixels, style: object = None) -> Pixels:
        seen.append(len(pixels))
        if len(pixels) > 1:
            raise error
        return whole(pixels)

    monkeypatch.setattr(translator, "translate_pixels", small)
    monkeypatch.setattr(translator, "batch_size", lambda height, width: 3)
    monkeypatch.setattr(pipeline, "free_memory", lambda: freed.append(True))
    outcome = translate_directory(translator, tmp_path / "in", tmp_path / "out")
    assert len(outcome.translated) == 5 and not outcome.failed
    assert seen == calls and freed


def test_a_network_that_diverged_is_no_pictures_fault(translator: Translator, pictures: Path) -> None:
    with torch.no_grad():
        next(translator.torch.network.parameters())[0] = torch.nan
    with pytest.raises(ValueError, match="the network that made it has diverged"):
        translate_directory(translator, pictures, pictures.parent / "out")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc, and limits what Linux counts")
def test_a_picture_too_large_for_the_memory_of_this_machine_is_translated_in_bands(
    generator: Path, tmp_path: Path, forks: Forks
) -> None:
    small = write_pictures(tmp_path / "in", 3, size=16)
    Image.new("RGB", (2000, 1500)).save(small[1], compress_level=1)
    words = ("translate", generator, tmp_path / "in", tmp_path / "out", *PLAIN, "--engine", "torch")
    process = forks.start(*words, log=tmp_path / "log", LIMIT_MEMORY=str(700 * 2**20))
    assert process.wait() == 0, process.told
    assert process.told == f"3 translated to {tmp_path}/out\n"
    assert Image.open(tmp_path / "out" / "1.png").size == (2000, 1500)


def disk_that_refuses(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """Make writing the output of this name fail with this error number."""

    def refusing(path: Path, *more: Any, **named: Any) -> None:
        if path.name == name:
            raise Unwritten(path, OSError(number, "refused"))
        write_whole(path, *more, **named)

    monkeypatch.setattr(pipeline, "write_whole", refusing)


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR])
def test_a_name_that_the_disk_does_not_take_is_one_pictures_failure(
    number: int, translator: Translator, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_that_refuses(monkeypatch, "1.png", number)
    outcome = translate_directory(translator, pictures, pictures.parent / "out")
    assert outcome.failed == [f"{pictures.parent}/out/1.png cannot be written: refused"]
    assert len(outcome.translated) == 4


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES])
def test_a_disk_that_refuses_ends_it_with_what_was_done(
    number: int, translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "in", 40, size=8)
    seen: list[Pixels] = []

    def same(pixels: Pixels, style: object = None) -> Pixels:
        seen.append(pixels)
        return pixels

    monkeypatch.setattr(translator, "translate_pixels", same)
    disk_that_refuses(monkeypatch, "1.png", number)  # the second of their names
    with pytest.raises(Unfinished) as caught:
        translate_directory(translator, tmp_path / "in", tmp_path / "out")
    end, out = caught.value, tmp_path / "out"
    done = len(end.outcome.translated)
    assert str(end) == f"{out}/1.png cannot be written: refused; {done} of 40 are translated; continue with --resume"
    assert end.errno == number and done == len(outputs(out)) and "1.png" not in outputs(out)
    assert len(seen) < 20  # nothing is computed that cannot be written
    monkeypatch.undo()
    outcome = translate_directory(translator, tmp_path / "in", tmp_path / "out", resume=True)
    assert (len(outcome.skipped), len(outcome.translated)) == (done, 40 - done)


@pytest.mark.parametrize("small_disk", ["300k"], indirect=True)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_a_really_full_disk_loses_nothing(
    suffix: str, generator: Path, small_disk: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, out, random = tmp_path / "in", small_disk / "out", np.random.default_rng(0)
    source.mkdir()
    for i in range(16):
        noise = Image.fromarray(random.integers(0, 256, (150, 150, 3), dtype=np.uint8))
        noise.save(source / f"{i:02}{suffix}", quality=95)
    words = ("translate", generator, source, out, "--device", "cpu")
    assert run_main(*words) == REFUSED
    told = capfd.readouterr()
    done = outputs(out)
    assert 0 < len(done) < 16 and all(read_image(path).size == (150, 150) for path in done.values())
    assert told.out == f"{len(done)} translated to {out}\n"
    assert told.err.endswith(
        f"cannot be written: No space left on device; {len(done)} of 16 are translated; continue with --resume\n"
    )
    assert run_main(*words, "--resume") == REFUSED
    again = outputs(out)
    assert done.keys() <= again.keys() and all(read_image(path).size == (150, 150) for path in again.values())
    assert not list(out.rglob("*.part"))
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    before = {name: path.stat().st_mtime_ns for name, path in again.items()}
    assert run_main(*words, "--resume") == 0
    after = outputs(out)
    assert len(after) == 16 and before.items() <= {n: path.stat().st_mtime_ns for n, path in after.items()}.items()
    assert run_main(*words[:3], tmp_path / "peace", *words[4:]) == 0
    assert all(path.read_bytes() == (tmp_path / "peace" / name).read_bytes() for name, path in after.items())


def test_a_full_manifest_is_no_finished_picture(
    translator: Translator, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Manifest, *_: object) -> None:
        raise Unwritten(self.path, OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(Manifest, "add", full)
    with pytest.raises(Unfinished, match="jsonl cannot be written: No space left on device; 0 of 5 are translated"):
        translate_directory(translator, pictures, pictures.parent / "out")
    assert not outputs(pictures.parent / "out")


@pytest.mark.skipif(SUPERUSER, reason="the superuser may write everywhere")
def test_a_directory_that_may_not_be_written_is_refused_at_once(generator: Path, pictures: Path) -> None:
    out = pictures.parent / "out"
    out.mkdir(mode=0o500)
    assert run_main("translate", generator, pictures, out) == REFUSED


def test_a_disk_without_locks_is_told(translator: Translator, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(file: int) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("cyclegan.util.locks.try_lock", no_locks)
    notes: list[str] = []
    outcome = translate_directory(translator, pictures, pictures.parent / "out", note=notes.append)
    assert len(outcome.translated) == 5
    assert notes == [f"{pictures.parent}/out: has no file locks; start several processes on it one after the other"]
