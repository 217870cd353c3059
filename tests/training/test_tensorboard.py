"""A real TensorBoard shows what a run wrote: asked over HTTP, and looked at in headless Chromium where there is one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from tensorboard.program import TensorBoard

from cyclegan.training.trainer import train
from tests.patience import PATIENCE
from tests.report.chromium import CHROMIUM, Chromium
from tests.tiny import tiny_recipe, write_pictures

WORDS = """(() => {
  const inside = node => node.nodeType == 3 ? node.data : ['STYLE', 'SCRIPT'].includes(node.nodeName) ? '' :
    [...(node.shadowRoot ? node.shadowRoot.childNodes : []), ...node.childNodes].map(inside).join(' ');
  return inside(document.body);
})()"""
"""All text of a page, that of its components too."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a TensorBoard serves a run of a few steps."""
    root = tmp_path_factory.mktemp("served")
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_pictures(root / "data" / name, 4, seed=seed)
    train(tiny_recipe(root / "data"), root / "runs" / "horses")
    board = TensorBoard()
    board.configure(argv=["", "--logdir", str(root / "runs"), "--host", "127.0.0.1", "--port", "0"])
    return str(board.launch())


def told(address: str, path: str, wanted: str) -> str:
    """What TensorBoard says once it has read what is wanted, or has had long enough to."""
    end = time.monotonic() + PATIENCE
    while True:
        with urlopen(f"{address}data/plugin/{path}", timeout=PATIENCE) as reply:
            words = "".join(reply.read().decode().split())
        if wanted in words or time.monotonic() > end:
            return words
        time.sleep(0.2)


@pytest.mark.parametrize(
    "page, wanted",
    [
        ("scalars/tags", "loss/gan_a"),
        ("images/tags", "samples/AtoB_patches"),
        ("histograms/tags", "weights/a_to_b.head.weight"),
        ("text/tags", "recipe/text_summary"),
        ("custom_scalars/layout", '"tag":["loss/gan_a$","loss/gan_b$"]'),
    ],
)
def test_its_pages_have_what_the_run_wrote(address: str, page: str, wanted: str) -> None:
    assert wanted in told(address, page, wanted)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH")
    with Chromium(tmp_path / "profile") as browser:
        browser.resize(1280)
        yield browser


@pytest.mark.parametrize(
    "page, shown", [("custom_scalars", ["GAN loss", "Discriminators"]), ("hparams", ["method.cycle", "horses"])]
)
def test_a_browser_shows_them(address: str, browser: Chromium, page: str, shown: list[str]) -> None:
    browser.open(f"{address}#{page}")
    end = time.monotonic() + PATIENCE
    while (missing := [words for words in shown if words not in browser.see(WORDS)]) and time.monotonic() < end:
        time.sleep(0.2)
    assert not missing
