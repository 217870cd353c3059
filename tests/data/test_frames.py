"""Frames of animations and pages of TIFF are read and written one at a time, with their times, unchanged."""

from __future__ import annotations

import io
import weakref
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from cyclegan.data.files import UnreadableImage
from cyclegan.data.format import RGB_PICTURES
from cyclegan.data.frames import frame_count, open_frames, read_frames
from cyclegan.data.picture import Kept
from cyclegan.data.read import read_picture
from cyclegan.data.write import Output
from cyclegan.data.write_frames import NewFrame, UnwritableFrames, can_hold_frames, write_frames
from tests.deep import GEO
from tests.pictures import RED, flipped, plain

TIMES = [100.0, 50.0, 0.0, 30.0, 10.0]
ANIMATIONS = [".gif", ".png", ".webp"]


def still(number: int, *, clear: bool = False, size: tuple[int, int] = (20, 24), seed: int = 0) -> NewFrame:
    """A frame of a few colours, of which some pixels are transparent."""
    height, width = size
    values = np.full((height, width, 3), (number * 20, 90, 200), np.uint8)
    values[:, number : number + 5] = (255, 10 * number, 0)
    alpha = np.full((height, width), 255, np.uint8)
    alpha[number] = 0
    return NewFrame(values, alpha if clear else None, None, TIMES[number % len(TIMES)])


def noisy(number: int) -> NewFrame:
    values = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
    return NewFrame(values, duration=40.0)


def saved(path: Path, frames: Any, **options: Any) -> Path:
    with path.open("wb") as file:
        write_frames(path, frames, **options)(file)
    return path


def lossless(suffix: str) -> bool:
    return suffix != ".webp"


@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("suffix", ANIMATIONS)
def test_what_is_written_is_read_with_its_times(suffix: str, clear: bool, tmp_path: Path) -> None:
    frames = [still(i, clear=clear) for i in range(5)]
    read = read_frames(saved(tmp_path / f"x{suffix}", frames, plays=3))
    assert (read.count, read.plays, read.transparent, read.are_pages) == (5, 3, clear, False)
    for frame, (picture, duration) in zip(frames, read, strict=True):
        assert duration == frame.duration
        drawn = np.ones((20, 24), bool) if frame.alpha is None else frame.alpha > 0
        difference = np.abs(picture.values.astype(int) - frame.values)[drawn]
        assert difference.max() == 0 if lossless(suffix) else difference.mean() < 20
        assert (picture.alpha is None) == (frame.alpha is None)
        np.testing.assert_array_equal(picture.alpha, frame.alpha)


@pytest.mark.parametrize("plays", [0, 1, 2, 7])
@pytest.mark.parametrize("suffix", ANIMATIONS)
def test_it_plays_as_often_as_before(suffix: str, plays: int, tmp_path: Path) -> None:
    path = saved(tmp_path / f"x{suffix}", [still(0), still(1)], plays=plays)
    assert read_frames(path).plays == plays
    with Image.open(path) as image:
        image.load()
        repeats = {0: 0, 1: None, 2: 1, 7: 6}[plays]
        assert image.info.get("loop") == (repeats if suffix == ".gif" else plays)


@pytest.mark.parametrize("suffix", ANIMATIONS)
def test_other_programs_read_the_same(suffix: str, tmp_path: Path) -> None:
    """Two frames of the same pixels are not joined, and one that is transparent shows nothing of the one before."""
    frames = [still(0, clear=True), still(0, clear=True), still(3, clear=True)]
    with Image.open(saved(tmp_path / f"x{suffix}", frames)) as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]
        for i, frame in enumerate(frames):
            image.seek(i)
            np.testing.assert_array_equal(np.asarray(image.convert("RGBA"))[..., 3], frame.alpha)
            assert image.info["duration"] == frame.duration


def by_pillow(path: Path, **options: Any) -> Path:
    """An animation in which only what changes is stored, over what was there before."""
    frames = []
    for i in range(6):
        frame = Image.new("RGBA", (32, 24), (10, 200, 30, 255))
        frame.paste((200, 10, 30, 255), (4 * i, 4, 4 * i + 6, 12))
        frames.append(frame)
    times = [30, 40, 50, 60, 70, 80]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=times, loop=0, **options)
    return path


