import doctest
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import cyclegan
import cyclegan.inference.engines.torch_engine
import cyclegan.inference.pipeline
import cyclegan.inference.translator
import cyclegan.machine.levers
from cyclegan.checkpoint import newest_checkpoint
from cyclegan.data.picture import Pixels
from cyclegan.inference.describe import describe
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.inputs import Picture
from cyclegan.inference.model import open_model
from cyclegan.inference.options import Options
from cyclegan.inference.sizes import Sizing
from cyclegan.inference.translator import Translator
from cyclegan.training.trainer import train
from cyclegan.types import Direction
from tests.tiny import outputs, tiny_recipe, write_pictures


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    for name in ("trainA", "trainB"):
        write_pictures(root / "data" / name, 3)
    train(tiny_recipe(root / "data", training={"ema": "4 images"}), root / "run")
    return root / "run"


def picture(width: int = 37, height: int = 21) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def test_a_library_user_needs_three_names(run: Path) -> None:
    translated = cyclegan.Translator.load(run, "BtoA").translate(picture())
    assert translated.size == (37, 21) and translated.mode == "RGB"


def test_a_batch_is_translated_as_its_pictures_are(translator: Translator) -> None:
    images = torch.rand(3, 3, 20, 28) * 2 - 1
    together = translator.translate_batch(images)
    assert together.dtype == torch.float32 and together.abs().max() <= 1
    torch.testing.assert_close(together, torch.cat([translator.translate_batch(one[None]) for one in images]))


@pytest.mark.parametrize("direction", Direction)
def test_run_checkpoint_and_export_translate_alike(run: Path, tmp_path: Path, direction: Direction) -> None:
    write_generator(open_model(run).generators[direction], direction, tmp_path / "g.safetensors")
    files = (run, newest_checkpoint(run), tmp_path / "g.safetensors")
    pictures = [Translator.load(path, direction).translate(picture()).tobytes() for path in files]
    assert len(set(pictures)) == 1


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newest = newest_checkpoint(run)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / newest.name).write_bytes(newest.read_bytes())
    (folder / f"9{newest.name[1:]}").write_bytes(newest.read_bytes()[:5000])
    assert (
        Translator.load(tmp_path).translate(picture()).tobytes() == Translator.load(run).translate(picture()).tobytes()
    )
    assert "0000000008.pt instead" in caplog.text and "images: 8" in describe(tmp_path)


def test_the_directions_differ(run: Path) -> None:
    there, back = (Translator.load(run, direction).translate(picture()).tobytes() for direction in ("AtoB", "BtoA"))
    assert there != back


def test_an_export_knows_its_direction(run: Path, tmp_path: Path) -> None:
    write_generator(open_model(run).generators[Direction.BtoA], Direction.BtoA, tmp_path / "g.safetensors")
    assert open_model(tmp_path / "g.safetensors").choose() == "BtoA"
    with pytest.raises(ValueError, match="translates BtoA, not AtoB"):
        Translator.load(tmp_path / "g.safetensors", "AtoB")


def test_a_directory_keeps_names_subfolders_and_sizes(translator: Translator, tmp_path: Path) -> None:
    sizes = {"a.jpg": (30, 20), "sub/b.PNG": (17, 23), "sub/deep/c d.webp": (64, 8), "a.png": (9, 9)}
    for name, size in sizes.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(*size).save(tmp_path / "in" / name)
    outcome = translate_directory(translator, tmp_path / "in", tmp_path / "out")
    assert {name: Image.open(path).size for name, path in outputs(tmp_path / "out").items()} == sizes
    assert len(outcome.translated) == 4


def test_size_sets_the_shorter_side_and_keeps_the_aspect(translator: Translator, tmp_path: Path) -> None:
    picture(40, 20).save(tmp_path / "wide.png")
    translate_directory(translator, tmp_path / "wide.png", tmp_path / "out", options=Options(sizing=Sizing(size=30)))
    assert Image.open(tmp_path / "out" / "wide.png").size == (60, 30)


def test_broken_pictures_are_listed_and_the_others_translated(translator: Translator, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 3)
    (tmp_path / "in" / "1.png").write_bytes(b"")
    outcome = translate_directory(translator, tmp_path / "in", tmp_path / "out")
    assert list(outputs(tmp_path / "out")) == ["0.png", "2.png"]
    assert len(outcome.failed) == 1 and "1.png" in outcome.failed[0]


