"""AdaIN as a method: what its losses compare, what learns, and what a run and its model need and keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cyclegan.cli import main
from cyclegan.inference.model import open_model
from cyclegan.losses.style import moments
from cyclegan.machine.device import Arithmetic
from cyclegan.methods.adain import Adain
from cyclegan.methods.config import AdainConfig
from cyclegan.networks.adain import AdainGenerator
from cyclegan.networks.config import AdainGeneratorConfig
from cyclegan.recipe import Recipe, TrainingConfig, write_recipe
from cyclegan.training.learner import Learner
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.training.trainer import Trainer, train
from cyclegan.types import Batch, Channels, Direction
from tests.tiny import outputs, tiny_recipe, write_pictures
from tests.training.halves import resumed_bit_for_bit
from tests.training.test_training import events
from tests.training.test_validation import scored

SQUEEZENET = AdainGeneratorConfig(encoder="squeezenet1_1")
QUIET: dict[str, Any] = {"samples": 0, "histograms_every": None}


def built(weights: Path, **changes: Any) -> Adain:
    torch.manual_seed(0)
    method = AdainConfig(generator=SQUEEZENET, weights=weights, **changes).build()
    method.load_backbone()
    return method


def batch(number: int = 2, size: int = 32) -> Batch:
    return Batch(*(torch.rand(number, 3, size, size) * 2 - 1 for _ in "ab"))


def method_of(weights: Path) -> dict[str, Any]:
    return {"kind": "adain", "generator": {"encoder": "squeezenet1_1"}, "weights": str(weights)}


@pytest.fixture
def recipe(data: Path, weights: Path) -> Recipe:
    return tiny_recipe(data, method=method_of(weights), log=QUIET)


def test_a_fake_is_the_content_in_the_style_of_its_partner(weights: Path) -> None:
    method, given = built(weights), batch()
    network, images = method.generator, method(given)
    torch.testing.assert_close(images["fake"], network(given.a, network.encode_style(given.b)))
    back = built(weights, direction=Direction.BtoA)
    back.load_state_dict(method.state_dict())
    torch.testing.assert_close(back(Batch(given.b, given.a))["fake"], images["fake"])


def test_losses_are_those_of_the_paper(weights: Path) -> None:
    """(Huang and Belongie 2017, eq. 11 to 13.)"""
    method, given = built(weights, content=3, style=2), batch()
    images = method(given)
    network, losses = method.generator, method.generator_loss(given, images)
    made, styles = (network.layers(pictures) for pictures in (images["fake"], given.b))
    content = network.layers(given.a)[-1]
    (mean, deviation), (wanted_mean, wanted_deviation) = moments(content), moments(styles[-1])
    target = wanted_deviation * (content - mean) / deviation + wanted_mean
    torch.testing.assert_close(losses["content"], 3 * (made[-1] - target).square().mean(), rtol=1e-3, atol=0)
    apart = [
        (one - other).square().mean()
        for own, wanted in zip(made, styles, strict=True)
        for one, other in zip(moments(own), moments(wanted), strict=True)
    ]
    torch.testing.assert_close(losses["style"], 2 * torch.stack(apart).sum())


def test_each_loss_compares_what_its_name_says(weights: Path) -> None:
    method, given = built(weights), batch()
    images = method(given)
    styled = method.generator_loss(given, images | {"fake": given.b})
    assert styled["style"] == 0 and styled["content"] > 1e-3
    kept = images | {"fake": given.a, "content_target": method.generator.layers(given.a)[-1]}
    assert method.generator_loss(given, kept)["content"] == 0


def test_total_variation_is_added_if_asked(weights: Path) -> None:
    given = batch()
    method, smoothed = built(weights), built(weights, tv=2)
    images = method(given)
    flat = images | {"fake": torch.zeros_like(given.a)}
    assert method.generator_loss(given, images)["tv"] == 0 == smoothed.generator_loss(given, flat)["tv"]
    rows, columns = images["fake"].diff(dim=2), images["fake"].diff(dim=3)
    expected = 2 * (rows.square().mean() + columns.square().mean())
    torch.testing.assert_close(smoothed.generator_loss(given, images)["tv"], expected)


def test_gradients_reach_the_decoder_through_the_encoder_only(weights: Path) -> None:
    method, given = built(weights), batch()
    images = method(given)
    assert images["fake"].requires_grad
    assert not any(image.requires_grad for name, image in images.items() if name != "fake")
    assert not any(buffer.requires_grad for buffer in method.buffers())


def test_training_lowers_the_losses_and_leaves_the_encoder(weights: Path) -> None:
    method, given = built(weights), batch()
    [player] = method.players
    optimizer = PlayerOptimizer(player, TrainingConfig(lr=3e-4))
    before = {name: buffer.clone() for name, buffer in method.named_buffers()}
    found = list[float]()
    for _ in range(10):
        gradients = optimizer.differentiate(given, method(given), Arithmetic(torch.device("cpu"), "float32"))
        found.append(float(sum(optimizer.step(gradients).losses.values())))
    assert found[-1] < 0.8 * found[0]
    assert before and all(torch.equal(buffer, before[name]) for name, buffer in method.named_buffers())


def test_moments_and_losses_are_float32_in_bf16(weights: Path) -> None:
    method, given = built(weights), batch()
    plain = method.generator_loss(given, method(given))
    with Arithmetic(torch.device("cpu"), "bf16"):
        losses = method.generator_loss(given, method(given))
        code = method.generator.encode_style(given.b)
    assert {tensor.dtype for tensor in (*losses.values(), code)} == {torch.float32}
    for name, loss in losses.items():
        torch.testing.assert_close(loss, plain[name], rtol=0.1, atol=1e-3, msg=name)


def test_contents_and_styles_may_differ_in_size(weights: Path) -> None:
    method, given = built(weights), Batch(batch(size=33).a, batch(size=40).b)
    images = method(given)
    assert images["fake"].shape == given.a.shape
    assert all(loss.isfinite() for loss in method.generator_loss(given, images).values())


def test_samples_show_styles_half_styles_and_no_style(weights: Path) -> None:
    method, given = built(weights).eval(), Batch(batch(3).a, batch(2).b)
    network, columns = method.generator, method.samples(Direction.AtoB, given, method.generators())
    assert list(columns) == ["real", "fake", "style", "half", "reconstruction"]
    assert torch.equal(columns["style"], given.b[[0, 1, 0]])
    torch.testing.assert_close(columns["fake"][2], network(given.a[2:], network.encode_style(given.b[:1]))[0])
    assert torch.equal(columns["reconstruction"], network(given.a))


def test_samples_without_pictures_of_the_target_have_no_style(weights: Path) -> None:
    method = built(weights).eval()
    given = Batch(batch().a, torch.empty(0, 3, 1, 1))
    assert list(method.samples(Direction.AtoB, given, method.generators())) == ["real", "fake"]


def test_pictures_must_have_three_channels() -> None:
    with pytest.raises(ValueError, match=r"A and B need 3 channels, not 1 and 3"):
        AdainConfig(generator=SQUEEZENET).build(Channels(1, 3))


def test_other_weights_are_refused_in_one_line(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not the weights of vgg19: 'features\.2\.weight'") as caught:
        AdainConfig(weights=weights).build().load_backbone()
    assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"none\.pth: no such file of weights"):
        built(tmp_path / "none.pth")


def test_resume_continues_bit_for_bit(data: Path, tmp_path: Path, weights: Path) -> None:
    training = {"ema": "4 images", "accumulate": 2}
    saved = resumed_bit_for_bit(tiny_recipe(data, method=method_of(weights), training=training, log=QUIET), tmp_path)
    encoder = AdainConfig(generator=SQUEEZENET, weights=weights).build()
    encoder.load_backbone()
    for name, buffer in encoder.generator.named_buffers():  # as it was loaded, in what is averaged too
        assert torch.equal(saved.method[f"generator.{name}"], buffer)
        assert torch.equal(saved.ema["AtoB"][name], buffer)


def test_recomputed_activations_change_nothing(data: Path, tmp_path: Path, weights: Path) -> None:
    pixels = Batch(*(torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8) for _ in "ab"))
    losses = []
    for on in (False, True):
        recipe = tiny_recipe(data, method=method_of(weights), speed={"checkpoint_activations": on})
        learner = Trainer(recipe, tmp_path / str(on)).learner
        learner.step(pixels)
        losses.append(learner.step(pixels).losses)
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])


def test_only_a_new_run_needs_the_file_of_the_encoder(data: Path, tmp_path: Path, weights: Path) -> None:
    moved = tmp_path / "moved.pth"
    moved.write_bytes(weights.read_bytes())
    recipe = tiny_recipe(data, method=method_of(moved), log=QUIET)
    train(recipe, tmp_path / "run")
    moved.unlink()
    resumed = Trainer(recipe, tmp_path / "run", resume=True).learner
    assert resumed.images == 8
    [network] = open_model(tmp_path / "run").generators.values()
    state = resumed.method.generators()[Direction.AtoB].state_dict()
    assert all(torch.equal(weight, network.state_dict()[name]) for name, weight in state.items())
    with pytest.raises(SystemExit, match="0"):
        style = str(next((data / "testB").iterdir()))
        main(["translate", str(tmp_path / "run"), str(data / "testA"), str(tmp_path / "out"), "--style", style])
    assert len(outputs(tmp_path / "out")) == 2
    with pytest.raises(FileNotFoundError, match=r"moved\.pth: no such file of weights"):
        Trainer(recipe, tmp_path / "other")


def test_a_finished_run_says_that_it_translates_with_a_style(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recipe(recipe, tmp_path / "recipe.yaml")
    with pytest.raises(SystemExit, match="0"):
        main(["train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run")])
    assert capsys.readouterr().out.endswith("PICTURES OUT --style PICTURE\n")


def test_a_run_shows_contents_against_styles(data: Path, tmp_path: Path, weights: Path) -> None:
    train(tiny_recipe(data, method=method_of(weights)), tmp_path / "run")
    tags = events(tmp_path / "run").Tags()
    assert {"samples/AtoB", "samples/AtoB_styles", "samples/AtoB_between", "stages/AtoB/4"} <= set(tags["images"])
    losses = {tag for tag in tags["scalars"] if tag.startswith("loss/")}
    assert losses == {"loss/content", "loss/style", "loss/tv"}


def test_a_validation_translates_in_styles_of_held_out_pictures(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("trainA", "trainB")):
        write_pictures(tmp_path / "data" / name, 12, seed=seed)
    trainer = Trainer(scored(tmp_path / "data", weights, method=method_of(weights)), tmp_path / "run")
    given: list[Tensor] = []
    forward = AdainGenerator.forward

    def watched(self: AdainGenerator, x: Tensor, style: Tensor | None = None) -> Tensor:
        assert style is not None
        given.extend(style)
        return forward(self, x, style)

    with trainer.log:
        trainer._prepare()
        monkeypatch.setattr(AdainGenerator, "forward", watched)
        kids = [trainer.validation.score(trainer.learner, trainer.log) for _ in range(2)]
    assert kids[0] == kids[1] and len(given) == 16  # 8 held-out pictures, twice
    network = trainer.learner.method.generators()[Direction.AtoB]
    assert isinstance(network, AdainGenerator)
    held_out = torch.cat([image[None] for images in trainer.validation.pictures["b"] for image in images])
    with torch.no_grad():
        expected = network.encode_style(held_out / 127.5 - 1)
    torch.testing.assert_close(torch.stack(given[:8]), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.stack(given[8:]), expected, rtol=1e-4, atol=1e-4)
    assert not [tag for tag in events(tmp_path / "run").Tags()["scalars"] if "cycle" in tag]


def test_a_learner_loads_the_encoder(recipe: Recipe, weights: Path) -> None:
    found = Learner(recipe, torch.device("cpu"), epoch=5).method.state_dict()
    assert torch.equal(found["generator.stages.0.1.weight"], built(weights).generator.state_dict()["stages.0.1.weight"])