@pytest.mark.parametrize(
    "name, disposal", [("x.gif", 0), ("x.gif", 1), ("x.gif", 2), ("x.png", 0), ("x.png", 1), ("x.webp", 0)]
)
def test_partial_frames_are_composed(name: str, disposal: int, tmp_path: Path) -> None:
    read = read_frames(by_pillow(tmp_path / name, disposal=disposal, lossless=True))
    assert read.count == 6 and read.plays == 0
    for i, (picture, duration) in enumerate(read):
        assert duration == 30 + 10 * i
        moved = picture.values[4:12, 4 * i : 4 * i + 6].astype(int)
        assert np.abs(moved - (200, 10, 30)).max() < 8
        assert np.abs(picture.values[16:].astype(int) - (10, 200, 30)).max() < 8


def test_the_still_picture_before_an_animation_is_no_frame(tmp_path: Path) -> None:
    default = Image.new("RGB", (32, 24), (1, 2, 3))
    frames = [Image.new("RGB", (32, 24), (i, 50, 50)) for i in range(3)]
    default.save(tmp_path / "x.png", save_all=True, append_images=frames, default_image=True, duration=[40, 50, 60])
    read = read_frames(tmp_path / "x.png")
    assert read.count == 3
    assert [(int(frame.picture.values[0, 0, 0]), frame.duration) for frame in read] == [(0, 40), (1, 50), (2, 60)]


def test_hundredths_of_a_gif_add_up(tmp_path: Path) -> None:
    frames = [still(i % 5)._replace(duration=1000 / 30) for i in range(30)]
    times = [frame.duration for frame in read_frames(saved(tmp_path / "x.gif", frames))]
    assert set(times) == {30.0, 40.0} and sum(time or 0 for time in times) == 1000


