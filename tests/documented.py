"""`cyclegan` and Python as the documentation starts them, in a folder of its own and in seconds.

Nothing but size and place is different: networks, pictures, lengths and resamples are few, the hub and the server of
data sets are on this machine, and the demo does not measure how fast that is.
"""

from __future__ import annotations

import hashlib
import os
import re
import runpy
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import yaml

from tests.pages import ROOT

LENGTH = re.compile(r"[1-9]\d* (images?|epochs?)")
SHORT = "2 images"

NETWORKS: dict[str, dict[str, Any]] = {
    "resnet": {"width": 4, "blocks": 1},
    "unet": {"width": 4, "depth": 5},
    "munit": {"width": 4, "blocks": 1, "mlp_width": 8},
    "strided": {"width": 4, "depth": 2, "scales": 2},
    "patchgan": {"width": 4, "depth": 2},
    "pixel": {"width": 4},
}
SMALLER = 8
"""What the sizes of trainings without a recipe are divided by."""

TRANSFORMS = [{"Resize": {"height": 36, "width": 36}}, {"RandomCrop": {"height": 32, "width": 32}}]


def tiny(recipe: dict[str, Any], features: Path) -> dict[str, Any]:
    """The recipe with the same keys, of tiny networks and a few steps; features come from a file."""
    short: dict[str, Any] = _shortened(recipe)
    short.setdefault("method", {"kind": "cyclegan"})
    for player, kind in _networks(short["method"]["kind"]):
        network = short["method"].setdefault(player, {"kind": kind})
        network |= NETWORKS[network["kind"]]
    if short["method"]["kind"] == "perceptual":
        short["method"]["backbone"] = {"network": "squeezenet1_1", "weights": str(features)}
    if short["method"]["kind"] == "adain":
        short["method"] |= {"generator": {"encoder": "squeezenet1_1"}, "weights": str(features)}
    if short["method"]["kind"] in ("cut", "fastcut"):
        short["method"] |= {"patches": 9, "head_width": 8}
    short["data"] = short.get("data", {}) | {"transforms": TRANSFORMS, "validation": 4}
    short.setdefault("training", {})["lr_schedule"] = {"constant": SHORT, "decay": SHORT}
    short["speed"] = {"device": "cpu", "precision": "float32", "channels_last": "off", "compile": "off"}
    short["features"] = {"network": "squeezenet1_1", "weights": str(features)}
    short["log"] = short.get("log", {}) | {"samples": 1, "histograms_every": None}
    return short


def on_the_line(words: Sequence[str], features: Path) -> list[str]:
    """The words of a command with shorter lengths; without a recipe, with tiny networks; with features from a file."""
    given = ["--features.network", "squeezenet1_1", "--features.weights", str(features)]
    short = [LENGTH.sub(SHORT, word) for word in words]
    if words[0] == "evaluate" and "--fake" in words and "--features.network" not in words:
        return [*short, *given]
    if words[0] == "stylize":
        return [*short, "--network", "squeezenet1_1", "--weights", str(features), "--iterations", "3"]
    recipe = any(word.endswith(".yaml") for word in words)
    if words[0] == "train" and ("--method.kind" in words or not recipe):
        for player, kind in _networks(_after("--method.kind", words, "cyclegan")):
            network = NETWORKS[_after(f"--method.{player}.kind", words, kind)]
            short += [word for key, value in network.items() for word in (f"--method.{player}.{key}", str(value))]
    if words[0] == "train" and "--method.backbone.network" in words:
        short[short.index("--method.backbone.network") + 1] = "squeezenet1_1"
        short += ["--method.backbone.weights", str(features)]
    if words[0] == "train" and not recipe:
        short += ["--training.lr_schedule.constant", SHORT, "--training.lr_schedule.decay", SHORT, *given]
        short += ["--speed.device", "cpu", "--speed.precision", "float32", "--speed.compile", "off"]
        size = int(_after("--data.size", words, "256")) // SMALLER
        short += ["--speed.channels_last", "off", "--data.size", str(size)]
    return short


def _after(option: str, words: Sequence[str], default: str) -> str:
    return words[words.index(option) + 1] if option in words else default


def write_recipes(folder: Path, saved: dict[str, str], features: Path) -> None:
    """Write those of experiments/ and those that a page says to save."""
    (folder / "experiments").mkdir()
    written = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in EXPERIMENTS}
    for name, recipe in {**written, **saved}.items():
        (folder / name).write_text(yaml.safe_dump(tiny(yaml.safe_load(recipe), features)), encoding="utf-8")


EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))


def cyclegan(words: list[str]) -> None:
    """Run `cyclegan WORDS` in the folder that HERE names, from the file INPUT to the file OUTPUT if they are named."""
    _prepare()
    from cyclegan.cli import main

    if "INPUT" not in os.environ:
        return main(words)
    with (
        Path(os.environ["INPUT"]).open(encoding="utf-8") as given,
        Path(os.environ["OUTPUT"]).open("w", encoding="utf-8") as taken,
    ):
        sys.stdin = given
        with redirect_stdout(taken):
            main(words)


def python(words: list[str]) -> None:
    """Run a file of Python in the folder that HERE names."""
    _prepare()
    runpy.run_path(words[0], run_name="__main__")


def _prepare() -> None:
    os.chdir(os.environ["HERE"])
    import cyclegan.check.cost as cost
    import cyclegan.data.fetch as fetch
    import cyclegan.demo as demo
    from cyclegan.metrics.distances import distances
    from tests.test_demo import short

    archive = Path(os.environ["ARCHIVE"])
    content = archive.read_bytes()
    sha256, address = hashlib.sha256(content).hexdigest(), f"{os.environ['SERVER']}/{archive.name}"
    fetch.DATA_SETS["horse2zebra"] = fetch.DataSet((address,), sha256, len(content), "as the authors' set, but small")
    vars(cost).update(steps_per_second=lambda recipe, size: 12.0)
    vars(demo).update(demo_recipe=short, steps_per_second=lambda recipe, size: 12.0)
    _ask(os.environ["HUB"], os.environ["HUB_CACHE"])
    assert distances.__kwdefaults__
    distances.__kwdefaults__["resamples"] = 20


def _ask(hub: str, cache: str) -> None:
    """Take this address for the hub's; the library may have been imported, so that its environment says nothing."""
    from huggingface_hub import constants, file_download

    template = hub + "/{repo_id}/resolve/{revision}/{filename}"
    for module in (constants, file_download):
        vars(module).update(HUGGINGFACE_CO_URL_TEMPLATE=template, HF_HUB_CACHE=cache)
    vars(constants).update(ENDPOINT=hub, HF_HUB_DISABLE_XET=True)


def _networks(method: str) -> tuple[tuple[str, str], ...]:
    """The kinds of network that a method has by default."""
    if method == "munit":
        return ("generator", "munit"), ("discriminator", "strided")
    if method == "perceptual":
        return (("generator", "resnet"),)
    if method == "adain":
        return ()
    return ("generator", "unet" if method == "pix2pix" else "resnet"), ("discriminator", "patchgan")


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(each) for key, each in value.items()}
    return LENGTH.sub(SHORT, value) if isinstance(value, str) else value
