"""Styles get the colours of the content, or the painting keeps its chroma."""

from __future__ import annotations

import numpy as np
import pytest

from cyclegan.data.convert import LUMA
from cyclegan.painting.colour import coloured, grey, with_own_colour
from tests.painting.tiny import picture


def soft(height: int, width: int, seed: int) -> np.ndarray:
    """Colours far from black and white, which nothing clips."""
    return 0.35 + 0.3 * picture(height, width, seed)


def test_the_style_keeps_its_own_colours_by_default() -> None:
    style = picture(20, 24, 1)
    assert coloured(style, picture(16, 16, 2), "style") is style


def test_covariance_gives_the_style_the_mean_and_covariance_of_the_content() -> None:
    style, content = soft(30, 40, 1), soft(25, 20, 2)
    matched = coloured(style, content, "covariance")
    flat, wanted = matched.reshape(-1, 3), content.reshape(-1, 3)
    np.testing.assert_allclose(flat.mean(axis=0), wanted.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(np.cov(flat.T), np.cov(wanted.T), atol=2e-4)


def test_histogram_gives_the_style_the_quantiles_of_the_content_in_every_direction() -> None:
    style, content = picture(40, 50, 1), picture(60, 40, 2) ** 2  # not normally distributed
    matched = coloured(style, content, "histogram").reshape(-1, 3)
    shares = np.linspace(0.02, 0.98, 25)
    for axis in (np.eye(3)[0], np.eye(3)[2], np.ones(3) / np.sqrt(3), np.array([0.8, -0.6, 0])):
        found, wanted, before = (np.quantile(x.reshape(-1, 3) @ axis, shares) for x in (matched, content, style))
        assert np.abs(found - wanted).max() < 0.05 < np.abs(before - wanted).max()
    assert matched.min() >= 0 and matched.max() <= 1


def test_luminance_gives_a_grey_style_the_mean_and_deviation_of_the_content() -> None:
    style, content = grey(soft(30, 40, 1)), grey(soft(25, 20, 2))
    matched = coloured(style, content, "luminance")
    assert (matched == matched[..., :1]).all()
    assert matched.mean() == pytest.approx(content.mean(), abs=1e-4)
    assert matched.std() == pytest.approx(content.std(), abs=1e-4)


def test_luminance_keeps_the_chroma_of_the_content_exactly() -> None:
    content, painting = soft(20, 30, 1), grey(soft(20, 30, 2))
    kept = with_own_colour(painting, content, "luminance")
    weights = np.array(LUMA)
    luma = (kept @ weights)[..., None]
    np.testing.assert_allclose(kept - luma, content - (content @ weights)[..., None], atol=1e-6)
    np.testing.assert_allclose(luma[..., 0], painting[..., 0], atol=1e-6)
    assert with_own_colour(painting, content, "covariance") is painting


@pytest.mark.parametrize("colour", ["covariance", "histogram", "luminance"])
def test_a_flat_style_stays_finite(colour: str) -> None:
    flat = np.full((8, 8, 3), 0.5, np.float32)
    assert np.isfinite(coloured(flat, picture(9, 9, 1), colour)).all()  # type: ignore[arg-type]
    assert np.isfinite(coloured(picture(9, 9, 1), flat, colour)).all()  # type: ignore[arg-type]
