"""The page that shows an explanation: its tensors as pictures, its numbers in words."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from cyclegan.data.convert import to_image
from cyclegan.data.fit import by
from cyclegan.inference.describe import architecture, parameters
from cyclegan.networks.config import ResnetConfig, UnetConfig
from cyclegan.report.explain.change import NOISE, Change, Cycle
from cyclegan.report.explain.explanation import Explanation
from cyclegan.report.explain.stages import Stage
from cyclegan.report.explain.styles import Row, Styles
from cyclegan.report.explain.verdict import Judged, Verdict
from cyclegan.report.page import write_page
from cyclegan.report.parts import Card, Figure, figure
from cyclegan.report.pictures import patch_map
from cyclegan.util.text import shown

HEAT = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
"""Colours, in 0..255, from nothing to most (of matplotlib's inferno); report/templates/style.css repeats them."""

LARGEST_MAP = 320
"""Longer side, in pixels, of the map of a single channel on the page."""

COARSE = 160
"""Longer side, in pixels, up to which the pixels of a map are shown as squares."""

ENOUGH = 0.995
"""Share of the places of a map of changes whose changes are below the brightest colour."""


class Heat(NamedTuple):
    """A map of changes, and the change that has the brightest colour."""

    figure: Figure
    most: float


class StageView(NamedTuple):
    """What the page shows of a stage."""

    stage: Stage
    rgb: Figure | None
    maps: list[Figure]
    coarse: bool
    """Whether its pixels are shown as squares."""


class RowView(NamedTuple):
    """What the page shows of a row of styles."""

    name: str
    pictures: list[Figure]


def write_explanation(explanation: Explanation, path: Path) -> Path:
    """Write a page of one file that works offline, whole or not at all; returns `path`.

    Raises ValueError for a picture that holds NaN, and OSError when the file cannot be written.
    """
    e = explanation
    source, translation = to_image(e.view(e.source)), to_image(e.view(e.translation, target=True))
    change = None if e.change is None else heat("difference", e.change)
    return write_page(
        path,
        "explain.html",
        title=f"{e.picture}, from {e.direction.source.upper()} to {e.direction.target.upper()}",
        e=e,
        by=by,
        percent=percent,
        model=shown(e.model),
        told=facts_of(e),
        notes=_notes(e),
        generator=_called(e, "generator", "the generator"),
        back=_called(e, "back", "the generator of the other direction"),
        discriminator=e.names.get("discriminator"),
        translated=_card(e, source, "translation", translation, change),
        change=change,
        cycle=None if e.cycle is None else _cycle(e, e.cycle, source),
        stages=[_stage_view(stage) for stage in e.stages],
        verdict=None if e.verdict is None else _verdict(e, e.verdict),
        styles=None if e.styles is None else _styles(e, e.styles),
    )


def facts_of(e: Explanation) -> dict[str, str]:
    """Return the facts at the top of the page, by their names."""
    own = f", scaled from {by(e.own_size)}" if e.own_size != e.size else ""
    trained = f"; trained at {e.trained}" if e.trained else "; the size of the training is not known"
    discriminator = e.names.get("discriminator", "")
    entries = {
        "model": shown(e.model),
        "method": e.method or "",
        "images seen": f"{e.images:,}" if e.images is not None else "",
        "direction": e.direction.value,
        "picture": e.picture,
        "analysed at": f"{by(e.size)} pixels{own}{trained}",
        "pictures of A": e.formats["a"].described,
        "pictures of B": e.formats["b"].described,
        "generator": ": ".join(filter(None, [e.names.get("generator"), architecture(e.network.config)])),
        "parameters": f"{parameters(e.network):,}, in {len(e.stages)} stages and a last layer",
        "style": _style(e.styles) if e.styles else "",
        "way back": e.names.get("back", ""),
        "discriminator": discriminator if e.verdict else "",
    }
    return {name: entry for name, entry in entries.items() if entry}


def heat(caption: str, change: Change) -> Heat:
    """Return a map of changes in colours, the brightest of which is that of almost the largest change."""
    places = change.map.flatten()
    most = float(places.kthvalue(1 + round(ENOUGH * (len(places) - 1))).values) or change.largest
    return Heat(figure(caption, heat_map(change.map / (most or 1))), most)


def heat_map(values: Tensor) -> Image.Image:
    """Return a map (H, W) in colours: black at 0, the brightest from 1 on."""
    stops = np.linspace(0, 1, len(HEAT))
    shares = values.clamp(0, 1).numpy()
    channels = [np.interp(shares, stops, [colour[i] for colour in HEAT]) for i in range(3)]
    return Image.fromarray(np.stack(channels, axis=2).round().astype(np.uint8))


def percent(share: float) -> str:
    """Format a share in percent, with two digits below 10 %."""
    return f"{100 * share:.2g} %" if abs(share) < 0.0995 else f"{100 * share:.0f} %"


def _called(e: Explanation, role: str, otherwise: str) -> str:
    """Return the name of a network, between backticks for `coded`, or what it is if it has no name."""
    return f"`{e.names[role]}`" if role in e.names else otherwise


def _notes(e: Explanation) -> list[str]:
    """Return what the stages do not show of this architecture, in a sentence each."""
    config = e.network.config
    if isinstance(config, UnetConfig):
        return [
            "In the second half, each stage also gets the output of the stage of its size in the first half, so detail "
            "need not pass through the smallest stages."
        ]
    if isinstance(config, ResnetConfig) and config.skip:
        return ["The last layer also gets the picture itself, so the stages need not keep all of it."]
    return []


def _card(e: Explanation, source: Image.Image, what: str, other: Image.Image, change: Heat | None) -> Card:
    return Card(e.picture, figure("source", source), figure(what, other), (change.figure,) if change else ())


def _cycle(e: Explanation, cycle: Cycle, source: Image.Image) -> dict[str, object]:
    lost = heat("lost", cycle.lost)
    return {
        "card": _card(e, source, "there and back", to_image(e.view(cycle.picture)), lost),
        "lost": lost,
        "facts": {
            "PSNR": f"{cycle.psnr:.1f} dB",
            f"PSNR with {percent(NOISE)} noise": f"{cycle.psnr_with_noise:.1f} dB",
            "SSIM": f"{cycle.ssim:.3f}",
            "structure distance": f"{cycle.structure:.4f}",
            "mean difference": percent(cycle.lost.mean),
        },
    }


def _stage_view(stage: Stage) -> StageView:
    rgb = None if stage.rgb is None else _figure(f"stage {stage.number}", stage.rgb)
    maps = [_figure(f"{number}", one[None]) for number, one in zip(stage.chosen, stage.maps, strict=True)]
    return StageView(stage, rgb, maps, max(stage.size) <= COARSE)


def _figure(caption: str, values: Tensor) -> Figure:
    """Return a map (1 or 3, h, w) in [0, 1] as a picture, reduced if it is large."""
    pixels = values.mul(255).round().byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    coarse = max(image.size) <= COARSE
    image.thumbnail((LARGEST_MAP, LARGEST_MAP), Image.Resampling.LANCZOS)
    return figure(caption, image, exact=coarse)


def _verdict(e: Explanation, verdict: Verdict) -> dict[str, object]:
    return {
        "limit": verdict.limit,
        "judged": [_judged(e, one, verdict.limit) for one in (verdict.translation, *verdict.others)],
        "pull": figure("what decides", heat_map(verdict.pull)),
    }


def _judged(e: Explanation, judged: Judged, limit: float) -> tuple[Figure, str]:
    picture = to_image(e.view(judged.picture, target=judged.of_target))
    told = f"mean score {judged.mean:+.2f}; {percent(judged.fake)} of the patches are taken for fake"
    return figure(judged.what, patch_map(picture, judged.patches, limit)), told


def _styles(e: Explanation, styles: Styles) -> dict[str, object]:
    return {
        "size": styles.size,
        "numbers": [_row(e, row, f"changes {percent(row.spread)} from end to end") for row in styles.numbers],
        "others": [_row(e, row, "") for row in (styles.drawn, styles.given, styles.strengths) if row],
    }


def _style(styles: Styles) -> str:
    """Return what the style of the translation is."""
    return f"of {next(iter(styles.given.translations))}" if styles.given else "the mean style, a code of zeros"


def _row(e: Explanation, row: Row, note: str) -> RowView:
    pictures = [figure(name, to_image(e.view(one, target=True))) for name, one in row.translations.items()]
    return RowView(", ".join(filter(None, [row.name, note])), pictures)
