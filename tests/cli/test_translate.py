"""`cyclegan translate`: what it prints, and what it refuses."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from cyclegan.cli.codes import MISTAKE, UNREADABLE
from cyclegan.inference.generator_file import write_generator
from cyclegan.networks.config import ResnetConfig
from cyclegan.types import Direction
from tests.cli.test_cli import run_main
from tests.tiny import outputs, write_pictures

PLAIN = ("--device", "cpu", "--engine", "torch", "--precision", "float32")


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    write_generator(ResnetConfig(width=4, blocks=1).build(), Direction.BtoA, tmp_path / "g.safetensors", trained=16)
    return tmp_path / "g.safetensors"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "in", 3, size=24)
    return tmp_path / "in"


def test_json_is_a_line_for_each_event(
    generator: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "1.png").write_bytes(b"broken")
    assert run_main("translate", generator, photos, tmp_path / "out", *PLAIN, "--json") == UNREADABLE
    told = capsys.readouterr()
    events = [json.loads(line) for line in told.out.splitlines()]
    assert [event["event"] for event in events] == ["start", "picture", "failed", "picture", "end"] and not told.err
    start, first, failed, _, end = events
    assert start["model"] == str(generator) and (start["direction"], start["engine"]) == ("BtoA", "torch")
    assert first["source"] == str(photos / "0.png") and first["size"] == [24, 24]
    assert failed["source"] == str(photos / "1.png") and "cannot be read" in failed["reason"]
    assert (end["translated"], end["failed"]) == (2, 1)


def test_a_dry_run_prints_what_would_be_done_and_changes_nothing(
    generator: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main("translate", generator, photos, tmp_path / "out", *PLAIN, "--dry_run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [f"{photos}/{i}.png -> {tmp_path}/out/{i}.png, 24 x 24" for i in range(3)]
    assert not (tmp_path / "out").exists()


def test_what_others_wrote_is_replaced_only_when_asked(
    generator: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.png").write_bytes(b"mine")
    words = ("translate", generator, photos, tmp_path / "out", *PLAIN)
    assert run_main(*words) == MISTAKE
    [line] = capsys.readouterr().err.splitlines()
    assert "1.png" in line and "--overwrite" in line
    assert (tmp_path / "out" / "1.png").read_bytes() == b"mine"
    assert run_main(*words, "--overwrite") == 0
    assert Image.open(tmp_path / "out" / "1.png").size == (24, 24)


def test_a_stream_holds_the_picture_and_nothing_else(
    generator: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = io.TextIOWrapper(io.BytesIO((photos / "0.png").read_bytes()))
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", read)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(written, write_through=True))
        assert run_main("translate", generator, "-", "-", *PLAIN) == 0
        sys.stdout.flush()
        data = written.getvalue()
    assert run_main("translate", generator, photos / "0.png", tmp_path / "out", *PLAIN) == 0
    assert Image.open(io.BytesIO(data)).tobytes() == Image.open(tmp_path / "out" / "0.png").tobytes()


def test_much_larger_pictures_than_those_of_the_training_get_one_line_of_advice(
    generator: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (90, 70)).save(photos / name)
    assert run_main("translate", generator, photos, tmp_path / "out", *PLAIN) == 0
    [line] = capsys.readouterr().err.splitlines()
    assert "1 more" in line and "trained at 16" in line and "--detail" in line
    assert run_main("translate", generator, photos, tmp_path / "detail", *PLAIN, "--detail") == 0
    assert not capsys.readouterr().err
    assert {Image.open(path).size for path in outputs(tmp_path / "detail").values()} == {(24, 24), (90, 70)}


@pytest.mark.parametrize(
    "words, told",
    [
        (("-", "-", "--json"), "--json is for files, not for - -"),
        (("-", "out"), "give - for both SOURCE and OUT, or for neither"),
        (("in", "out", "--memory", "lots"), "--memory: expected a size such as 2GB or 800MB, not lots"),
        (("in", "out", "--max_pixels", "0"), "--max_pixels: must be at least 1, not 0"),
        (("in", "out", "--feather", "3"), "--feather needs --mask"),
        (("in", "out", "--size", "9", "--scale", "2"), "--size and --scale exclude each other"),
        (("in", "out", "--strength", "2"), "--strength: must be 0 to 1, not 2"),
        (("in", "out", "--mask", "nowhere"), "--mask: nowhere: no such picture or folder"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("translate", "g.safetensors", *words) == MISTAKE
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"cyclegan: {told}")
