"""Animations and files of many pages are translated whole, a few frames at a time, into a file of the same kind."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from torch import nn

from cyclegan.data.files import UnreadableImage
from cyclegan.data.format import RGB_PICTURES, PictureFormat
from cyclegan.data.frames import read_frames
from cyclegan.data.picture import Pixels
from cyclegan.data.read import read_bytes, read_picture
from cyclegan.data.write import Output
from cyclegan.data.write_frames import NewFrame, UnwritableFrames, write_frames
from cyclegan.inference.directory import translate_directory
from cyclegan.inference.finish import Finish
from cyclegan.inference.frames import Halted, Translates, translated_frames
from cyclegan.inference.options import Options
from cyclegan.inference.sizes import Sizing
from cyclegan.inference.stream import translate_stream
from cyclegan.inference.translator import Translator
from cyclegan.util.atomic import write_whole
from tests.deep import FORMATS
from tests.pictures import GREY, RED, plain
from tests.tiny import outputs


class Negative:
    """A translator that turns black to white; it knows what it was given."""

    def __init__(self, of: PictureFormat = RGB_PICTURES, batch: int = 3) -> None:
        self.source = self.target = of
        self.batch, self.seen = batch, list[tuple[int, ...]]()

    def batch_size(self, height: int, width: int) -> int:
        return self.batch

    def translate_pixels(self, pixels: Pixels, style: object = None) -> Pixels:
        self.seen.append(pixels.shape)
        white = 255 if pixels.dtype == np.uint8 else 1
        return (white - pixels).astype(pixels.dtype)


def frames(number: int, *, clear: bool = False) -> Iterator[NewFrame]:
    for i in range(number):
        alpha = np.full((12, 16), 255, np.uint8)
        alpha[:, i] = 0
        yield NewFrame(np.full((12, 16, 3), 10 * i, np.uint8), alpha if clear else None, None, 20.0 + 10 * i)


def saved(path: Path, *, clear: bool = False, number: int = 7) -> Path:
    with path.open("wb") as file:
        write_frames(path, frames(number, clear=clear), plays=2)(file)
    return path


def translated(source: Path, out: Path, translator: Translates | None = None, **options: Any) -> Path:
    write_whole(out, translated_frames(translator or Negative(), read_frames(source), out, **options))
    return out


@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_every_frame_is_translated_and_keeps_its_time(suffix: str, clear: bool, tmp_path: Path) -> None:
    source, negative = saved(tmp_path / f"x{suffix}", clear=clear), Negative()
    made = read_frames(translated(source, tmp_path / f"y{suffix}", negative))
    assert (made.count, made.plays) == (7, 2)
    assert [len(shape) and shape[0] for shape in negative.seen] == [3, 3, 1]
    for before, (picture, duration) in zip(read_frames(source), made, strict=True):
        assert duration == before.duration
        np.testing.assert_array_equal(picture.alpha, before.picture.alpha)
        drawn = (slice(None), slice(8, None))
        shown = picture.values[drawn].astype(int) + before.picture.values[drawn]
        assert np.abs(shown - 255).max() <= (0 if suffix != ".webp" else 6)


def test_an_animation_can_change_its_format_and_its_size(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.gif")
    made = read_frames(translated(source, tmp_path / "y.webp", options=Options(sizing=Sizing(size=24))))
    assert [frame.duration for frame in made] == [20.0 + 10 * i for i in range(7)]
    assert {frame.picture.values.shape for frame in made} == {(24, 32, 3)}
    assert read_frames(translated(source, tmp_path / "y.tif")).count == 7


def pages(path: Path) -> Path:
    with tifffile.TiffWriter(path) as file:
        for i, (shape, text) in enumerate([((8, 9, 3), "one"), ((8, 9, 3), "two"), ((20, 6, 3), "three")]):
            file.write(np.full(shape, 50 * i, np.uint8), photometric="rgb", metadata=None, description=text)
    return path


def test_pages_keep_their_sizes_and_what_they_say(tmp_path: Path) -> None:
    negative = Negative()
    made = [frame.picture for frame in read_frames(translated(pages(tmp_path / "x.tif"), tmp_path / "y.tif", negative))]
    assert negative.seen == [(2, 8, 9, 3), (1, 20, 6, 3)]
    assert [picture.values.shape for picture in made] == [(8, 9, 3), (8, 9, 3), (20, 6, 3)]
    assert [int(picture.values[0, 0, 0]) for picture in made] == [255, 205, 155]
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert [page.description for page in file.pages] == ["one", "two", "three"]


def test_the_options_hold_for_each_frame(tmp_path: Path) -> None:
    source, options = saved(tmp_path / "x.png"), Options(finish=Finish(strength=0.5))
    for before, after in zip(
        read_frames(source), read_frames(translated(source, tmp_path / "y.png", options=options)), strict=True
    ):
        blend = (before.picture.values.astype(int) + (255 - before.picture.values)) / 2
        assert np.abs(after.picture.values - blend).max() <= 1


def test_a_stack_of_sixteen_bits_stays_one(tmp_path: Path) -> None:
    values = np.arange(5, dtype=np.uint16)[:, None, None] * np.full((1, 8, 9), 100, np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", values, imagej=True, metadata={"axes": "ZYX"})
    grey = replace(FORMATS["grey of 12 bits in 16"], range=(0, 400))
    made = tifffile.imread(translated(tmp_path / "x.tif", tmp_path / "y.tif", Negative(grey)), series=None, key=None)
    np.testing.assert_array_equal(made, 400 - values)


def test_few_frames_are_held(tmp_path: Path) -> None:
    negative = Negative(batch=1000)
    translated(saved(tmp_path / "x.gif", number=12), tmp_path / "y.gif", negative)
    assert [shape[0] for shape in negative.seen] == [8, 4]


@pytest.mark.parametrize(
    "make, name, told",
    [
        (saved, "y.jpg", r"x\.gif has 7 frames: \.jpg holds one picture, not frames; choose .*, by --output_format"),
        (pages, "y.png", r"x\.tif has 3 pages, which are no animation; choose --output_format tif"),
    ],
)
def test_a_format_that_cannot_hold_them_is_told_at_once(make: Any, name: str, told: str, tmp_path: Path) -> None:
    negative = Negative()
    with pytest.raises(UnwritableFrames, match=told):
        translated(make(tmp_path / ("x.gif" if make is saved else "x.tif")), tmp_path / name, negative)
    assert not negative.seen and not (tmp_path / name).exists()


def test_half_an_animation_leaves_nothing(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    with (tmp_path / "x.gif").open("wb") as file:
        write_frames(tmp_path / "x.gif", [NewFrame(values, duration=40.0) for values in noise])(file)
    data = (tmp_path / "x.gif").read_bytes()
    (tmp_path / "x.gif").write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableImage, match=r"x\.gif.*cannot be read"):
        translated(tmp_path / "x.gif", tmp_path / "out" / "y.gif")
    assert not list((tmp_path / "out").iterdir())


def test_a_page_of_other_channels_is_named(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(np.zeros((8, 9, 3), np.uint8), photometric="rgb", metadata=None)
        file.write(np.zeros((8, 9, 7), np.uint8), photometric="minisblack", planarconfig="contig", metadata=None)
    told = r"x\.tif cannot be translated: page 2: it has 7 channels, not the 3 of its domain"
    with pytest.raises(UnreadableImage, match=told):
        translated(tmp_path / "x.tif", tmp_path / "y.tif")


def test_it_stops_between_batches_and_leaves_nothing(tmp_path: Path) -> None:
    negative = Negative()
    with pytest.raises(Halted):
        translated(saved(tmp_path / "x.gif"), tmp_path / "y.gif", negative, stopped=lambda: len(negative.seen) == 2)
    assert len(negative.seen) == 2 and [*outputs(tmp_path)] == ["x.gif"]


def test_values_beyond_the_range_are_reported_once(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.full((3, 8, 9), 900, np.uint16), photometric="minisblack")
    grey, calls = replace(FORMATS["grey of 12 bits in 16"], range=(0, 400)), list[int]()
    translated(tmp_path / "x.tif", tmp_path / "y.tif", Negative(grey), clipped=lambda: calls.append(1))
    assert calls == [1]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tif", "avif"])
def test_a_stream_has_the_format_of_its_source(suffix: str, tmp_path: Path) -> None:
    plain("RGB", RED)(path := tmp_path / f"x.{suffix}")
    made = translate_stream(Negative(), path.read_bytes())
    picture = read_bytes(made, "made")
    assert np.abs(picture.values[0, 0].astype(int) - (0, 255, 255)).max() < 8
    with Image.open(path) as one, Image.open(io.BytesIO(made)) as other:
        assert one.format == other.format


def test_a_stream_takes_another_format_and_a_size(tmp_path: Path) -> None:
    plain("RGB", RED)(path := tmp_path / "x.png")
    made = translate_stream(
        Negative(), path.read_bytes(), Options(output=Output(format="webp"), sizing=Sizing(size=20))
    )
    with Image.open(io.BytesIO(made)) as image:
        assert (image.format, image.size) == ("WEBP", (20, 20))


def test_a_stream_is_what_a_file_would_be(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    Image.new("LA", (8, 12), (99, 40)).save(tmp_path / "x.png", exif=exif, dpi=(300, 300))
    made = read_bytes(translate_stream(Negative(), (tmp_path / "x.png").read_bytes()), "made")
    source = read_picture(tmp_path / "x.png")
    np.testing.assert_array_equal(made.alpha, source.alpha)
    assert made.values.shape[:2] == (8, 12) and b"maker" in (made.kept.exif or b"")


def test_a_stream_of_frames_keeps_them(tmp_path: Path) -> None:
    made = translate_stream(Negative(), saved(tmp_path / "x.webp").read_bytes())
    with Image.open(io.BytesIO(made)) as image:
        assert image.n_frames == 7  # type: ignore[attr-defined]


def test_a_stream_that_cannot_be_translated_is_one_line(tmp_path: Path) -> None:
    for data in (b"", b"text", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(UnreadableImage, match=r"^stdin cannot be read: "):
            translate_stream(Negative(), data)
    plain("RGB", GREY)(path := tmp_path / "x.png")
    with pytest.raises(ValueError, match="--output_format: expected one of"):
        translate_stream(Negative(), path.read_bytes(), Options(output=Output(format="xyz")))


def test_a_directory_keeps_its_animations_and_pages(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    saved(source / "a.gif")
    plain("RGB", RED)(source / "b.png")
    pages(source / "c.tif")
    saved(source / "d.webp", number=3)
    data = (source / "a.gif").read_bytes()
    (source / "e.gif").write_bytes(data[: len(data) * 2 // 3])
    translator = Translator(nn.Identity(), device="cpu", precision="float32")
    outcome = translate_directory(translator, source, out)
    assert [path.name for path in outcome.translated] == ["a.gif", "b.png", "c.tif", "d.webp"]
    assert [frame.duration for frame in read_frames(out / "a.gif")] == [20.0 + 10 * i for i in range(7)]
    assert [read_frames(out / name).count for name in ("a.gif", "b.png", "c.tif", "d.webp")] == [7, 1, 3, 3]
    assert len(outcome.failed) == 1 and "e.gif, frame" in outcome.failed[0]
    assert len(translate_directory(translator, source, out, resume=True).skipped) == 4
    outcome = translate_directory(translator, source, tmp_path / "jpg", options=Options(output=Output(format="jpg")))
    assert len(outcome.failed) == 4 and len(outcome.translated) == 1
