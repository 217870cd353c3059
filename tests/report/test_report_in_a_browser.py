"""A report as a browser shows it: headless Chromium, where there is one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from cyclegan.report.curves import Point, chart
from cyclegan.report.page import TEMPLATES, write_page
from cyclegan.report.parts import Card, figure
from tests.report.chromium import CHROMIUM, Chromium

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")

ARROW_LEFT = ("ArrowLeft", 37)
SEEN = "[...document.querySelectorAll('.steps figure')].filter(f => f.getClientRects().length).map(f => f.textContent)"
COVERED = "getComputedStyle(document.querySelector('.compare figure + figure')).clipPath"


EVERY_PART = """
{% extends "page.html" %}
{% import "parts.html" as parts %}
{% from "chart.html" import charts %}
{% block lead %}A report.{% endblock %}
{% block main %}
{{ parts.facts(facts) }}
<section><h2>Scores</h2>{{ parts.table("Scores", heads, scores) }}</section>
<section><h2>Evolution</h2>{{ parts.steps("AtoB", samples) }}</section>
<section><h2>Curves</h2>{{ charts(curves) }}</section>
<section><h2>Pictures</h2>{{ parts.cards(cards) }}</section>
<section><h2>Compared</h2>{{ parts.side_by_side(title, compared) }}</section>
<section><h2>How</h2>{{ parts.details("Recipe", recipe) }}</section>
{% endblock %}
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of part, with the widest words that they meet."""
    picture, name = Image.new("RGB", (128, 96), "teal"), "a_very_long_name_without_any_space_in_it" * 3 + ".jpg"
    lines = {kind: [Point(i * 1000.0, 1 / (i + 1)) for i in range(50)] for kind in ("AtoB", "BtoA", "a_to_b")}
    return write_page(
        tmp_path_factory.mktemp("page") / "report.html",
        TEMPLATES.from_string(EVERY_PART),
        title=name,
        facts={"data": "/a/path/that/goes/on/and/on/" * 4},
        heads=[f"head {i}" for i in range(14)],
        scores=[["last\nafter 8 images"] + ["0.1234\n0.1111 to 0.1357"] * 13],
        samples=[figure(f"after {i} images", picture) for i in range(3)],
        curves=[chart("speed", lines, unit="images/s"), chart("memory", lines, unit="GiB")],
        cards=[Card(name, figure("in", picture), figure("out", picture), (figure("truth", picture),))],
        compared=[figure(word, picture) for word in ("input", "one", "two")],
        recipe="transforms: " * 100,
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def shown(browser: Chromium, page: Path) -> Iterator[Chromium]:
    """The page, opened afresh on a wide screen; in the end nothing may have been complained of."""
    browser.ask("Emulation.setEmulatedMedia", media="", features=[])
    browser.resize(1280)
    browser.open(page.as_uri())
    yield browser
    assert not browser.complaints


@pytest.mark.parametrize("width", [1280, 768, 360])
def test_nothing_reaches_beyond_the_page(shown: Chromium, width: int) -> None:
    shown.resize(width)
    assert shown.see("innerWidth") == width
    assert shown.see("document.documentElement.scrollWidth") <= width


def test_every_picture_is_drawn(shown: Chromium) -> None:
    assert shown.see("document.images.length") == 9
    assert shown.see("[...document.images].every(image => image.complete && image.naturalWidth == 128)")


@pytest.mark.parametrize("width", [1280, 390])
def test_pictures_keep_their_shape(shown: Chromium, width: int) -> None:
    shown.resize(width)
    boxes = "[...document.images].flatMap(image => [...image.getClientRects()])"
    shapes = f"{boxes}.map(box => box.width / box.height)"
    assert shown.see(shapes) == pytest.approx([4 / 3] * 7, rel=0.02)


def test_a_table_that_is_too_wide_says_so_and_keeps_its_first_column_in_view(shown: Chromium) -> None:
    shown.resize(390)
    box = "document.querySelector('.scroll')"
    assert shown.see(f"{box}.scrollWidth > {box}.clientWidth + 100")
    assert shown.see(f"getComputedStyle({box}).backgroundAttachment") == "local, scroll"  # a shade where there is more
    assert shown.see(f"{box}.offsetHeight > {box}.clientHeight")  # a scrollbar that is always there
    places = f"[{box}, {box}.querySelector('tbody th')].map(cell => cell.getBoundingClientRect().left)"
    shown.see(f"{box}.scrollLeft = 300")
    left, first = shown.see(places)
    assert shown.see(f"{box}.scrollLeft") == 300 and first == left


def test_charts_of_a_row_stand_at_one_height_whatever_their_titles(shown: Chromium) -> None:
    shown.see("document.querySelectorAll('.chart b')[1].textContent = 'a very long title of several lines '.repeat(4)")
    top = "part => chart.querySelector(part).getBoundingClientRect().top"
    tops = f"[...document.querySelectorAll('.chart')].map(chart => ['b', 'svg'].map({top}))"
    (title, drawn), (long_title, second) = shown.see(tops)
    assert title == long_title and drawn == second


def test_the_arrow_keys_step_through_the_samples(shown: Chromium) -> None:
    assert shown.see(SEEN) == ["after 2 images"]
    shown.see("document.querySelector('.steps input').focus()")
    shown.press(*ARROW_LEFT)
    assert shown.see(SEEN) == ["after 1 images"]
    assert shown.see("document.activeElement.ariaValueText") == "after 1 images"


def test_the_arrow_keys_move_the_edge_between_two_pictures(shown: Chromium) -> None:
    assert "50%" in shown.see(COVERED)
    shown.see("document.querySelector('.compare input').focus()")
    shown.press(*ARROW_LEFT)
    assert "49%" in shown.see(COVERED)


def test_what_has_the_focus_is_outlined(shown: Chromium) -> None:
    for selector, outlined in (
        (".steps input", ".steps input"),
        (".compare input", ".compare"),
        (".scroll", ".scroll"),
    ):
        shown.press("Shift", 16)  # the keyboard is in use
        shown.see(f"document.querySelector('{selector}').focus()")
        assert shown.see(f"getComputedStyle(document.querySelector('{outlined}')).outlineStyle") == "solid"


def test_the_page_is_dark_where_the_person_likes_it_dark(shown: Chromium) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    assert shown.see(paper) == "rgb(247, 243, 236)"
    shown.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert shown.see(paper) == "rgb(16, 24, 27)"


def test_a_printed_table_fits_on_the_paper(shown: Chromium) -> None:
    shown.ask("Emulation.setEmulatedMedia", media="print")
    shown.resize(700)
    assert shown.see("document.querySelector('table').getBoundingClientRect().right") <= 700


def test_printed_sliders_become_pictures_side_by_side(shown: Chromium) -> None:
    shown.ask("Emulation.setEmulatedMedia", media="print")
    assert shown.see("[...document.querySelectorAll('input')].every(input => !input.getClientRects().length)")
    places = "[...document.querySelectorAll('.cards figure')].map(figure => figure.getBoundingClientRect().top)"
    assert len(set(shown.see(places))) == 1 and shown.see(COVERED) == "none"
    assert shown.see(SEEN) == ["after 2 images"]
