"""The finest detail of a picture tells how much it was enlarged."""

import numpy as np
import pytest
from PIL import Image

from cyclegan.check.detail import detail
from tests.check.conftest import natural


def grey(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(image.convert("L"))


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("how", [Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS])
def test_an_enlarged_picture_has_detail_up_to_one_part_only(factor: int, how: Image.Resampling) -> None:
    small = natural(0, 256 // factor, 256 // factor)
    assert detail(grey(natural(0, 256, 256))) > 0.9
    assert 0.7 / factor < detail(grey(small.resize((256, 256), how))) < 1.5 / factor


def test_a_picture_that_is_made_smaller_is_as_sharp_as_it_can_be() -> None:
    assert detail(grey(natural(1, 256, 256).resize((128, 128), Image.Resampling.BICUBIC))) > 0.9


def test_the_middle_of_a_large_or_long_picture_is_measured() -> None:
    assert detail(grey(natural(2, 900, 300))) > 0.9


@pytest.mark.parametrize("shape", [(16, 64), (64, 31), (64, 64)])
def test_what_is_too_small_or_flat_has_no_detail_to_tell(shape: tuple[int, int]) -> None:
    values = np.zeros(shape) if shape == (64, 64) else np.random.default_rng(0).random(shape)
    assert np.isnan(detail(values))
