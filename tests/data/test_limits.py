from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan.data.codecs.limits import at_most, check_size, most_bytes, most_pixels
from cyclegan.data.files import UnreadableImage
from cyclegan.data.read import read_picture
from tests.pictures import plain

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")


def test_the_limit_is_that_of_pillow_and_is_restored() -> None:
    before = most_pixels()
    with pytest.raises(KeyError), at_most(50):
        assert Image.MAX_IMAGE_PIXELS == most_pixels() == 50
        raise KeyError
    assert before == most_pixels()


def test_the_limit_reaches_other_threads() -> None:
    found: list[int | None] = []
    with at_most(200_000_000):
        thread = threading.Thread(target=lambda: found.append(most_pixels()))
        thread.start()
        thread.join()
    assert found == [200_000_000]


def test_the_usual_limits_agree() -> None:
    assert most_bytes() == 2**30
    assert 12 * (most_pixels() or 0) <= 2**30


def test_a_picture_of_two_hundred_megapixels_of_sixteen_bits_is_allowed_where_asked_for() -> None:
    with pytest.raises(ValueError, match=r"make it smaller$"):
        check_size(20_000, 10_000, 6)
    with at_most(200_000_000):
        check_size(20_000, 10_000, 6)
        assert most_bytes() > 20_000 * 10_000 * 6


@pytest.mark.parametrize("side", [11, 20])  # over the limit, and over twice the limit, where Pillow itself refuses
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_picture_over_the_limit_is_refused_with_the_option_that_raises_it(
    suffix: str, side: int, tmp_path: Path
) -> None:
    plain("RGB", 0, side, 10)(tmp_path / f"x{suffix}")
    with at_most(100), pytest.raises(UnreadableImage) as raised:
        read_picture(tmp_path / f"x{suffix}")
    assert f"its {10 * side} pixels exceed the limit of 100; make it smaller, or raise --max_pixels" in str(
        raised.value
    )


def test_fewer_pixels_than_one_are_no_limit() -> None:
    with pytest.raises(ValueError, match="max_pixels: give at least one pixel, not 0"), at_most(0):
        pass


def test_more_than_pillows_limit_is_read_where_it_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = tmp_path / "x.png"
    plain("L", 7, 11, 10)(path)
    with at_most(110):
        assert np.all(read_picture(path).values == 7)
