"""Every file that is written has the mode that the umask sets, whichever code opens it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

from cyclegan.data.fetch import _unpack
from cyclegan.data.stores import SUFFIXES
from cyclegan.data.write import write_image
from cyclegan.recipe import write_recipe
from tests.cli.test_cli import run_main
from tests.tiny import tiny_recipe, write_pictures

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")


@pytest.fixture(params=[0o002, 0o027], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_every_kind_of_file(umask: int, data: Path, weights: Path, tmp_path: Path) -> None:
    root = tmp_path / "written"
    run = root / "run"
    features: list[str | Path] = ["--features.network", "squeezenet1_1", "--features.weights", weights]
    write_recipe(tiny_recipe(data), root / "tiny.yaml")
    assert run_main("train", root / "tiny.yaml", "--out", run) == 0
    assert run_main("export", run, root / "g.safetensors") == 0
    (tmp_path / "in").mkdir()
    for suffix in SUFFIXES:
        write_image(Image.new("RGB", (16, 16)), tmp_path / "in" / f"x{suffix}")
    assert run_main("translate", run, tmp_path / "in", root / "out") == 0
    write_pictures(tmp_path / "some", 8)
    words: list[str | Path] = ["--fake", tmp_path / "some", "--real", tmp_path / "some", "--out", root / "metrics.json"]
    assert run_main("evaluate", *words, *features, "--device", "cpu") == 0
    shutil.copytree(run, tmp_path / "twin")
    assert run_main("compare", run, tmp_path / "twin", "--out", root / "compare.html") == 0
    with ZipFile(tmp_path / "toy.zip", "w") as packed:
        packed.writestr("toy/trainA/x.png", b"x")
    _unpack(tmp_path / "toy.zip", root / "toy")

    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    kinds = {path.suffix for path in modes if path.is_file()}
    assert {".pt", ".png", ".yaml", ".html", ".json", ".jsonl", ".md", ".safetensors", *SUFFIXES} <= kinds
    wrong = {path: oct(mode) for path, mode in modes.items() if mode != (0o777 if path.is_dir() else 0o666) & ~umask}
    assert not wrong