def test_neighbours_of_one_size_go_together_and_come_out_the_same(
    translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [(30, 20)] * 4 + [(20, 30), (8, 8)] + [(30, 20)] * 3
    (tmp_path / "in").mkdir()
    for i, size in enumerate(sizes):
        picture(*size).rotate(i).save(tmp_path / "in" / f"{i}.png")
    (tmp_path / "in" / "2.png").write_bytes(b"broken")
    translate_directory(translator, tmp_path / "in", tmp_path / "alone")

    together: list[int] = []
    whole = translator.translate_pixels

    def counted(pixels: Pixels, style: object = None) -> Pixels:
        together.append(len(pixels))
        return whole(pixels)

    monkeypatch.setattr(translator, "translate_pixels", counted)
    monkeypatch.setattr(translator, "batch_size", lambda height, width: 2)
    outcome = translate_directory(translator, tmp_path / "in", tmp_path / "together")
    assert together == [2, 1, 1, 1, 2, 1] and len(outcome.failed) == 1
    for path in outcome.translated:
        one, other = (np.asarray(Image.open(tmp_path / way / path.name), np.int16) for way in ("alone", "together"))
        assert np.abs(one - other).max() <= 1  # the order of float sums may differ


def test_progress_counts_every_file_once(translator: Translator, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 5)
    translate_directory(translator, tmp_path / "in" / "1.png", tmp_path / "out")
    (tmp_path / "in" / "3.png").write_bytes(b"")
    told: list[tuple[int, int]] = []
    translate_directory(
        translator, tmp_path / "in", tmp_path / "out", resume=True, report=lambda *counts: told.append(counts)
    )
    assert told == [(done, 5) for done in range(1, 6)]


def test_what_cannot_be_written_stops_with_its_name(translator: Translator, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 2)
    (tmp_path / "out").write_text("a file where the directory should be", encoding="utf-8")
    with pytest.raises(OSError, match="out"):
        translate_directory(translator, tmp_path / "in", tmp_path / "out")


def test_sources_are_never_overwritten(translator: Translator, tmp_path: Path) -> None:
    [path] = write_pictures(tmp_path / "in", 1)
    for source, out in [(tmp_path / "in", "in"), (path, "in"), (tmp_path / "in", "in/translated")]:
        with pytest.raises(ValueError, match="lies among the sources"):
            translate_directory(translator, source, tmp_path / out)


def test_sources_are_never_overwritten_by_another_spelling_of_their_folder(
    translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On macOS and Windows PHOTOS is photos; a link that is not resolved simulates that here."""
    [path] = write_pictures(tmp_path / "photos", 1)
    (tmp_path / "PHOTOS").symlink_to(tmp_path / "photos")
    monkeypatch.setattr(os.path, "realpath", lambda path, **_: os.fspath(path))
    for source, out in [(tmp_path / "photos", "PHOTOS"), (path, "PHOTOS"), (tmp_path / "photos", "PHOTOS/translated")]:
        with pytest.raises(ValueError, match="lies among the sources"):
            translate_directory(translator, source, tmp_path / out)


def test_what_cannot_be_loaded_is_one_line(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.pt").write_bytes(newest_checkpoint(run).read_bytes()[:5000])
    (tmp_path / "text.pt").write_text("hello", encoding="utf-8")
    (tmp_path / "text.pth").write_text("hello", encoding="utf-8")
    (tmp_path / "text.safetensors").write_text("hello", encoding="utf-8")
    for suffix in ("onnx", "xml", "ts", "pt2"):
        (tmp_path / f"text.{suffix}").write_text("hello", encoding="utf-8")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    torch.save({"model.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    save_file({"x": torch.zeros(3)}, tmp_path / "other.safetensors")
    for path in [*tmp_path.iterdir(), tmp_path / "missing", tmp_path / "missing.pt"]:
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            Translator.load(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value), path


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "touched"),)  # type: ignore[return-value]

    for name in ("evil.pt", "evil.pth"):
        torch.save({"format": 1, "x": Evil()}, tmp_path / name)
        with pytest.raises(ValueError, match=name):
            Translator.load(tmp_path / name)
    assert not (tmp_path / "touched").exists()


def test_the_examples_in_the_docstrings_are_true() -> None:
    ran = doctest.testmod(cyclegan.inference.translator)
    assert ran.attempted >= 5 and not ran.failed


def test_pictures_of_any_sizes_and_kinds_are_translated_in_order_and_read_ahead(
    translator: Translator, tmp_path: Path
) -> None:
    picture(30, 20).save(tmp_path / "a.png")
    array = np.asarray(picture(12, 40))
    asked: list[int] = []

    def pictures() -> Iterator[Picture]:
        kinds: list[Picture] = [tmp_path / "a.png", (tmp_path / "a.png").read_bytes(), picture(), array]
        for i, each in enumerate(kinds * 3):
            asked.append(i)
            yield each

    made = translator.translate_all(pictures())
    assert next(made).size == (30, 20) and 1 < len(asked) < 12
    assert [image.size for image in made] == [
        (30, 20),
        (37, 21),
        (12, 40),
        *[(30, 20), (30, 20), (37, 21), (12, 40)] * 2,
    ]


def test_several_threads_may_use_one_translator(translator: Translator) -> None:
    pictures = [picture(20 + i, 30) for i in range(12)]
    expected = [translator.translate(each).tobytes() for each in pictures]
    with ThreadPoolExecutor(4) as threads:
        assert [image.tobytes() for image in threads.map(translator.translate, pictures)] == expected


def test_bytes_of_a_file_are_translated_like_the_file(translator: Translator, tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg")
    there = translator.translate(tmp_path / "a.jpg")
    assert translator.translate((tmp_path / "a.jpg").read_bytes()).tobytes() == there.tobytes()
    with pytest.raises(ValueError, match=r"^the picture cannot be read: "):
        translator.translate(b"no picture")
