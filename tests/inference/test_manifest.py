"""`--resume` skips outputs of the same model, options and sources, and reports what it makes again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cyclegan.inference import manifest
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.manifest import NAME, FileState, How, Manifest, state_of
from cyclegan.inference.options import Options
from cyclegan.inference.sizes import Sizing
from cyclegan.inference.translator import Translator
from cyclegan.inference.weights import digest
from cyclegan.networks.config import ResnetConfig
from cyclegan.types import Precision
from tests.pictures import GREY, plain
from tests.tiny import outputs, write_pictures


def translator(seed: int = 0, precision: Precision = "float32", **config: Any) -> Translator:
    torch.manual_seed(seed)
    return Translator(ResnetConfig(width=4, blocks=1, **config).build(), device="cpu", precision=precision)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "in", 4, size=16)
    return tmp_path / "in"


class Resumed:
    """The results of a second pass with --resume, after a change to the first one's outputs."""

    def __init__(
        self,
        pictures: Path,
        change: Callable[[Path], object] = lambda out: None,
        *,
        overwrite: bool = False,
        **again: Any,
    ) -> None:
        out, self.notes = pictures.parent / "out", list[str]()
        if not out.exists():
            translate_directory(translator(), pictures, out)
        change(out)
        by = again.pop("by", translator())
        outcome = translate_directory(
            by, pictures, out, resume=True, overwrite=overwrite, note=self.notes.append, **again
        )
        self.kept = [path.name for path in outcome.skipped]
        self.made = [path.name for path in outcome.translated]
        translate_directory(by, pictures, pictures.parent / "peace", **again)
        peace = outputs(pictures.parent / "peace")
        assert {name: path.read_bytes() for name, path in outputs(out).items()} == {
            name: path.read_bytes() for name, path in peace.items()
        }


ALL = ["0.png", "1.png", "2.png", "3.png"]


def test_what_was_finished_is_kept_without_a_word(pictures: Path) -> None:
    resumed = Resumed(pictures)
    assert (resumed.kept, resumed.made, resumed.notes) == (ALL, [], [])


def test_what_is_missing_is_made_without_a_word(pictures: Path) -> None:
    resumed = Resumed(pictures, lambda out: (out / "1.png").unlink())
    assert (resumed.kept, resumed.made, resumed.notes) == (["0.png", "2.png", "3.png"], ["1.png"], [])


def of_the_same_size(out: Path) -> None:
    data = (out / "1.png").read_bytes()
    (out / "1.png").write_bytes(data[:-20] + bytes(20))


def link(out: Path) -> None:
    (out / "1.png").unlink()
    (out / "1.png").symlink_to("0.png")


