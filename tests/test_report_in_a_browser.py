"""A report as a browser shows it: headless Chromium, where there is one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from cyclegan.report.curves import Point, chart
from cyclegan.report.page import write_page
from cyclegan.report.parts import Figure, box, card, details, facts, section, steps, table

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--virtual-time-budget=5000", "--enable-logging=stderr"),
]

pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium on the PATH")

MEASURE = """
  const told = {};
  told.overflow = document.documentElement.scrollWidth - innerWidth;
  told.paper = getComputedStyle(document.body).backgroundColor;
  told.broken = [...document.images].filter(image => !image.complete || !image.naturalWidth).length;
  const press = (slider, key) => {
    slider.focus();
    told.focused = document.activeElement === slider;
    slider[key == "ArrowLeft" ? "stepDown" : "stepUp"]();  // what a browser does for the key
    slider.dispatchEvent(new Event("input", {bubbles: true}));
  };
  const seen = () => [...document.querySelectorAll(".steps figure")]
    .filter(figure => figure.getClientRects().length).map(figure => figure.textContent).join();
  const stepping = document.querySelector(".steps input");
  told.first = seen();
  press(stepping, "ArrowLeft");
  told.then = seen();
  told.said = stepping.getAttribute("aria-valuetext");
  const dragging = document.querySelector(".compare input");
  press(dragging, "ArrowLeft");
  told.edge = dragging.parentElement.style.getPropertyValue("--at");
  told.covered = getComputedStyle(document.querySelector(".compare figure + figure")).clipPath;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of part, with the widest words that they meet."""
    picture, name = Image.new("RGB", (128, 128), "teal"), "a_very_long_name_without_any_space_in_it" * 3 + ".jpg"
    lines = {kind: [Point(i * 1000.0, 1 / (i + 1)) for i in range(50)] for kind in ("AtoB", "BtoA", "a_to_b")}
    parts = [
        facts({"data": "/a/path/that/goes/on/and/on/" * 4}),
        section(
            "Scores", table("Scores", [f"head {i}" for i in range(14)], [["last\nafter 8 images"] + ["0.1234"] * 13])
        ),
        section("Evolution", steps("AtoB", [Figure(f"after {i} images", picture) for i in range(3)])),
        section("Curves", box("charts", [chart("images_per_second", lines)])),
        section(
            "Pictures", box("cards wide", [card(name, *[Figure(word, picture) for word in ("in", "out", "truth")])])
        ),
        section("How", details("Recipe", "transforms: " * 100)),
    ]
    return write_page(tmp_path_factory.mktemp("page") / "report.html", name, "A report.", parts)


def browse(page: Path, *flags: str, width: int = 1280) -> dict[str, str]:
    """What the page tells of itself in a frame of this width; a window can be no narrower than 500 pixels."""
    asking = page.with_name("asking.html")
    script = f"<script>addEventListener('load', () => {{ {MEASURE} parent.postMessage(told, '*') }})</script>"
    asking.write_text(page.read_text() + script)
    framing = page.with_name("framing.html")
    framing.write_text(
        "<!doctype html><script>onmessage = ({data}) => document.body.append("
        "...Object.entries(data).map(([name, value]) => `[[${name}=${value}]]`))</script>"
        f'<body><iframe src="asking.html" width="{width}" height="900"></iframe>'
    )
    profile = f"--user-data-dir={page.parent / 'profile'}"
    words = [BROWSER, *FLAGS, profile, *flags, "--window-size=1400,1000", "--dump-dom", framing.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    told = dict(re.findall(r"\[\[(\w+)=(.*?)\]\]", done.stdout))
    assert told, done.stderr
    return told


@pytest.mark.parametrize("width", [1280, 768, 360])
def test_nothing_reaches_beyond_the_page(page: Path, width: int) -> None:
    told = browse(page, width=width)
    assert int(told["overflow"]) <= 0 and told["broken"] == "0"


def test_sliders_move_by_the_keyboard(page: Path) -> None:
    told = browse(page)
    assert told["focused"] == "true"
    assert (told["first"], told["then"], told["said"]) == ("after 2 images", "after 1 images", "after 1 images")
    assert told["edge"] == "49%" and "49%" in told["covered"]


def test_the_page_is_dark_where_the_person_likes_it_dark(page: Path) -> None:
    light, dark = browse(page), browse(page, "--blink-settings=preferredColorScheme=0")
    assert light["paper"] == "rgb(247, 243, 236)" and dark["paper"] == "rgb(16, 24, 27)"
