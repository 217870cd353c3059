"""The result as text, as JSON and as a page; the first recipe; the lines that `train` notes."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan.check.check import check
from cyclegan.check.first_recipe import first_recipe
from cyclegan.check.look import viewed
from cyclegan.check.page import write_check
from cyclegan.check.quick import quick_notes
from cyclegan.check.text import as_text
from cyclegan.data.config import DataConfig
from cyclegan.data.picture import FilePicture
from cyclegan.data.sources import sources
from cyclegan.recipe import read_recipe, recipe_from, write_recipe
from cyclegan.training.trainer import train
from tests.check.conftest import fill, natural
from tests.cli.test_cli import run_main
from tests.pages import text as page_text
from tests.tiny import tiny_recipe

KEYS = {
    "": "data pairs quick folders findings suggestions cost",
    "folders": "name domain split files checked unreadable not_read suffixes kinds depths channels sizes width height "
    "shorter_side aspect values lowest highest detail flat colourless transparent converted turned holed",
    "findings": "level kind text advice examples",
    "suggestions": "key value reason",
    "cost": "device size seconds_per_image memory_gib cache_gib busy images hours",
}
"""The keys of the JSON, which programs may rely on."""


def notes(root: Path) -> list[str]:
    data = DataConfig(root=root)
    return quick_notes(data, {domain: source.find() for domain, source in sources(data, "train").items()})


def leak(root: Path) -> None:
    (root / "testA" / "again.png").write_bytes((root / "trainA" / "trainA1.png").read_bytes())


def test_json_has_the_keys_that_are_documented(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leak(root)
    assert run_main("check", root, "--device", "cpu", "--json", "-") == 0
    found = json.loads(capsys.readouterr().out)
    for place, keys in KEYS.items():
        part = found[place] if place else found
        for each in part if isinstance(part, list) else [part]:
            assert list(each) == keys.split(), place
    documented = page_text("docs/data.md")
    assert all(f"`{key}`" in documented for keys in KEYS.values() for key in keys.split())


def test_the_text_has_a_line_for_each_finding_and_says_if_there_is_none(root: Path) -> None:
    result = check(root, device="cpu").result
    assert "nothing to worry about" in as_text(replace(result, findings=()))
    leak(root)
    told = as_text(check(root, device="cpu").result)
    assert "  warning: testA: 1 picture equals one of trainA\n" in told
    assert "- trainA/trainA1.png = testA/again.png" in told
    assert max(map(len, told.splitlines())) < 200


def test_the_page_holds_the_findings_with_their_pictures_and_needs_no_other_file(root: Path, tmp_path: Path) -> None:
    leak(root)
    html = write_check(check(root, device="cpu"), tmp_path / "check.html").read_text(encoding="utf-8")
    assert "testA: 1 picture equals one of trainA" in html
    assert html.count("data:image/webp;base64,") == 2 + 25
    assert not re.search(r"https?://", re.sub(r"base64,[\w+/=]+", "", html))


def test_a_page_shows_pictures_that_have_gone_as_nothing(root: Path, tmp_path: Path) -> None:
    leak(root)
    checked = check(root, device="cpu")
    for path in (root / "testA").iterdir():
        path.unlink()
    assert write_check(checked, tmp_path / "check.html").stat().st_size > 1000


@pytest.mark.parametrize("broken, code", [(0, 0), (3, 3)])
def test_the_exit_code_says_whether_many_pictures_are_unreadable(broken: int, code: int, root: Path) -> None:
    for i in range(broken):
        (root / "trainA" / f"broken{i}.jpg").touch()
    assert run_main("check", root, "--quick", "--device", "cpu") == code


def test_files_are_written_where_they_are_asked_for(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, data = tmp_path / "page.html", tmp_path / "found.json"
    assert run_main("check", root, "--quick", "--device", "cpu", "--html", page, "--json", data) == 0
    assert page.is_file() and json.loads(data.read_text(encoding="utf-8"))["quick"] is True
    assert "nothing to worry about" not in (told := capsys.readouterr().out) and "trainA: only 6 pictures" in told


def test_a_first_recipe_is_commented_and_trains(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    assert run_main("init", root, path, "--device", "cpu") == 0
    assert f"train with: cyclegan train {path}" in capsys.readouterr().out
    lines = path.read_text(encoding="utf-8").splitlines()
    keys = [i for i, line in enumerate(lines) if re.match(r" +[a-z_]+: \S", line)]
    assert len(keys) > 9 and all(lines[i - 1].lstrip().startswith("#") for i in keys)
    recipe = read_recipe(path)
    assert recipe.data.root == root and recipe.speed.device == "cpu"
    recipe.build()
    short = recipe.to_dict()
    short["method"] |= {"generator": {"kind": "resnet", "width": 4, "blocks": 1}}
    short["training"]["lr_schedule"] |= {"constant": "1 images", "decay": "1 images"}
    short["speed"] |= {"compile": "off", "precision": "float32", "channels_last": "off"}
    assert train(recipe_from(short, "test"), tmp_path / "run").is_file()


def test_a_first_recipe_states_the_hours_here(root: Path) -> None:
    written, told = (" ".join(part.split("\n# ")) for part in first_recipe(root, device="cpu"))
    assert "about 2 h 46 min for 20,000 images" in told and told in written


def test_a_first_recipe_for_pairs_trains(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "train", 3, lambda seed: natural(seed, 128, 64))
    (tmp_path / "pairs.yaml").write_text(first_recipe(tmp_path / "set", device="cpu").recipe, encoding="utf-8")
    short = read_recipe(tmp_path / "pairs.yaml").to_dict()
    short["method"]["generator"] |= {"width": 4}
    short["training"]["lr_schedule"] |= {"constant": "1 images", "decay": "1 images"}
    short["speed"] |= {"compile": "off", "precision": "float32", "channels_last": "off"}
    assert train(recipe_from(short, "test"), tmp_path / "run").is_file()


@pytest.mark.parametrize(
    "name, told",
    [("there.yaml", "there.yaml: exists already; choose another name, or remove it"), ("x.txt", "must end in .yaml")],
)
def test_a_first_recipe_overwrites_nothing(
    name: str, told: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.yaml").write_text("mine", encoding="utf-8")
    assert run_main("init", root, tmp_path / name) == 2
    assert told in capsys.readouterr().err
    assert (tmp_path / "there.yaml").read_text(encoding="utf-8") == "mine"


def test_no_recipe_is_written_for_pictures_that_cannot_be_read(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(3):
        (root / "trainA" / f"broken{i}.jpg").touch()
    assert run_main("init", root, tmp_path / "mine.yaml", "--device", "cpu") == 2
    assert "trainA: 3 of 9 pictures cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "mine.yaml").exists()


def test_train_notes_nothing_where_nothing_is_odd(root: Path) -> None:
    assert notes(root) == []


def test_train_notes_what_a_quick_look_finds(root: Path) -> None:
    leak(root)
    (root / "trainB" / "x.cr2").touch()  # training itself tells this
    for i, path in enumerate(sorted((root / "trainB").glob("*.png"))):
        natural(300 + i, 128, 128).save(path)
    for i in range(30):
        natural(400 + i, 128, 128).save(root / "trainB" / f"more{i}.png")
    a, b = root / "trainA", root / "trainB"
    assert notes(root) == [
        f"check: {a}: 1 picture also in {root / 'testA'}, so scores are too good: trainA1.png = again.png",
        f"check: {b} has 6 times as many pictures as {a}",
        f"check: the shorter sides in {a} and {b} differ: 64 and 128 pixels (medians of samples)",
        f"check: cyclegan check {root} says more",
    ]


def test_damaged_files_and_pipes_do_not_stop_a_quick_look(root: Path) -> None:
    for folder in ("trainA", "testA"):
        (root / folder / "empty.jpg").touch()
        (root / folder / "nowhere.jpg").symlink_to("nothing.jpg")
    assert notes(root) == []


def test_train_notes_them_when_a_run_starts_and_not_when_it_resumes(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leak(root)
    write_recipe(tiny_recipe(root), tmp_path / "tiny.yaml")
    words = ("train", tmp_path / "tiny.yaml", "--out", tmp_path / "run")
    assert run_main(*words) == 0
    assert "check: " in capsys.readouterr().err
    assert run_main(*words, "--resume") == 0
    assert "check: " not in capsys.readouterr().err


def test_a_picture_with_a_deeper_type_is_viewed_in_bytes(tmp_path: Path) -> None:

    ramp = np.linspace(0, 4095, 64 * 64).reshape(64, 64, 1).astype(np.uint16)
    assert np.asarray(viewed(FilePicture(values=ramp, kind="grey"))).max() == 255
    bands = np.random.default_rng(0).random((8, 8, 7)).astype(np.float32)
    assert isinstance(viewed(FilePicture(values=bands, kind="bands")), Image.Image)
