"""A command that the system refused something exits unlike one that was mistyped, and says why in one line."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

import pytest
import torch

from cyclegan.cli import codes
from cyclegan.cli.codes import MISTAKE, REFUSED, code_of
from cyclegan.cli.others import Show
from cyclegan.inference.model import open_model
from cyclegan.recipe import Recipe, write_recipe
from cyclegan.training.trainer import train
from cyclegan.util.atomic import Unwritten
from tests.cli.test_cli import run_main
from tests.forked import ROOT
from tests.tiny import write_pictures

ERRORS: list[tuple[Exception, int]] = [
    (ValueError("a mistake"), MISTAKE),
    (FileNotFoundError("no such picture"), MISTAKE),
    (FileExistsError("holds a run already"), MISTAKE),
    (PermissionError("the hub asks for a token"), MISTAKE),
    (ConnectionError("no answer"), MISTAKE),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), MISTAKE),
    (NotADirectoryError(errno.ENOTDIR, "Not a directory", "x"), MISTAKE),
    (Unwritten(Path("x"), OSError(errno.ENAMETOOLONG, "File name too long")), MISTAKE),
    (PermissionError(errno.EACCES, "Permission denied", "x"), REFUSED),
    (Unwritten(Path("x"), OSError(errno.ENOSPC, "No space left on device")), REFUSED),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), REFUSED),
    (OSError(errno.EROFS, "Read-only file system"), REFUSED),
    (OSError(errno.EIO, "Input/output error"), REFUSED),
    (OSError(errno.EMFILE, "Too many open files"), REFUSED),
    (MemoryError(), REFUSED),
]


@pytest.mark.parametrize("error, code", ERRORS, ids=lambda value: repr(value)[:40])
def test_what_the_system_refuses_is_no_mistake(error: Exception, code: int) -> None:
    assert code_of(error) == code


TOLD: list[tuple[BaseException, int, str]] = [
    (PermissionError(errno.EACCES, "Permission denied", "/x/y"), REFUSED, "/x/y: Permission denied"),
    (OSError(errno.EIO, "Input/output error"), REFUSED, "[Errno 5] Input/output error"),
    (MemoryError(), REFUSED, "out of memory; try smaller pictures, or a device with more memory"),
    (torch.OutOfMemoryError("CUDA out of memory."), REFUSED, "out of memory; try smaller pictures, or a de"),
]


@pytest.mark.parametrize("error, code, told", TOLD, ids=lambda value: repr(value)[:40])
def test_it_is_one_line(
    error: BaseException, code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(self: Show) -> int:
        raise error

    monkeypatch.setattr(Show, "run", run)
    assert run_main("show", "x") == code
    captured = capsys.readouterr()
    assert captured.err.startswith(f"cyclegan: {told}") and captured.err.count("\n") == 1 and not captured.out


def test_what_nobody_foresaw_is_told_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: Show) -> int:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(Show, "run", run)
    with pytest.raises(RuntimeError, match="shapes differ"):
        run_main("show", "x")


def test_every_command_that_writes_meets_a_full_disk_alike(
    recipe: Recipe, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, twin, some = tmp_path / "run", tmp_path / "twin", tmp_path / "some"
    train(recipe, run)
    shutil.copytree(run, twin)
    write_pictures(some, 8)
    write_recipe(recipe, tmp_path / "tiny.yaml")
    features: list[str | Path] = ["--features.network", "squeezenet1_1", "--features.weights", weights]
    lines: dict[str, list[str | Path]] = {
        "recipe.yaml": ["train", tmp_path / "tiny.yaml", "--out", tmp_path / "new"],
        "cyclegan-translate": ["translate", run, some, tmp_path / "out"],
        "m.json": ["evaluate", "--fake", some, "--real", some, "--out", tmp_path / "m.json", *features],
        "report.html": ["report", run],
        "compare.html": ["compare", run, twin, "--out", tmp_path / "compare.html"],
        "explain.html": ["explain", run, some / "0.png", "--out", tmp_path / "explain.html"],
        "g.safetensors": ["export", run, tmp_path / "g.safetensors"],
    }

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for name, words in lines.items():
        assert run_main(*words) == REFUSED, words
        told = capsys.readouterr().err.splitlines()[-1]
        assert re.match(rf"cyclegan: \S*{name} cannot be written: No space left on device", told), told
    open_model(run)  # it is as it was


def test_the_documentation_lists_every_code() -> None:
    table = re.findall(r"^\| ([0-9, ]+) \|", (ROOT / "docs" / "commands.md").read_text(encoding="utf-8"), re.M)
    numbers = [value for name, value in vars(codes).items() if name.isupper() and isinstance(value, int)]
    assert table == ["0", *map(str, sorted(numbers)), "130, 143, 129"]
