"""A painting gets from coarse to fine, in time, and continues where it was."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cyclegan
from cyclegan.data.convert import LUMA
from cyclegan.painting.painting import Painting, Style
from cyclegan.painting.settings import Settings
from cyclegan.util.torchfile import load_pickled
from tests.painting.tiny import QUICK, Slow, extractor, picture

LARGE = 200, 216  # two sizes


def painting(settings: Settings = QUICK, styles: int = 1, **more: Any) -> Painting:
    wanted = [Style(picture=picture(50, 60, 10 + number)) for number in range(styles)]
    return Painting(picture(*LARGE), more.pop("styles_", wanted), settings, more.pop("by", extractor()), **more)


def through(made: Painting) -> np.ndarray:
    while made.advance():
        pass
    return made.pixels()


def test_a_painting_comes_nearer_to_the_style_at_each_size_and_keeps_its_own() -> None:
    made, seen = painting(replace(QUICK, iterations=20)), dict[tuple[int, ...], list[float]]()
    while made.advance():
        if made.descent:
            seen.setdefault(tuple(made.preview().shape[:2]), []).append(sum(made.descent.values.values()))
    assert [*seen] == [(100, 108), LARGE]
    assert all(values[-1] < 0.7 * values[0] for values in seen.values())
    assert made.pixels().shape == (*LARGE, 3) and made.share == 1


@pytest.mark.parametrize("settings", [QUICK, replace(QUICK, optimizer="adam", init="noise", colour="luminance")])
@pytest.mark.parametrize("steps", [2, 4, 5])
def test_a_state_in_a_file_continues_bit_for_bit(settings: Settings, steps: int, tmp_path: Path) -> None:
    whole = through(painting(settings))
    first = painting(settings)
    for _ in range(steps):
        first.advance()
    torch.save(first.state_dict(), tmp_path / "state")
    second = painting(settings)
    second.load_state_dict(load_pickled(tmp_path / "state", check=True))
    assert second.share == first.share and np.array_equal(second.preview(), first.preview())
    assert np.array_equal(through(second), whole)


def test_the_same_arguments_give_the_same_painting_and_another_seed_another() -> None:
    noise = replace(QUICK, init="noise")
    one, same, other = (through(painting(replace(noise, seed=seed))) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_a_picture_to_start_from_is_what_it_starts_from() -> None:
    start = picture(30, 31, 7)
    made = painting(replace(QUICK, init=Path("start.png")), start=start)
    assert np.abs(made.preview() / 255.0 - painting(start=start).preview() / 255.0).max() == 0
    assert np.abs(made.preview().astype(int) - painting().preview().astype(int)).max() > 20


@pytest.mark.parametrize("seconds, sizes", [(0.2, 1), (3.0, 1), (10.0, 2), (1000.0, 2)])
def test_a_painting_ends_in_time_and_whole(seconds: float, sizes: int) -> None:
    slow = Slow(seconds_per_pixel=1e-5)  # a step at full size takes half a second
    notes, made_at = list[str](), set[tuple[int, ...]]()
    settings = replace(QUICK, iterations=40, seconds=seconds)
    made = painting(settings, by=slow, clock=slow.clock, note=notes.append)
    shares = [made.share]
    while not made.is_over:
        made_at.add(made.levels[made.number].size)
        made.advance()
        shares.append(made.share)
    assert made.spent == slow.now <= max(seconds, 1.0)  # the first step is done, however little time there is
    assert made.pixels().shape == (*LARGE, 3) and len(made_at) == sizes
    assert bool(notes) == (sizes == 1) and all("no time to paint at 216 x 200" in note for note in notes)
    assert shares == sorted(shares) and made.share == 1


def test_time_is_divided_by_pixels_and_iterations() -> None:
    slow = Slow(seconds_per_pixel=1e-5)
    made = painting(replace(QUICK, iterations=1000, seconds=20.0), by=slow, clock=slow.clock)
    while made.number == 0:
        made.advance()
    small, large = (level.work for level in made.levels)
    assert slow.now == pytest.approx(20 * small / (small + large), rel=0.1)


def test_time_before_a_stop_counts_after_it() -> None:
    slow = Slow(seconds_per_pixel=1e-5)
    made = painting(replace(QUICK, iterations=40, seconds=10.0), by=slow, clock=slow.clock)
    while made.spent < 6:
        made.advance()
    again = Slow(seconds_per_pixel=1e-5)
    second = painting(replace(QUICK, iterations=40, seconds=10.0), by=again, clock=again.clock)
    second.load_state_dict(made.state_dict())
    through(second)
    assert made.spent + again.now <= 10


def test_the_colours_of_the_content_stay_exactly_with_luminance() -> None:
    content = (0.35 + 0.3 * picture(*LARGE)).astype(np.float32)
    settings = replace(QUICK, colour="luminance", iterations=30, style_weight=100.0)
    made = Painting(content, [Style(picture=picture(50, 60, 1))], settings, extractor())
    painted = through(made) / 255.0
    luma, own = (painted @ np.array(LUMA))[..., None], (content @ np.array(LUMA))[..., None]
    assert np.abs((painted - luma) - (content - own)).max() <= 1.01 / 255  # rounding to 8 bits
    assert np.abs(luma - own).max() > 2.01 / 255


def test_what_no_mask_covers_stays_as_it_is() -> None:
    place = np.zeros((*LARGE, 1), np.float32)
    place[:, 100:] = 1
    made = painting(styles_=[Style(picture=picture(50, 60, 1), place=place)])
    painted, content = through(made), (picture(*LARGE) * 255).round().astype(np.uint8)
    assert np.array_equal(painted[:, :100], content[:, :100])
    assert np.abs(painted[:, 100:].astype(int) - content[:, 100:]).max() > 20


def test_each_of_two_styles_moves_its_own_side() -> None:
    left = np.zeros((*LARGE, 1), np.float32)
    left[:, :108] = 1
    examples = [np.full((20, 20, 3), value, np.float32) for value in (0.1, 0.9)]
    examples = [(each + 0.05 * picture(20, 20, 3)).clip(0, 1) for each in examples]

    def painted(*places: np.ndarray) -> np.ndarray:
        styles = [Style(picture=each, place=place) for each, place in zip(examples, places, strict=True)]
        settings = replace(QUICK, iterations=30, style_weight=100.0, levels=1)
        content = np.full((*LARGE, 3), 0.5, np.float32) + 0.1 * picture(*LARGE)
        return through(Painting(content, styles, settings, extractor()))

    one, two = painted(left, 1 - left), painted(1 - left, left)
    assert one[:, :80].mean() < two[:, :80].mean() - 2 and one[:, 130:].mean() > two[:, 130:].mean() + 2


def test_weights_decide_between_two_styles() -> None:
    dark, bright = (np.clip(v + 0.05 * picture(20, 20, 3), 0, 1).astype(np.float32) for v in (0.1, 0.9))

    def mean(weights: tuple[float, float]) -> float:
        styles = [Style(picture=each, weight=w) for each, w in zip((dark, bright), weights, strict=True)]
        return float(through(painting(replace(QUICK, iterations=20, style_weight=100.0), styles_=styles)).mean())

    assert mean((1, 0.1)) < mean((1, 1)) < mean((0.1, 1))


def test_speed_options_are_tried_once_and_told() -> None:
    run, notes = extractor(), list[str]()
    run.settled = False
    through(painting(replace(QUICK, iterations=2000, seconds=1e-9), by=run, note=notes.append))
    assert run.settled
    run.settled = False
    made = painting(QUICK, by=run, note=notes.append)
    made.advance()
    assert run.settled and made.state_dict()["levers"] == tuple(run.levers)


def test_normalise_scales_a_copy_of_the_network() -> None:
    from cyclegan.networks.backbones import Backbone, build_network
    from cyclegan.painting.extractor import Extractor
    from cyclegan.painting.usual import Usual

    torch.manual_seed(0)
    backbone = Backbone("vgg11", "0" * 64, build_network("vgg11"))
    run = Extractor(backbone, Usual(("relu2_1",), ("relu1_1", "relu2_1"), "average", 1), torch.device("cpu"))
    made = painting(replace(QUICK, normalise=True), by=run)
    with torch.no_grad():
        image = torch.rand(1, 3, 64, 64)
        ratios = [a / b for a, b in zip(made.extractor(image).values(), run(image).values(), strict=True)]
    assert made.extractor is not run and "normalised" not in run.backbone.name
    assert all(not torch.allclose(ratio, torch.ones_like(ratio), rtol=0.1) for ratio in ratios)
    assert through(made).shape == (*LARGE, 3)


@pytest.fixture
def stylize(weights: Path) -> Callable[..., Any]:
    def run(*words: Any, **more: Any) -> Any:
        given: dict[str, Any] = {"network": "squeezenet1_1", "weights": weights}
        given |= {"iterations": 2, "levels": 1, "shifts": 1}
        return cyclegan.stylize(*words, device="cpu", precision="float32", **given | more)

    return run


def test_the_function_takes_pictures_of_every_kind(stylize: Callable[..., Any], tmp_path: Path) -> None:
    from PIL import Image

    content, style = (Image.fromarray((picture(40, 52, seed) * 255).astype(np.uint8)) for seed in (0, 1))
    content.save(tmp_path / "content.png")
    style.save(buffer := io.BytesIO(), "PNG")
    one = stylize(tmp_path / "content.png", buffer.getvalue())
    two = stylize(np.asarray(content), style)
    assert one.size == (52, 40) and one.mode == "RGB" and one.tobytes() == two.tobytes()
    assert stylize(content, [style, content], size=36, style_weights=[2, 1]).size == (47, 36)
    mask = np.zeros((40, 52), bool)
    mask[:, :20] = True
    half = stylize(content, style, masks=[mask])
    assert np.array_equal(np.asarray(half)[:, 20:], np.asarray(content)[:, 20:])


def test_the_function_reports_what_can_be_seen(stylize: Callable[..., Any]) -> None:
    shares = list[float]()
    stylize(
        (picture(40, 52) * 255).astype(np.uint8),
        (picture(30, 30, 1) * 255).astype(np.uint8),
        report=lambda made: shares.append(made.share),
    )
    assert shares == [0.5, 1.0]


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"styel_weight": 2}, "no option styel_weight"),
        ({"style_weight": -1}, "--style_weight: must be at least 0"),
        ({"style_weights": [1, 2]}, "--style_weights: 1 styles, but 2 weights"),
        ({"iterations": 0}, "--iterations: must be 1 to"),
        ({"seconds": 0}, "--seconds: must be above 0"),
        ({"colour": "grey"}, "--colour: expected style, luminance"),
        ({"style_layers": ["features.99"]}, "has no layer features.99; it has"),
        ({"network": "convnext_tiny"}, "--content_layers and --style_layers"),
        ({"normalise": True}, "only a VGG"),
        ({"masks": [None, None]}, "--masks: 1 styles, but 2 masks"),
        ({"masks": [np.zeros((40, 52), np.uint8)]}, "black all over"),
        ({"init": "nowhere.png"}, "nowhere.png"),
    ],
)
def test_mistakes_are_told_in_one_line(stylize: Callable[..., Any], changes: dict[str, Any], told: str) -> None:
    content, style = ((picture(40, 52, seed) * 255).astype(np.uint8) for seed in (0, 1))
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        stylize(content, style, **changes)
    assert told in str(error.value) and "\n" not in str(error.value)
