"""What an explanation computes, and what its page shows."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from cyclegan.data.config import DomainConfig
from cyclegan.data.convert import to_bytes, to_image, to_tensor
from cyclegan.data.format import PictureFormat
from cyclegan.data.overlay import FAKE
from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.model import Model
from cyclegan.metrics.features import load_features
from cyclegan.metrics.scores import score_translation
from cyclegan.networks.base import Critic, StyleGenerator
from cyclegan.networks.config import ResnetConfig
from cyclegan.report.explain.change import change_between
from cyclegan.report.explain.explain import explain
from cyclegan.report.explain.explanation import Explanation
from cyclegan.report.explain.page import facts_of, heat_map, write_explanation
from cyclegan.report.explain.stages import look_inside, principal_components, read_out
from cyclegan.report.explain.verdict import judge, real_example
from cyclegan.report.pictures import Scorer, patch_map
from cyclegan.training.trainer import train
from cyclegan.types import Direction, Scores
from tests.cli.test_cli import run_main
from tests.deep import write_tiles
from tests.inference.authors_layout import Resnet, trained
from tests.methods.test_methods import METHODS
from tests.report.explained import exported, tinted, untrained
from tests.tiny import tiny_recipe, write_pictures

AtoB, BtoA = Direction.AtoB, Direction.BtoA
SECTIONS = ["What changed", "Stage by stage", "What the discriminator objects to"]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    [path] = write_pictures(tmp_path / "pictures", 1, size=40)
    return path


def image(seed: int = 0, size: tuple[int, int] = (32, 32), channels: int = 3) -> Tensor:
    """A random picture (1, C, H, W) in [-1, 1]."""
    return torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def page_of(explanation: Explanation, folder: Path) -> str:
    return write_explanation(explanation, folder / "explain.html").read_text(encoding="utf-8")


def without_pictures(html: str) -> str:
    return re.sub(r"data:image/webp;base64,[\w+/=]+", "data:", html)


def words_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html.partition("<main>")[2]).split())


def sections(html: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", html)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_page_with_the_sections_that_it_can_fill(name: str, picture: Path, tmp_path: Path) -> None:
    model = untrained(METHODS[name])
    styled = [each for each in model.generators.values() if isinstance(each, StyleGenerator)]
    explanation = explain(model, picture, size=32, styles=[picture] if styled else [])
    html = page_of(explanation, tmp_path)
    expected = SECTIONS[:1] + ["There and back"] * (len(model.generators) == 2) + SECTIONS[1:]
    assert sections(html) == expected + ["What the style changes"] * bool(styled)
    assert explanation.method == METHODS[name].about.name and explanation.direction == METHODS[name].directions[0]
    told = words_of(html)
    assert f"direction {explanation.direction}" in told and "images seen 7" in told
    critics = METHODS[name].build().critics()
    assert (explanation.verdict is not None) == bool(critics), explanation.why_no_verdict
    assert set(explanation.names.values()) <= {each for each, _ in METHODS[name].build().named_modules()}
    assert all(each in told for each in explanation.names.values())


@pytest.mark.parametrize("name", ["cyclegan", "pix2pix"])
def test_the_stages_are_those_of_the_network_without_its_padding(name: str) -> None:
    network, source = METHODS[name].build().eval().generators()[AtoB], image(size=(38, 45))
    with torch.no_grad():
        stages = look_inside(network, source, network(source))
        outputs = network.features(source, range(len(network.stages)))
    assert [stage.number for stage in stages] == list(range(len(network.stages)))
    for stage, output in zip(stages, outputs, strict=True):
        assert stage.channels == output.shape[1]
        whole = (64, 64) if name == "pix2pix" else (40, 48)
        assert stage.size == tuple(math.ceil(output.shape[2 + i] * (38, 45)[i] / whole[i]) for i in (0, 1))
        assert stage.maps.shape[1:] == stage.size and len(stage.chosen) == len(stage.maps)
        assert stage.rgb is not None and stage.rgb.shape[1:] == stage.size


def test_a_stage_of_a_single_place_has_no_picture(tmp_path: Path, picture: Path) -> None:
    explanation = explain(untrained(METHODS["pix2pix"]), picture, size=32)
    deepest = explanation.stages[4]
    assert deepest.size == (1, 1) and deepest.rgb is None and deepest.what == "1/2 of the size"
    html = page_of(explanation, tmp_path)
    assert html.count("a single place") == 1 and "<h4>Stage 4" not in html and "<h4>Stage 5" in html
    assert "each stage also gets the output of the stage of its size" in words_of(html)


def test_the_channels_shown_are_the_liveliest_that_do_not_look_alike() -> None:
    network, source = METHODS["cyclegan"].build().eval().generators()[AtoB], image()
    with torch.no_grad():
        [stage, *_] = look_inside(network, source, source)
        [output, *_] = network.features(source, [0])
    variances = output[0].flatten(1).var(dim=1)[list(stage.chosen)]
    assert stage.chosen[0] == int(output[0].flatten(1).var(dim=1).argmax())
    assert all(first >= second for first, second in pairwise(variances.tolist()))
    alike = torch.corrcoef(output[0].flatten(1)[list(stage.chosen)]).abs() - torch.eye(len(stage.chosen))
    assert alike.max() < 0.9
    seen, kept = stage.maps[0], output[0, stage.chosen[0]]
    inside = (seen > 0) & (seen < 1)
    assert torch.corrcoef(torch.stack([seen[inside], kept[inside]]))[0, 1] > 0.999


def test_a_channel_that_is_the_same_everywhere_is_silent_and_not_shown() -> None:
    network, source = METHODS["cyclegan"].build().eval().generators()[AtoB], image()
    network.stages[2][0].weight.data[5] = 0
    stages = look_inside(network, source, source)
    assert stages[2].silent == 1 and 5 not in stages[2].chosen and stages[1].silent == 0


def test_the_sign_of_a_component_is_that_of_what_it_is_to_follow() -> None:
    features = image(1, channels=6)[0]
    towards, share = principal_components(features, features[:3])
    for sign in (1, -1):
        again, same = principal_components(sign * features, towards)
        torch.testing.assert_close(again, towards, atol=1e-4, rtol=1e-4)
        assert share == pytest.approx(same, rel=1e-5) and 0.5 < share < 1


def test_without_anything_to_follow_the_largest_weight_is_positive() -> None:
    features = torch.stack([-2 * image(1)[0, 0], image(1)[0, 0]])
    components, _ = principal_components(features, torch.zeros(3, 32, 32))
    assert torch.corrcoef(torch.stack([components[0].flatten(), features[0].flatten()]))[0, 1] > 0.999


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_three_components_hold_all_of_three_channels(channels: int) -> None:
    components, share = principal_components(image(1, channels=channels)[0], image(2)[0])
    assert share == pytest.approx(1) and not components[channels:].any() and components[:channels].any()


def test_a_read_out_tells_what_is_still_there() -> None:
    picture, noise = image(1)[0], image(2, channels=8)[0]
    mixed = torch.einsum("kc,chw->khw", torch.randn(5, 3), picture)
    assert read_out(mixed, picture) == pytest.approx(1, abs=1e-3)
    told = read_out(noise, picture)
    assert told is not None and told < 0.05
    assert read_out(noise, torch.zeros(3, 32, 32)) is None  # nothing to recover
    assert read_out(noise[:, :5, :5], picture[:, :5, :5]) is None  # too few places


def test_a_change_says_where_and_how_much() -> None:
    one = torch.full((1, 3, 10, 20), -1.0)
    other = one.clone()
    other[:, :, 2:4, 15:20] = 1
    change = change_between(one, other)
    assert change.largest == 1 and change.mean == pytest.approx(10 / 200)
    assert change.map[2:4, 15:20].min() == 1 and change.map.sum() == 10
    assert change.half == pytest.approx(5 / 200)  # half of ten places, of two hundred
    assert change_between(one, one).half == 0 and change_between(one, -one).half == 0.5


def test_the_figures_of_a_cycle_are_those_of_evaluate(weights: Path) -> None:
    model = untrained(METHODS["cyclegan"])
    pictures = [to_bytes(image(seed)) for seed in range(4)]
    features = load_features("squeezenet1_1", weights)
    scored = score_translation(
        "AtoB", pictures, torch.randn(9, 512), features,
        translate=model.generators[AtoB], back=model.generators[BtoA],
    )  # fmt: skip
    each = [explain(model, picture[0].permute(1, 2, 0).numpy(), size=32) for picture in pictures]
    cycles = [explanation.cycle for explanation in each if explanation.cycle]
    mean = {
        "cycle_ssim": np.mean([cycle.ssim for cycle in cycles]),
        "cycle_psnr": np.mean([cycle.psnr for cycle in cycles]),
        "structure": np.mean([explanation.structure for explanation in each]),
    }
    assert mean == pytest.approx({name: scored.figures[name].value for name in mean}, rel=1e-5)


def test_noise_shows_whether_the_picture_is_hidden_in_faint_detail() -> None:
    """A generator that leaves the picture as it is hides nothing: the noise itself is all that is lost."""
    model = untrained(replace(METHODS["cyclegan"], generator=ResnetConfig(width=4, blocks=1, skip=True)))
    source = np.asarray(to_image(image()[0] * 0.3))  # atanh(0.9 x) and tanh: 0.9 x
    cycle = explain(model, source).cycle
    assert cycle and cycle.psnr_with_noise < cycle.psnr
    assert cycle.psnr - cycle.psnr_with_noise < 3


class Objects(Critic):
    """Takes a picture for fake where it is white; it sees blocks of 8 x 8 pixels of the left half."""

    conditional = False

    def forward(self, x: Tensor) -> Scores:
        left = torch.cat([x[..., : x.shape[3] // 2], -torch.ones_like(x[..., x.shape[3] // 2 :])], dim=3)
        return (-torch.nn.functional.avg_pool2d(left.mean(dim=1, keepdim=True), 8),)


def test_the_patches_lie_where_the_critic_objects() -> None:
    translation = torch.full((1, 3, 32, 48), -1.0)
    translation[:, :, 0:8, 16:24] = 1  # above, left of the middle
    verdict = judge(Scorer(Objects(), 0.0), translation, -torch.ones(1, 3, 32, 48), None)
    patches = verdict.translation.patches
    assert patches.shape == (4, 6) and patches.argmin() == 2 and int((patches < 0).sum()) == 1
    assert verdict.translation.fake == pytest.approx(1 / 24) and verdict.others[0].fake == 0
    seen = np.asarray(patch_map(to_image(translation[0]), patches, verdict.limit), int)
    redness = seen[..., 0] - seen[..., 2]
    assert redness[4, 20] > 80 and redness[4, 40] < 0 and redness[28, 20] < 0 and FAKE[0] > FAKE[2]
    assert verdict.pull[:, 30:].max() < 0.02 and verdict.pull[:, :18].min() > 0.1


def test_the_boundary_of_the_loss_separates_fake_from_real() -> None:
    white = torch.ones(1, 3, 32, 32)
    judged = [judge(Scorer(Objects(), boundary), 0.2 * white, white, None).translation for boundary in (0.0, -0.5)]
    assert [one.fake for one in judged] == [0.5, 0.0]


def test_a_real_picture_is_judged_too_and_has_the_same_name_if_it_can(data: Path, tmp_path: Path) -> None:
    model = untrained(METHODS["cyclegan"], data, size=32)
    for name in ("0", "1"):
        verdict = explain(model, data / "testA" / f"{name}.png").verdict
        expected = ["source, not translated", f"a real picture, {name}.png"]
        assert verdict and [one.what for one in verdict.others] == expected
    assert model.recipe
    example = real_example(model.recipe.data, AtoB, "9.png")
    assert example and example.name == "0.png"
    (data / "testB" / "0.png").write_text("no picture", encoding="utf-8")
    assert real_example(model.recipe.data, AtoB, "9.png") is None
    moved = explain(untrained(METHODS["cyclegan"], tmp_path / "nowhere", size=32), data / "testA" / "0.png").verdict
    assert moved and len(moved.others) == 1


def test_a_critic_of_pairs_sees_the_partner_and_not_the_source_alone(data: Path) -> None:
    model = untrained(METHODS["pix2pix BtoA"], data, size=32)
    explanation = explain(model, data / "testB" / "1.png")
    assert explanation.verdict and explanation.direction == BtoA
    [real] = explanation.verdict.others
    assert real.what == "a real picture, 1.png"
    assert real.picture.shape == (1, 3, 32, 32)  # as in training, also from a larger file


def test_a_generator_without_its_run_has_no_discriminator_and_says_so(picture: Path, tmp_path: Path) -> None:
    model = untrained(METHODS["cyclegan"])
    write_generator(model.generators[AtoB], AtoB, tmp_path / "g.safetensors")
    explanation = explain(tmp_path / "g.safetensors", picture)
    html = page_of(explanation, tmp_path)
    assert sections(html) == SECTIONS and explanation.cycle is None and not explanation.names
    assert "Not shown. A generator without its run has no discriminator; give the run folder" in words_of(html)
    assert "<h4>Stage 0" in html and "images seen" not in words_of(html)
    both = page_of(explain(exported(model, AtoB, BtoA), picture), tmp_path)
    assert "There and back" in sections(both) and "the generator of the other direction translates" in words_of(both)


def test_weights_of_the_authors_are_explained_in_the_direction_that_is_asked(picture: Path, tmp_path: Path) -> None:
    for name in ("latest_net_G_A.pth", "latest_net_G_B.pth"):
        (tmp_path / "two").mkdir(exist_ok=True)
        torch.save(trained(Resnet()).state_dict(), tmp_path / "two" / name)
    both = explain(tmp_path / "two", picture, direction="BtoA", size=16)
    assert both.cycle and both.direction == BtoA and both.trained is None
    torch.save(trained(Resnet()).state_dict(), tmp_path / "some.pth")
    one = explain(tmp_path / "some.pth", picture, direction="BtoA", size=16)
    assert one.cycle is None and one.direction == BtoA


def test_a_discriminator_for_larger_pictures_is_left_out_with_the_reason(picture: Path, tmp_path: Path) -> None:
    explanation = explain(untrained(METHODS["cyclegan"]), picture, size=11)
    assert explanation.verdict is None
    assert "Not shown. Discriminator: 11x11 is too small" in words_of(page_of(explanation, tmp_path))


def test_the_page_needs_nothing_but_itself(picture: Path, tmp_path: Path) -> None:
    bare = without_pictures(page_of(explain(untrained(METHODS["cyclegan"]), picture), tmp_path))
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<link(?! rel=\"icon\")|<script src", bare)
    assert all(address.startswith("data:") for address in re.findall(r'(?:src|href)="([^"]*)"', bare))
    assert all(re.search(r'alt="[^"]+"', one) for one in re.findall("<img[^>]*>", bare))


def test_the_same_picture_gives_the_same_page(picture: Path, tmp_path: Path) -> None:
    model = untrained(METHODS["cyclegan"])
    assert page_of(explain(model, picture), tmp_path) == page_of(explain(model, picture), tmp_path)


def test_words_from_files_stay_words(picture: Path, tmp_path: Path) -> None:
    evil = picture.rename(picture.with_name("<b>x<script>.png"))
    html = page_of(explain(untrained(METHODS["cyclegan"]), evil), tmp_path)
    assert "<b>x<script>" not in html and "&lt;b&gt;x&lt;script&gt;.png, from A to B" in html


def test_pictures_are_analysed_at_the_size_of_the_training(picture: Path, tmp_path: Path) -> None:
    model = replace(untrained(METHODS["cyclegan"]), trained=24)
    [wide] = write_pictures(tmp_path / "wide", 1, size=96)
    Image.open(wide).crop((0, 0, 96, 48)).save(wide)
    explanation = explain(model, wide)
    assert explanation.own_size == (48, 96) and explanation.size == (24, 48)
    assert "48 x 24 pixels, scaled from 96 x 48; trained at 24" in words_of(page_of(explanation, tmp_path))
    assert explain(model, wide, size=32).size == (32, 64)
    assert explain(replace(model, trained=None), wide).size == (48, 96)
    assert explain(replace(model, trained=None), Image.new("RGB", (600, 600))).size == (512, 512)


def deep(channels: int) -> PictureFormat:
    return replace(PictureFormat.of(channels), depth="uint16", range=(0.0, 9000.0), view_range=(0.0, 9000.0))


def formatted(a: PictureFormat, b: PictureFormat) -> Model:
    return untrained(METHODS["cyclegan"], a=DomainConfig.of(a), b=DomainConfig.of(b))


def test_pictures_of_any_channels_are_shown_in_their_views(tmp_path: Path) -> None:
    write_tiles(tmp_path / "tiles", 1)
    [path] = (tmp_path / "tiles").iterdir()
    model = formatted(deep(4), deep(4))
    explanation = explain(model, path)
    assert explanation.source.shape[1] == 4 and explanation.view(explanation.source).shape[0] == 3
    assert explanation.change and explanation.cycle and explanation.verdict
    assert "bands 4, 3, 2 as RGB" in words_of(page_of(explanation, tmp_path))


def test_values_that_mean_different_things_are_not_compared(tmp_path: Path, picture: Path) -> None:
    write_tiles(tmp_path / "tiles", 1)
    [path] = (tmp_path / "tiles").iterdir()
    explanation = explain(formatted(deep(4), PictureFormat()), path)
    assert explanation.change is None and explanation.cycle and explanation.structure > 0
    assert "there is no map of their difference" in words_of(page_of(explanation, tmp_path))
    grey = explain(formatted(PictureFormat.of(1), PictureFormat()), picture)
    assert grey.change and grey.source.shape[1] == 1 and grey.verdict and len(grey.verdict.others) == 0
    assert page_of(grey, tmp_path)


@pytest.mark.parametrize("has_prior", [True, False])
def test_a_model_with_styles_shows_what_they_change(has_prior: bool, picture: Path, tmp_path: Path) -> None:
    red, blue = (Image.new("RGB", (40, 40), colour) for colour in ("red", "blue"))
    red.save(tmp_path / "red.png")
    blue.save(tmp_path / "blue.png")
    model = tinted(AtoB, has_prior=has_prior)
    explanation = explain(model, picture, styles=[tmp_path / "red.png", tmp_path / "blue.png"])
    network, source, styles = model.generators[AtoB], explanation.source, explanation.styles
    assert isinstance(network, StyleGenerator) and styles and styles.given and styles.strengths
    assert len(styles.numbers) == (3 if has_prior else 0) and (styles.drawn is not None) == has_prior
    for number, row in enumerate(styles.numbers):
        for step, (called, made) in zip((-2, 0, 2), row.translations.items(), strict=True):
            code = torch.zeros(1, 3)
            code[0, number] = step
            assert called == ("0" if step == 0 else f"{step:+d}") and torch.equal(made, network(source, code))
    coded = network.encode_style(to_tensor(red)[None])
    assert list(styles.given.translations) == ["red.png", "blue.png"]
    torch.testing.assert_close(styles.given.translations["red.png"], network(source, coded))
    assert list(styles.strengths.translations) == ["0", "0.25", "0.5", "0.75", "1"]
    torch.testing.assert_close(styles.strengths.translations["0.5"], network(source, 0.5 * coded))
    torch.testing.assert_close(explanation.translation, network(source, coded), atol=1 / 127, rtol=0)
    html = page_of(explanation, tmp_path)
    assert (
        sections(html)[-1] == "What the style changes"
        and "strength of the style of red.png" in html
        and "style of red.png" in words_of(html)
    )
    assert ("number 3, changes" in html) == has_prior


def test_random_styles_follow_the_seed(picture: Path) -> None:
    model = tinted(AtoB, BtoA)
    one, same, other = (explain(model, picture, seed=seed) for seed in (1, 1, 2))
    first, again, another = (
        each.styles.drawn.translations["random 1"] for each in (one, same, other) if each.styles and each.styles.drawn
    )
    assert torch.equal(first, again) and not torch.equal(first, another)
    assert torch.equal(one.translation, other.translation)  # the mean style
    assert facts_of(one)["style"] == "the mean style, a code of zeros"


def test_the_way_back_has_the_style_of_the_source() -> None:
    model = tinted(AtoB, BtoA)
    source = np.full((16, 16, 3), (200, 20, 60), np.uint8)
    explanation = explain(model, source)
    back = model.generators[BtoA]
    assert isinstance(back, StyleGenerator) and explanation.cycle
    expected = back(explanation.translation, back.encode_style(explanation.source))
    torch.testing.assert_close(explanation.cycle.picture, expected, atol=1 / 127, rtol=0)


def test_heat_goes_from_black_to_bright() -> None:
    line = np.asarray(heat_map(torch.linspace(0, 1, 50)[None]), int).sum(axis=2)[0]
    assert line[0] < 10 and line[-1] > 600 and (np.diff(line) > 0).all()


def test_networks_are_left_in_the_mode_that_they_were_in(picture: Path) -> None:
    model = untrained(METHODS["pix2pix"])
    model.generators[AtoB].train()
    explain(model, picture, size=32)
    assert model.generators[AtoB].training
    assert not any(weights.grad is not None for weights in model.generators[AtoB].parameters())


def test_steps_are_reported_to_the_last(picture: Path) -> None:
    for model in (untrained(METHODS["cyclegan"]), tinted(AtoB)):
        steps: list[tuple[int, int]] = []
        explain(model, picture, size=32, report=lambda done, total, steps=steps: steps.append((done, total)))  # type: ignore[misc]
        assert [done for done, _ in steps] == list(range(steps[0][1] + 1))


def test_a_network_that_diverged_is_one_line(picture: Path) -> None:
    model = untrained(METHODS["cyclegan"])
    next(model.generators[AtoB].parameters()).data.fill_(torch.nan)
    with pytest.raises(ValueError, match="contains NaN: the network that made it has diverged"):
        explain(model, picture)


@pytest.mark.parametrize(
    ("model", "more", "told"),
    [
        (tinted(AtoB, has_prior=False), {}, "takes its style from a picture; give one or more with --style"),
        (untrained(METHODS["cyclegan"]), {"styles": [np.zeros((16, 16, 3), np.uint8)]}, "has no styles"),
        (untrained(METHODS["cyclegan"]), {"size": 10}, "10 x 10 pixels are too small to explain; use --size 11"),
        (untrained(METHODS["cyclegan"]), {"size": 9000}, "over the limit of 2,097,152; use a smaller --size"),
        (untrained(METHODS["cut"]), {"direction": "BtoA"}, "its method translates AtoB, not BtoA"),
    ],
)
def test_what_cannot_be_explained_is_one_line(model: Model, more: dict[str, object], told: str, picture: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        explain(model, picture, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("explained")
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_pictures(root / "data" / name, 4, seed=seed)
    train(tiny_recipe(root / "data"), root / "run")
    return root / "run"


def test_a_run_and_its_checkpoint_are_explained_with_all_their_networks(run: Path) -> None:
    picture = run.parent / "data" / "testB" / "0.png"
    for model in (run, run / "checkpoints" / "0000000008.pt"):
        explanation = explain(model, picture, direction="BtoA")
        assert explanation.names == {"generator": "b_to_a", "back": "a_to_b", "discriminator": "discriminator_a"}
        assert explanation.images == 8 and explanation.cycle and explanation.verdict and explanation.trained == 36
        assert len(explanation.verdict.others) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("explain nowhere {picture}", "nowhere: no such run folder"),
        ("explain {run} nowhere.png", "nowhere.png cannot be read: No such file"),
        ("explain {run} {run}/recipe.yaml", "recipe.yaml cannot be read: empty, damaged, or none of the formats"),
        ("explain {run} {picture} --size 0", "--size: must be at least 1"),
        ("explain {run} {picture} --style {picture}", "--style: {run} has no styles"),
        ("explain g.onnx {picture}", "g.onnx: an export in this format does not show its stages; give the run folder"),
        ("explain g.pt2 {picture}", "g.pt2: an export in this format does not show its stages"),
        ("explain {run}", "explain: PICTURE is missing"),
    ],
)
def test_mistakes_are_one_line(words: str, told: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"run": run, "picture": run.parent / "data" / "testA" / "0.png"}
    assert run_main(*(word.format(**names) for word in words.split())) == 2
    captured = capsys.readouterr()
    assert told.format(**names) in captured.err and captured.err.count("\n") == 1 and not captured.out


def test_the_command_says_where_the_page_is(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = run.parent / "data" / "testA" / "0.png"
    assert run_main("explain", run, picture, "--out", tmp_path / "page.html", "--device", "cpu") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'page.html'}\n"
    assert "0.png, from A to B" in (tmp_path / "page.html").read_text(encoding="utf-8")