def test_a_gif_of_noise_has_room_for_frames_of_any_size(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frames = [NewFrame(random.integers(0, 256, (side, side, 3), np.uint8), duration=40.0) for side in (200, 200)]
    assert read_frames(saved(tmp_path / "x.gif", frames)).count == 2


@pytest.mark.parametrize("milliseconds", [1000 / 30, 0.0, 1001 / 24, 90_000.0])
def test_a_png_keeps_any_time(milliseconds: float, tmp_path: Path) -> None:
    frames = [still(i)._replace(duration=milliseconds) for i in range(2)]
    assert [frame.duration for frame in read_frames(saved(tmp_path / "x.png", frames))] == pytest.approx(
        [milliseconds] * 2
    )


def test_a_gif_that_compressing_makes_larger_is_written(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    path = saved(tmp_path / "x.gif", [NewFrame(noise, duration=40.0), NewFrame(noise[::-1], duration=40.0)])
    assert path.stat().st_size > 2 * 96 * 128 and read_frames(path).count == 2


def test_a_gif_keeps_the_palette_while_it_serves(tmp_path: Path) -> None:
    """A smooth picture that moves a little: its still part stays the same to the last pixel."""
    across = np.linspace(0, 255, 64).astype(np.uint8)
    base = np.stack(np.broadcast_arrays(across[:, None], across[None], across[::-1, None]), axis=2)
    frames = []
    for i in range(4):
        values = base.copy()
        values[40:48, 8 * i : 8 * i + 8] = 255
        frames.append(NewFrame(values, duration=40.0))
    read = [frame.picture.values for frame in read_frames(saved(tmp_path / "x.gif", frames))]
    for before, after in pairwise(read):
        assert np.array_equal(before[:32], after[:32])
    assert all(np.abs(a.astype(int) - b.values).mean() < 8 for a, b in zip(read, frames, strict=True))


def test_sixteen_bits_stay_in_an_animated_png(tmp_path: Path) -> None:
    frames = [NewFrame(np.full((4, 5, 1), 257 * i + 1, np.uint16), duration=10.0) for i in range(3)]
    read = read_frames(saved(tmp_path / "x.png", frames))
    assert [frame.picture.values[0, 0].tolist() for frame in read] == [[1], [258], [515]]


def pages(path: Path) -> Path:
    """Pages of several sizes, depths, compressions and channels; and a preview of the first, which is none."""
    with tifffile.TiffWriter(path) as file:
        file.write(np.full((8, 9), 7, np.uint16), photometric="minisblack", metadata=None, resolution=(72, 72))
        file.write(np.full((4, 4), 7, np.uint16), photometric="minisblack", subfiletype=1, metadata=None)
        file.write(np.full((10, 6, 3), 200, np.uint8), photometric="rgb", metadata=None, compression="zlib")
        file.write(np.full((5, 5), -2.5, np.float32), photometric="minisblack", metadata=None, description="floats")
        file.write(np.full((6, 7, 3), 90, np.uint8), photometric="rgb", metadata=None, compression="jpeg")
    return path


def test_pages_are_pictures_of_their_own(tmp_path: Path) -> None:
    read = read_frames(pages(tmp_path / "x.tif"))
    assert read.count == frame_count(tmp_path / "x.tif") == 4 and read.are_pages
    found = [frame.picture for frame in read]
    assert [picture.values.shape for picture in found] == [(8, 9, 1), (10, 6, 3), (5, 5, 1), (6, 7, 3)]
    assert [str(picture.values.dtype) for picture in found] == ["uint16", "uint8", "float32", "uint8"]
    assert found[0].kept.dpi == pytest.approx((72, 72)) and found[2].values[0, 0, 0] == -2.5
    assert abs(int(found[3].values[2, 2, 0]) - 90) < 3
    assert [frame.duration for frame in read] == [None] * 4


def test_pages_keep_what_they_say(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "the second"
    exif.get_ifd(0x8769)[0x829A] = 0.5
    tags = tuple((code, 12, len(numbers), numbers) for code, numbers in GEO.items())
    frames = [
        NewFrame(np.full((8, 9, 1), 300, np.uint16), kept=Kept(dpi=(300, 300), tiff_tags=tags)),
        NewFrame(np.full((50, 60, 3), 7, np.uint8), kept=Kept(exif=exif.tobytes())),
        NewFrame(np.full((3, 4, 7), 1.5, np.float32), missing=np.eye(3, 4, dtype=bool)),
    ]
    first, second, third = (frame.picture for frame in read_frames(saved(tmp_path / "x.tif", frames, plays=3)))
    assert first.values[0, 0, 0] == 300 and first.kept.dpi == pytest.approx((300, 300))
    assert {code: value for code, _, _, value in first.kept.tiff_tags} == GEO
    read = Image.Exif()
    read.load(second.kept.exif or b"")
    assert read[0x010E] == "the second" and float(read.get_ifd(0x8769)[0x829A]) == 0.5
    assert not second.kept.tiff_tags or second.kept.tiff_tags[0][0] == 0x010E
    assert third.values.shape == (3, 4, 7) and third.missing is not None and third.missing.sum() == 3
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        assert [page.shape for page in file.pages] == [(8, 9), (50, 60, 3), (3, 4, 7)]


@pytest.mark.parametrize("axes, expected", [("CYX", 1), ("TYX", 5), ("ZYX", 5)])
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_channels_of_a_stack_are_one_picture_and_times_are_pages(
    kind: str, axes: str, expected: int, tmp_path: Path
) -> None:
    values = np.arange(5, dtype=np.uint16)[:, None, None] * np.ones((1, 8, 9), np.uint16)
    path = tmp_path / ("x.ome.tif" if kind == "ome" else "x.tif")
    tifffile.imwrite(path, values, metadata={"axes": axes}, **{kind: True})
    read = read_frames(path)
    assert read.count == expected
    shown = [frame.picture.values for frame in read]
    assert shown[0].shape[2] == (5 if expected == 1 else 1) and shown[-1][0, 0, -1] == 4


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.gif", "x.webp", "x.tif", "x.bmp", "x.avif"])
def test_an_ordinary_picture_is_one_frame_as_it_always_was(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    plain("RGB", RED)(path)
    assert frame_count(path) == 1
    [frame] = read_frames(path)
    assert frame.duration is None and np.array_equal(frame.picture.values, read_picture(path).values)


def test_a_file_that_is_no_picture_has_one_frame_that_fails(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"text")
    assert frame_count(tmp_path / "x.png") == 1
    with pytest.raises(UnreadableImage, match=r"x\.png cannot be read"):
        list(read_frames(tmp_path / "x.png"))
    with pytest.raises(UnreadableImage, match="cannot be read: No such file"):
        read_frames(tmp_path / "none.png")


CUT: dict[str, Callable[[Path], Path]] = {
    **{suffix: lambda path: saved(path, map(noisy, range(6))) for suffix in (".gif", ".webp", ".tif")},
    ".png": lambda path: saved(path, map(noisy, range(6))),
}


@pytest.mark.parametrize("suffix", CUT)
def test_half_an_animation_says_so(suffix: str, tmp_path: Path) -> None:
    path = CUT[suffix](tmp_path / f"x{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(UnreadableImage, match=rf"x\{suffix}.* cannot be read: "):
        assert len(list(read_frames(path))) == 6


@pytest.mark.parametrize("data", [b"GIF89a", b"GIF89a" + b"\xff" * 40, b"RIFF\0\0\0\0WEBPVP8X", b"\x89PNG\r\n\x1a\n"])
def test_any_bytes_can_be_counted(data: bytes) -> None:
    for size in (*range(6, len(data)), len(data)):
        assert open_frames(data[:size], "x").count == 1
    noise = np.random.default_rng(0).integers(0, 256, 300, np.uint8).tobytes()
    assert open_frames(data + noise, "x").count >= 1


def test_a_damaged_still_is_left_to_its_decoder(tmp_path: Path) -> None:
    flipped("PNG")(tmp_path / "x.png")
    assert frame_count(tmp_path / "x.png") == 1


@pytest.mark.parametrize("suffix", [*ANIMATIONS, ".tif"])
def test_a_thousand_frames_are_never_held(suffix: str, tmp_path: Path) -> None:
    living, most = list[weakref.ref[Any]](), 0

    def seen(values: Any) -> None:
        nonlocal living, most
        living = [each for each in (*living, weakref.ref(values)) if each() is not None]
        most = max(most, len(living))

    def watched() -> Iterator[NewFrame]:
        for i in range(40):
            frame = still(i % 5)
            seen(frame.values)
            yield frame

    path = saved(tmp_path / f"x{suffix}", watched())
    assert most <= 3
    most = 0
    for frame in read_frames(path):
        seen(frame.picture.values)
    assert most <= 3


@pytest.mark.parametrize("suffix", ANIMATIONS)
def test_frames_of_several_sizes_are_told_to_become_pages(suffix: str, tmp_path: Path) -> None:
    frames = [still(0), still(1, size=(8, 8))]
    with pytest.raises(
        UnwritableFrames, match=rf"x\{suffix} cannot be written: its frames differ in size.*; choose tif"
    ):
        saved(tmp_path / f"x{suffix}", frames)


def test_a_format_of_one_picture_is_told(tmp_path: Path) -> None:
    assert can_hold_frames(Path("x.GIF")) and not can_hold_frames(Path("x.jpg"))
    with pytest.raises(
        UnwritableFrames, match=r"x\.jpg cannot be written: \.jpg holds one picture, not frames; choose"
    ):
        saved(tmp_path / "x.jpg", [still(0)])


def test_an_error_of_the_source_is_passed_on_as_it_is(tmp_path: Path) -> None:
    def broken() -> Iterator[NewFrame]:
        yield still(0)
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        saved(tmp_path / "x.gif", broken())


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_profile_and_exif_are_written_once(suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    frames = [still(i)._replace(kept=Kept(exif=exif.tobytes())) for i in range(3)]
    for name, strip in (("kept", False), ("stripped", True)):
        path = saved(tmp_path / f"{name}{suffix}", frames, space=RGB_PICTURES.space, options=Output(strip=strip))
        first = next(iter(read_frames(path))).picture
        made = Image.Exif()
        made.load(first.kept.exif or b"")
        assert made.get(0x010F) == (None if strip else "maker")
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert image.info.get("icc_profile")