def touched_source(out: Path) -> None:
    os.utime(out.parent / "in" / "1.png", ns=(0, 0))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda out: os.truncate(out / "1.png", 40), "1 changed since they were written"),
    "another of the same size": (of_the_same_size, "1 changed since they were written"),
    "a link": (link, "1 changed since they were written"),
    "another source": (lambda out: plain("RGB", GREY)(out.parent / "in" / "1.png"), "1 whose source has changed"),
    "a source of another time": (touched_source, "1 whose source has changed"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_not_as_it_was_finished_is_made_again_and_told(name: str, pictures: Path) -> None:
    change, why = CHANGES[name]
    resumed = Resumed(pictures, change, overwrite=True)
    assert (resumed.kept, resumed.made) == (["0.png", "2.png", "3.png"], ["1.png"])
    assert resumed.notes == [f"{pictures.parent}/out: translating 1 again, although an output exists: {why}"]


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "weights": ({"by": translator(1)}, "made by another model or direction"),
    "config": ({"by": translator(skip=True)}, "made by another model or direction"),
    "size": ({"options": Options(sizing=Sizing(size=12))}, "made with other options"),
    "precision": ({"by": translator(precision="bf16")}, "made with other options"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_another_translator_made_is_made_again_and_told(name: str, pictures: Path) -> None:
    again, why = OTHERS[name]
    resumed = Resumed(pictures, **again)
    assert (resumed.kept, resumed.made) == ([], ALL)
    assert resumed.notes == [f"{pictures.parent}/out: translating 4 again, although an output exists: 4 {why}"]
    back = Resumed(pictures)
    assert (back.kept, back.made) == ([], ALL)


def test_what_nobody_recorded_is_made_again_and_told(pictures: Path) -> None:
    resumed = Resumed(pictures, lambda out: (out / NAME).unlink(), overwrite=True)
    assert resumed.made == ALL
    assert resumed.notes == [
        f"{pictures.parent}/out: translating 4 again, although an output exists: 4 not known to be finished"
    ]


def test_every_reason_is_counted_in_one_line(pictures: Path) -> None:
    def change(out: Path) -> None:
        lines = (out / NAME).read_text(encoding="utf-8").splitlines(keepends=True)
        (out / NAME).write_text("".join(line for line in lines if '"0.png"' not in line), encoding="utf-8")
        of_the_same_size(out)
        os.utime(out.parent / "in" / "2.png", ns=(0, 0))
        os.utime(out.parent / "in" / "3.png", ns=(0, 0))

    why = "2 whose source has changed, 1 not known to be finished, 1 changed since they were written"
    assert Resumed(pictures, change, overwrite=True).notes == [
        f"{pictures.parent}/out: translating 4 again, although an output exists: {why}"
    ]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut in the middle of a line": lambda line: line[: len(line) // 2],
    "cut before the end of a line": lambda line: line[:-2],
    "nothing": lambda line: b"\n",
    "zeros": lambda line: bytes(len(line)),
    "text": lambda line: b"hello\n",
    "no UTF-8": lambda line: b"\xff\xfe\n",
    "another number": lambda line: b"12\n",
    "other fields": lambda line: b'{"output": "3.png"}\n',
    "other types": lambda line: line.replace(b'"bytes": ', b'"bytes": "x", "y": '),
    "nested without end": lambda line: b"[" * 100_000 + b"\n",
    "a number without end": lambda line: b'{"bytes": ' + b"9" * 9999 + b"}\n",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_line_loses_only_its_own_picture(name: str, pictures: Path) -> None:
    lost: list[str] = []

    def damage(out: Path) -> None:
        lines = (out / NAME).read_bytes().splitlines(keepends=True)
        lost.append(json.loads(lines[-1])["output"])
        (out / NAME).write_bytes(b"".join(lines[:-1]) + DAMAGES[name](lines[-1]))

    resumed = Resumed(pictures, damage, overwrite=True)
    assert resumed.made == lost and len(resumed.kept) == 3
    again = Resumed(pictures)  # what was written after the damage counts
    assert again.kept == ALL and not again.notes


def test_a_damaged_line_in_the_middle_loses_only_its_own_picture(pictures: Path) -> None:
    def damage(out: Path) -> None:
        lines = (out / NAME).read_bytes().splitlines(keepends=True)
        (out / NAME).write_bytes(lines[0] + lines[1][:30] + b"\n" + b"".join(lines[2:]))

    assert len(Resumed(pictures, damage, overwrite=True).made) == 1


def test_names_of_all_kinds_are_known_again(tmp_path: Path) -> None:
    names = ['quoted "x".png', "two\nlines.png", os.fsdecode(b"\xff.png"), "sub/\u00e4.png", "\u2028.png"]
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        plain("RGB", GREY)(tmp_path / "in" / name)
    assert len(Resumed(tmp_path / "in").kept) == len(names)


def test_pictures_of_other_sources_stay_known(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_pictures(tmp_path / name, 1, size=16)[0].rename(tmp_path / name / f"{name}.png")
    for name in ("a", "b"):
        translate_directory(translator(), tmp_path / name, tmp_path / "out")
    for name in ("a", "b"):
        assert translate_directory(translator(), tmp_path / name, tmp_path / "out", resume=True).skipped


def test_a_process_that_ends_between_the_line_and_the_file_loses_only_that_picture(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(self: Path, place: Path) -> Path:
        raise Killed

    out = pictures.parent / "out"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "replace", killed)
        translate_directory(translator(), pictures / "1.png", out)
    assert "1.png" in (out / NAME).read_text(encoding="utf-8") and not outputs(out)
    assert Resumed(pictures).made == ALL


@pytest.mark.parametrize(
    "make", [lambda path: path.symlink_to("precious"), lambda path: path.mkdir(), lambda path: os.mkfifo(path)]
)
def test_a_manifest_that_is_no_file_of_ours_is_refused(make: Callable[[Path], object], pictures: Path) -> None:
    out = pictures.parent / "out"
    out.mkdir()
    (out / "precious").write_bytes(b"precious")
    make(out / NAME)
    with pytest.raises(ValueError, match=rf"{NAME}: not a file that cyclegan wrote; remove it"):
        translate_directory(translator(), pictures, out)
    assert (out / "precious").read_bytes() == b"precious"


def test_what_says_nothing_any_more_is_dropped(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "SUPERFLUOUS", 2)
    out = pictures.parent / "out"
    lines = []
    for _ in range(9):
        translate_directory(translator(), pictures, out)
        lines.append(len((out / NAME).read_bytes().splitlines()))
    assert max(lines) <= 3 * 4 + 2 and Resumed(pictures).kept == ALL


def test_ten_thousand_outputs_are_looked_up_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is looked up on the disk once, and the manifest is read once."""
    source = tmp_path / "source"
    source.touch()
    how, state = How(model="x", precision="auto"), state_of(source)
    with Manifest(tmp_path, how) as written:
        for i in range(10_000):
            written.add(Path(f"{i}.png"), FileState(i, i), state)
    reads: list[bytes] = []
    parsed = manifest._parsed

    def counted(line: bytes) -> Any:
        reads.append(line)
        return parsed(line)

    monkeypatch.setattr(manifest, "_parsed", counted)
    with Manifest(tmp_path, how) as read:
        assert len(read.done) == 10_000 and len(reads) == 10_001  # and what is after the last line
        (tmp_path / "9999.png").touch()
        assert read.doubt(Path("9999.png"), source) == manifest.CHANGED
    assert len(reads) == 10_001


def test_a_model_is_known_by_its_config_and_its_weights_and_not_by_its_place() -> None:
    same, other = digest(translator().torch.network), digest(translator(1).torch.network)
    network = translator().torch.network
    assert same == digest(network) == digest(network.to(memory_format=torch.channels_last)) != other
    with torch.no_grad():
        next(network.parameters())[0, 0, 0, 0] += 1e-6
    assert digest(network) != same
    assert digest(torch.nn.BatchNorm2d(3)) != digest(torch.nn.BatchNorm2d(3, eps=1e-3))
