"""Everything that a check can find, provoked, and nothing in a data set without it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan.check.check import check
from cyclegan.check.finding import Finding
from cyclegan.data.picture import FilePicture, Kind
from cyclegan.data.read import read_picture
from tests.check.conftest import fill, natural


def findings(root: Path, quick: bool = False) -> dict[str, Finding]:
    """By kind, without the one about few pictures."""
    found = check(root, quick=quick, device="cpu").result.findings
    return {each.kind: each for each in found if each.kind != "few"}


def test_nothing_is_found_where_nothing_is_odd(root: Path) -> None:
    assert findings(root) == {} == findings(root, quick=True)


def test_few_pictures_are_told(root: Path) -> None:
    found = check(root, device="cpu").result.findings
    assert [(each.kind, each.level, each.text) for each in found] == [
        ("few", "warning", "trainA: only 6 pictures"),
        ("few", "warning", "trainB: only 6 pictures"),
    ]


def broken(root: Path) -> None:
    fill(root / "trainA", 9, first=500)
    (root / "trainA" / "broken.jpg").write_bytes(b"no picture")


def mostly_broken(root: Path) -> None:
    for i in range(3):
        (root / "trainA" / f"broken{i}.jpg").write_bytes(b"no picture")


def raw_files(root: Path) -> None:
    (root / "trainA" / "x.cr2").touch()
    (root / "trainA" / "y.svg").touch()
    (root / "trainA" / "notes.txt").touch()


def flat(root: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(root / "trainB" / "flat.png")


def some_grey(root: Path) -> None:
    natural(900).convert("L").convert("RGB").save(root / "trainB" / "grey.png")


def only_grey(root: Path) -> None:
    for path in (root / "trainA").iterdir():
        Image.open(path).convert("L").convert("RGB").save(path)


def pale(root: Path) -> None:
    for path in (root / "trainA").iterdir():
        Image.open(path).point(lambda value: 100 + value // 8).save(path)


def one_small(root: Path) -> None:
    natural(901, 20, 20).save(root / "trainA" / "small.png")


def one_long(root: Path) -> None:
    natural(902, 256, 64).save(root / "trainA" / "long.png")


def enlarged(root: Path) -> None:
    for path in (root / "trainB").iterdir():
        small = Image.open(path).resize((16, 16), Image.Resampling.BICUBIC)
        small.resize((64, 64), Image.Resampling.BICUBIC).save(path)


def larger(root: Path) -> None:
    for i, path in enumerate(sorted((root / "trainB").iterdir())):
        natural(920 + i, 128, 128).save(path)


def wider(root: Path) -> None:
    for i, path in enumerate(sorted((root / "trainB").iterdir())):
        natural(940 + i, 96, 64).save(path)


def many(root: Path) -> None:
    for i in range(30):
        natural(960 + i).save(root / "trainB" / f"more{i}.png")


def no_tests(root: Path) -> None:
    for path in (root / "testA").iterdir():
        path.unlink()
    (root / "testA").rmdir()


def equal_names(root: Path) -> None:
    for letter in "AB":
        for path in (root / f"train{letter}").iterdir():
            path.rename(path.with_name(path.name.replace(f"train{letter}", "")))


def leak(root: Path) -> None:
    Image.open(root / "trainA" / "trainA1.png").save(root / "testA" / "again.png")


def in_both(root: Path) -> None:
    Image.open(root / "trainA" / "trainA1.png").save(root / "trainB" / "again.png")


def twice(root: Path) -> None:
    Image.open(root / "trainA" / "trainA1.png").save(root / "trainA" / "again.png")


@pytest.mark.parametrize(
    "change, kind, level, told",
    [
        (broken, "unreadable", "warning", "trainA: 1 of 16 pictures cannot be read"),
        (mostly_broken, "unreadable", "error", "trainA: 3 of 9 pictures cannot be read"),
        (
            raw_files,
            "not_read",
            "warning",
            "trainA: 2 files are not read: 1 Canon raw (.cr2), develop them to TIFF",
        ),
        (flat, "flat", "warning", "trainB: 1 picture of one colour"),
        (some_grey, "colourless", "note", "trainB: 1 picture in grey among 6 in colour"),
        (only_grey, "colourless", "note", "trainA: all pictures are grey, stored as colour"),
        (pale, "range", "note", "trainA: nearly all values are between"),
        (one_small, "small", "note", "trainA: 1 picture less than half as large as most"),
        (one_long, "long", "note", "trainA: 1 picture at least 3 times as long as wide"),
        (enlarged, "enlarged", "warning", "trainB: pictures look enlarged about"),
        (enlarged, "detail", "warning", "trainB has detail as of"),
        (larger, "scale", "warning", "shorter sides differ: 64 pixels in trainA, 128 in trainB (medians)"),
        (wider, "aspect", "note", "width / height differs: 1.00 in trainA, 1.50 in trainB (medians)"),
        (many, "balance", "note", "trainB has 6 times as many pictures as trainA"),
        (no_tests, "no_test", "note", "no testA: there is nothing to score a run on"),
        (equal_names, "names", "note", "trainA and trainB: 100 % of the names are equal"),
        (leak, "test_in_train", "warning", "testA: 1 picture equals one of trainA"),
        (in_both, "a_in_b", "warning", "trainB: 1 picture equals one of trainA"),
        (twice, "copies", "warning", "trainA: 1 picture equals another one"),
    ],
)
def test_what_is_odd_is_found_and_ranked(
    change: Callable[[Path], None], kind: str, level: str, told: str, root: Path
) -> None:
    change(root)
    found = findings(root)[kind]
    assert (found.level, found.text[: len(told)]) == (level, told)
    assert found.advice


def test_one_picture_is_enough_for_a_style(root: Path) -> None:
    for path in sorted((root / "trainA").glob("*.png"))[1:]:
        path.unlink()
    found = findings(root)["balance"]
    assert found.text == "trainB has 6 times as many pictures as trainA"
    assert (
        found.advice == "one picture is enough for method.kind: perceptual, as its style; other methods need many more"
    )


def test_the_examples_are_pictures_and_the_reasons_of_unreadable_ones(root: Path) -> None:
    flat(root)
    mostly_broken(root)
    found = findings(root)
    assert [(each.told, each.files) for each in found["flat"].examples] == [
        ("trainB/flat.png", (str(root / "trainB" / "flat.png"),))
    ]
    assert all("cannot be read" in each.told for each in found["unreadable"].examples)


def test_errors_come_first(root: Path) -> None:
    flat(root)
    mostly_broken(root)
    no_tests(root)
    levels = [each.level for each in check(root, device="cpu").result.findings]
    assert levels == sorted(levels, key=["error", "warning", "note"].index) and levels[0] == "error"


def test_halves_of_files_are_checked_as_pictures_of_their_domains(tmp_path: Path) -> None:
    def both(seed: int) -> Image.Image:
        image = Image.new("RGB", (128, 64))
        image.paste(natural(seed), (0, 0))
        image.paste(Image.new("RGB", (64, 64), "blue") if seed == 3 else natural(seed + 50), (64, 0))
        return image

    fill(tmp_path / "train", 5, both)
    result = check(tmp_path, device="cpu").result
    assert [folder.name for folder in result.folders] == ["train (left)", "train (right)"]
    assert [folder.width and folder.width.median for folder in result.folders] == [64, 64]
    assert [each.text for each in result.findings if each.kind == "flat"] == ["train (right): 1 picture of one colour"]
    assert result.pairs == "side_by_side"


def test_files_that_are_no_two_squares_are_doubted_as_pairs(tmp_path: Path) -> None:
    fill(tmp_path / "train", 5, lambda seed: natural(seed, 64, 64))
    assert findings(tmp_path)["halves"].level == "warning"


@pytest.mark.parametrize(
    "folders, told",
    [
        (["horses", "zebras"], "has no trainA and no trainB, it has horses, zebras; a data set has trainA and trainB"),
        (["trainA"], "has no trainB, it has trainA"),
        ([], "it has no folders"),
    ],
)
def test_other_folders_are_told_what_is_expected(folders: list[str], told: str, tmp_path: Path) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError, match=told):
        check(tmp_path)


def test_a_quick_check_decodes_a_part_and_compares_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyclegan.check.facts.QUICK", 3)
    monkeypatch.setattr("cyclegan.check.check.QUICK", 3)
    leak(root)
    seen: list[tuple[int, int]] = []
    result = check(root, quick=True, device="cpu", report=lambda done, total: seen.append((done, total))).result
    assert [(folder.files, folder.checked) for folder in result.folders] == [(6, 3), (6, 3), (7, 3), (6, 3)]
    assert result.cost is None and not any(each.kind == "test_in_train" for each in result.findings)
    assert seen == [(i, 12) for i in range(1, 13)]


def test_a_check_reads_every_picture_once_and_keeps_a_row_of_it(root: Path) -> None:
    facts = check(root, device="cpu").folders[0]
    assert facts.rows.dtype.itemsize <= 48 and len(facts.rows) == 6
    values = np.asarray(Image.open(facts.path(0)))
    assert (facts.rows[0]["low"], facts.rows[0]["high"]) == (values.min(), values.max())


def test_a_folder_of_which_nothing_can_be_read_is_an_error_and_the_others_are_checked(root: Path) -> None:
    for path in (root / "trainA").iterdir():
        path.write_bytes(b"no picture")
    result = check(root, device="cpu").result
    assert [each.text for each in result.errors] == ["trainA: 6 of 6 pictures cannot be read"]
    assert not result.suggestions and result.folders[0].width is None and result.folders[1].width


def test_pictures_with_different_numbers_of_channels_are_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path, at_least: int | None = None) -> FilePicture:
        values = np.random.default_rng(len(path.stem)).integers(0, 255, (40, 40, 4), dtype=np.uint8)
        return FilePicture(values=values[..., : 2 if path.stem == "trainA0" else 4], kind="bands")

    for module in ("check.look", "data.found"):
        monkeypatch.setattr(f"cyclegan.{module}.read_picture", read)
    found = findings(root)["channels"]
    assert (found.level, found.text) == (
        "error",
        "trainA: pictures have different numbers of channels: 5 with 4, 1 with 2",
    )
    assert check(root, device="cpu").result.suggestions == ()


@pytest.mark.parametrize("channels, kind, told", [(4, "bands", "trainA has 3 channels, trainB 4"), (1, "grey", None)])
def test_domains_with_other_channels_are_told_unless_one_is_grey(
    channels: int, kind: Kind, told: str | None, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path, at_least: int | None = None) -> FilePicture:
        values = np.random.default_rng(sum(path.name.encode())).integers(0, 255, (40, 40, channels), dtype=np.uint8)
        return FilePicture(values=values, kind=kind) if "B" in path.parent.name else read_picture(path)

    for module in ("check.look", "data.found"):
        monkeypatch.setattr(f"cyclegan.{module}.read_picture", read)
    found = findings(root).get("channels")
    assert (found and found.text) == told


def test_twelve_bits_in_sixteen_are_found_and_their_range_is_suggested(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path, at_least: int | None = None) -> FilePicture:
        picture = read_picture(path)
        return FilePicture(values=picture.values.astype(np.uint16) * 16, kind="rgb")

    for module in ("check.look", "data.found"):
        monkeypatch.setattr(f"cyclegan.{module}.read_picture", read)
    result = check(root, device="cpu").result
    assert {each.advice for each in result.findings if each.kind == "range"} == {
        "set data.a.range: [0, 4095], as cyclegan init does",
        "set data.b.range: [0, 4095], as cyclegan init does",
    }
    suggested = {each.key: each.value for each in result.suggestions}
    assert suggested["data.a.range"] == [0.0, 4095.0] and suggested["data.b.depth"] == "uint16"
