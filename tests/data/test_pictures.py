"""Every kind of file in `pictures.py`: none stops a training or a translation, and none is skipped silently."""

from __future__ import annotations

import errno
import os
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import torch
from rich.console import Console

from cyclegan.data.codecs.signature import HEAD, format_of
from cyclegan.data.folder import Folder
from cyclegan.data.loader import Loader
from cyclegan.data.read import read_picture
from cyclegan.data.sources import Source
from cyclegan.data.stores import SUFFIXES
from cyclegan.data.transforms import Augment
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.manifest import NAME
from cyclegan.inference.options import Options
from cyclegan.inference.sizes import Sizing
from cyclegan.inference.translator import Translator
from cyclegan.networks.config import ResnetConfig
from cyclegan.util.text import shown
from tests.pictures import BLUE, KINDS, RED, SUPERUSER, Kind, plain, red
from tests.tiny import outputs, write_pictures

pytestmark = pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")  # as untouched.py does


@pytest.fixture(scope="module")
def translator() -> Translator:
    torch.manual_seed(0)
    return Translator(ResnetConfig(width=4, blocks=1).build(), device="cpu", precision="float32")


@pytest.fixture(scope="module")
def augment() -> Augment:
    return Augment([{"Resize": {"height": 20, "width": 20}}, {"RandomCrop": {"height": 16, "width": 16}}])


def put(kind: Kind, folder: Path) -> Path:
    """Write the file of this kind into the folder, if the system allows it."""
    if SUPERUSER and kind.outcome == "Permission denied":
        pytest.skip("the superuser may read everything")
    try:
        kind.make(folder / kind.name)
    except OSError as error:
        if error.errno not in (errno.EILSEQ, errno.ENAMETOOLONG):
            raise
        pytest.skip(f"this file system does not take the name: {error}")
    return folder / kind.name


def assert_one_line(line: str, path: Path, reason: str) -> None:
    """Check that the line has the file and the reason, and no character that a stream cannot print."""
    assert shown(path) in line and reason in line
    assert len(line.splitlines()) == 1 and line.isprintable()
    stream = TextIOWrapper(BytesIO(), "utf-8", errors="strict")
    Console(file=stream).print(line, markup=False, highlight=False, soft_wrap=True)
    stream.seek(0)
    assert stream.read() == f"{line}\n"


def test_the_table_is_as_long_as_promised() -> None:
    assert len(KINDS) >= 150


