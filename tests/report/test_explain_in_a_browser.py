"""The page of an explanation as a browser shows it: headless Chromium, where there is one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from cyclegan.report.explain.explain import explain
from cyclegan.report.explain.page import write_explanation
from cyclegan.types import Direction
from tests.methods.test_methods import METHODS
from tests.report.chromium import CHROMIUM, Chromium
from tests.report.explained import tinted, untrained
from tests.tiny import write_pictures

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")

COVERED = "getComputedStyle(document.querySelector('.compare figure + figure')).clipPath"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of a run, and of a model with styles, for a picture that is not square and has a long name."""
    folder = tmp_path_factory.mktemp("pages")
    [square] = write_pictures(folder, 1, size=200)
    picture = folder / f"{'a_long_name_without_any_space' * 4}.png"
    Image.open(square).crop((0, 0, 200, 120)).save(picture)
    torch.manual_seed(0)
    run = explain(untrained(METHODS["cyclegan"], size=64), picture)
    styles = explain(tinted(Direction.AtoB), picture, styles=[picture, square])
    return {
        "run": write_explanation(run, folder / "run.html"),
        "styles": write_explanation(styles, folder / "styles.html"),
    }


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(params=["run", "styles"])
def shown(request: pytest.FixtureRequest, browser: Chromium, pages: dict[str, Path]) -> Iterator[Chromium]:
    """A page, opened afresh on a wide screen; in the end nothing may have been complained of."""
    browser.ask("Emulation.setEmulatedMedia", media="", features=[])
    browser.resize(1280)
    browser.open(pages[request.param].as_uri())
    yield browser
    assert not browser.complaints


@pytest.mark.parametrize("width", [1280, 768, 360])
def test_nothing_reaches_beyond_the_page(shown: Chromium, width: int) -> None:
    shown.resize(width)
    assert shown.see("innerWidth") == width
    assert shown.see("document.documentElement.scrollWidth") <= width


def test_every_picture_is_drawn_in_its_shape(shown: Chromium) -> None:
    assert shown.see("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    apart = "image => Math.abs(image.width / image.height / (image.naturalWidth / image.naturalHeight) - 1)"
    assert shown.see(f"Math.max(...[...document.images].map({apart}))") < 0.05


def test_small_maps_have_square_pixels_and_pictures_are_smooth(shown: Chromium) -> None:
    style = "image => getComputedStyle(image).imageRendering"
    assert set(shown.see(f"[...document.querySelectorAll('.coarse img')].map({style})")) == {"pixelated"}
    assert set(shown.see(f"[...document.querySelectorAll('article img, .verdict img')].map({style})")) == {"auto"}


def test_the_bars_are_as_long_as_their_numbers(shown: Chromium) -> None:
    bars = "[...document.querySelectorAll('.told i')].map(bar => bar.style.getPropertyValue('--share'))"
    numbers = "[...document.querySelectorAll('.told')].map(told => told.textContent)"
    for share, told in zip(shown.see(bars), shown.see(numbers), strict=True):
        number = float(told.split()[-2]) if told.endswith("%") else 0.0
        assert 100 * float(share) == pytest.approx(number, abs=0.51)


def test_the_arrow_keys_move_the_edge_between_source_and_translation(shown: Chromium) -> None:
    assert "50%" in shown.see(COVERED)
    shown.see("document.querySelector('.compare input').focus()")
    shown.press("ArrowLeft", 37)
    assert "49%" in shown.see(COVERED)


def test_the_page_is_dark_where_the_person_likes_it_dark(shown: Chromium) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    assert shown.see(paper) == "rgb(247, 243, 236)"
    shown.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert shown.see(paper) == "rgb(16, 24, 27)"