@pytest.mark.parametrize("name", KINDS)
def test_translating(name: str, translator: Translator, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kind = KINDS[name]
    good = write_pictures(tmp_path / "in", 2, size=12)
    path, output = put(kind, tmp_path / "in"), tmp_path / "out" / (kind.written or kind.name)

    def meanwhile(done: int, total: int) -> None:
        if kind.later and not done:
            kind.later(path)

    outcome = translate_directory(translator, tmp_path / "in", tmp_path / "out", report=meanwhile)
    assert {"0.png", "1.png"} <= {each.name for each in (tmp_path / "out").iterdir()}
    if kind.unwritable or isinstance(kind.outcome, str):
        [line] = outcome.failed
        assert_one_line(line, output if kind.unwritable else path, kind.unwritable or str(kind.outcome))
        assert list(outcome.translated) == good and not os.path.lexists(output)
    elif kind.outcome is None:
        assert list(outcome.translated) == good and not outcome.failed and not os.path.lexists(output)
    else:
        assert sorted(outcome.translated) == sorted([*good, path]) and not outcome.failed
        assert format_of(output.read_bytes()[:HEAD], output) == SUFFIXES[output.suffix.lower()]
        assert read_picture(output).values.shape[:2] == kind.size[::-1]
    assert not list((tmp_path / "out").rglob("*.part"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", KINDS)
def test_training(name: str, augment: Augment, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kind = KINDS[name]
    for domain, number in (("A", 12), ("B", 2)):
        write_pictures(tmp_path / domain, number, size=12)
    path, told = put(kind, tmp_path / "A"), list[str]()
    a, b = (Folder(Source(tmp_path / domain), augment.prepare, memory=2**20, warn=told.append) for domain in "AB")
    if kind.later:
        kind.later(path)
    batches = list(Loader(a, b, augment, batch_size=1, seed=0).batches(0, 2 * len(a)))  # each of A twice
    assert len(batches) == 2 * len(a) and all(batch.a.shape == (1, 3, 16, 16) for batch in batches)
    if isinstance(kind.outcome, str):
        [line] = told
        assert_one_line(line, path, kind.outcome)
        assert line.startswith("skipped: ") and list(a.broken) == [a.files.index(path)]
    else:
        assert not told and not a.broken and (path in a.files) == (kind.outcome is not None)
    assert capfd.readouterr() == ("", "")


ALONE = [name for name, kind in KINDS.items() if isinstance(kind.outcome, str) and not kind.later]


@pytest.mark.parametrize("name", ALONE)
def test_translating_it_alone_ends_in_one_line_too(name: str, translator: Translator, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = put(KINDS[name], tmp_path / "in")
    try:
        [line] = translate_directory(translator, path, tmp_path / "out").failed
    except FileNotFoundError as error:
        line = str(error)
    assert shown(path) in line and len(line.splitlines()) == 1


def test_pictures_of_one_stem_keep_apart(translator: Translator, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, colour in (("x.jpg", RED), ("x.png", BLUE), ("x.PNG", RED), ("x.gif", BLUE)):
        plain("RGB", colour)(tmp_path / "in" / name)
    translated = translate_directory(translator, tmp_path / "in", tmp_path / "out").translated
    assert len(translated) == len(list((tmp_path / "in").iterdir())) == len(outputs(tmp_path / "out"))
    assert (tmp_path / "out" / "x.png").read_bytes() != (tmp_path / "out" / "x.jpg").read_bytes()


def test_a_picture_that_breaks_after_it_was_drawn_is_left_out_from_then_on(augment: Augment, tmp_path: Path) -> None:
    paths, told = write_pictures(tmp_path, 12, size=12), list[str]()
    folder = Folder(Source(tmp_path), augment.prepare, memory=0, warn=told.append)  # nothing stays in RAM
    loader = Loader(folder, folder, augment, batch_size=1, seed=0, workers=2)
    assert len(list(loader.batches(0, 12))) == 12 and not told
    paths[3].write_bytes(b"")
    assert len(list(loader.batches(12, 60))) == 48
    assert len(told) == 1 and shown(paths[3]) in told[0]


def test_a_picture_that_the_transforms_do_not_take_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, 1, size=12)
    augment = Augment([{"LongestMaxSize": {"max_size": 16}}, {"CenterCrop": {"height": 64, "width": 64}}])
    folder = Folder(Source(tmp_path), augment.prepare, memory=0, warn=print)
    with pytest.raises(ValueError, match=r"0\.png: its 16 x 16 pixels are too few"):
        _ = folder[0]


def test_a_strip_is_not_scaled_beyond_the_limit(translator: Translator, tmp_path: Path) -> None:
    [good] = write_pictures(tmp_path / "in", 1)
    plain("RGB", RED, 10_000, 1)(tmp_path / "in" / "strip.png")
    outcome = translate_directory(
        translator, tmp_path / "in", tmp_path / "out", options=Options(sizing=Sizing(size=100))
    )
    assert list(outcome.translated) == [good]
    [line] = outcome.failed
    assert "strip.png cannot be translated: 1000000 x 100 pixels are over the limit" in line


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_output_escapes(translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path / "elsewhere", 2)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "folder").symlink_to("../elsewhere")
    (tmp_path / "in" / "link.png").symlink_to("../elsewhere/0.png")
    red(tmp_path / "in" / "sub" / "x.png")
    before = files_below(tmp_path)
    expected = {"folder/0.png", "folder/1.png", "link.png", "sub/x.png"}
    monkeypatch.chdir(tmp_path / "in" / "sub")
    sources = [Path(".."), Path("../../in"), tmp_path / "in" / "sub" / "..", Path("../../in/sub/x.png"), Path("x.png")]
    for i, source in enumerate(sources):
        translate_directory(translator, source, tmp_path / f"out{i}")
        made = {name: path.read_bytes() for name, path in outputs(tmp_path / f"out{i}").items()}
        assert made.keys() == ({"x.png"} if source.name == "x.png" else expected)
        before |= {f"out{i}/{name}": data for name, data in made.items()}
    there = files_below(tmp_path)
    assert {name: data for name, data in there.items() if Path(name).name != NAME} == before


def test_a_link_in_the_place_of_an_output_is_replaced_and_not_followed(translator: Translator, tmp_path: Path) -> None:
    [path] = write_pictures(tmp_path / "in", 1)
    (tmp_path / "precious.png").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / path.name).symlink_to(tmp_path / "precious.png")
    translate_directory(translator, tmp_path / "in", tmp_path / "out", overwrite=True)
    assert (tmp_path / "precious.png").read_bytes() == b"precious"
    assert not (tmp_path / "out" / path.name).is_symlink()


@pytest.mark.parametrize("link", ["folder", "picture"])
def test_sources_are_not_overwritten_by_way_of_links(link: str, translator: Translator, tmp_path: Path) -> None:
    write_pictures(tmp_path / "out", 1)
    write_pictures(tmp_path / "in", 1)
    if link == "folder":
        (tmp_path / "in" / "link").symlink_to("../out")
    else:
        (tmp_path / "in" / "link.png").symlink_to("../out/0.png")
    before = files_below(tmp_path / "out")
    with pytest.raises(ValueError, match="lies among the sources"):
        translate_directory(translator, tmp_path / "in", tmp_path / "out")
    assert files_below(tmp_path / "out") == before
