"""MUNIT computes what the authors' code computes, and keeps contents and styles apart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cyclegan.inference.describe import architecture
from cyclegan.inference.evaluate import evaluate_run
from cyclegan.inference.generator_file import write_generator
from cyclegan.inference.model import open_model
from cyclegan.machine.device import Arithmetic
from cyclegan.methods import munit
from cyclegan.methods.config import MunitConfig
from cyclegan.methods.munit import Munit
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.networks.config import BackboneConfig, MunitGeneratorConfig, StridedConfig
from cyclegan.networks.munit import MunitGenerator
from cyclegan.recipe import TrainingConfig
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.training.trainer import Trainer, train
from cyclegan.types import Batch, Channels, Direction
from tests.methods.test_plain_reference import PARITY, needs_parity
from tests.tiny import tiny_recipe, write_pictures
from tests.training.halves import resumed_bit_for_bit
from tests.training.test_training import events
from tests.training.test_validation import scored

NO_AUTOCAST = Arithmetic(torch.device("cpu"), "float32")
AUTHORS: dict[str, Any] = {
    "generator": MunitGeneratorConfig(width=8, blocks=2, mlp_width=16),
    "discriminator": StridedConfig(width=8, depth=3),
}

Name = Callable[[re.Match[str]], str]
NAMES: dict[str, Name] = {
    r"enc_content\.model\.([0-2])\.conv": lambda m: f"stages.{m[1]}.0",
    r"enc_content\.model\.3\.model\.(\d)\.model\.(\d)\.conv": lambda m: f"stages.{3 + int(m[1])}.body.{4 * int(m[2])}",
    r"dec\.model\.0\.model\.(\d)\.model\.0\.conv": lambda m: f"stages.{5 + int(m[1])}.first",
    r"dec\.model\.0\.model\.(\d)\.model\.1\.conv": lambda m: f"stages.{5 + int(m[1])}.second",
    r"dec\.model\.([24])\.conv": lambda m: f"stages.{6 + int(m[1]) // 2}.1",
    r"dec\.model\.([24])\.norm": lambda m: f"stages.{6 + int(m[1]) // 2}.2",
    r"dec\.model\.5\.conv": lambda m: "head",
    r"enc_style\.model\.([0-4])\.conv": lambda m: f"style.{2 * int(m[1])}",
    r"enc_style\.model\.6": lambda m: "style.10",
    r"mlp\.model\.(\d)\.fc": lambda m: f"mlp.{2 * int(m[1])}",
    r"cnns\.(\d)\.([0-2])\.conv": lambda m: f"scales.{m[1]}.{2 * int(m[2])}",
    r"cnns\.(\d)\.3": lambda m: f"scales.{m[1]}.6",
}
"""The name of a module of the authors, with two blocks, and ours."""


def ours(theirs: str) -> str:
    """Return our name of a weight; an auto-encoder of the authors is spread over our two generators."""
    network, _, rest = theirs.partition(".")
    module, _, kind = rest.rpartition(".")
    [name] = [name(match) for pattern, name in NAMES.items() if (match := re.fullmatch(pattern, module))]
    translates_from = module.startswith("enc_content")
    owner = {
        "gen_a": "a_to_b" if translates_from else "b_to_a",
        "gen_b": "b_to_a" if translates_from else "a_to_b",
        "dis_a": "discriminator_a",
        "dis_b": "discriminator_b",
    }[network]
    return f"{owner}.{name}.{ {'gamma': 'weight', 'beta': 'bias'}.get(kind, kind) }"


def is_cancelled(theirs: str) -> bool:
    """Return whether it is a bias before instance norm or AdaIN, which we do not have."""
    return theirs.endswith(".bias") and re.search(r"enc_content|dec\.model\.0\.", theirs) is not None


def weights(file: str) -> dict[str, Tensor]:
    """Return the authors' weights by our names."""
    state = load_file(PARITY / "munit_3_steps" / file)
    return {ours(name): weight for name, weight in state.items() if not is_cancelled(name)}


def drawn_as_there(batches: dict[str, Tensor], step: int, patch: pytest.MonkeyPatch) -> Batch:
    """The batch of a step; the styles are those of the authors' run."""
    drawn = iter([batches[f"{player}_style_{domain}_{step}"] for player in ("gen", "dis") for domain in "ab"])
    patch.setattr(munit, "draw_styles", lambda like: next(drawn))
    return Batch(batches[f"a_{step}"], batches[f"b_{step}"])


def told_by(step: dict[str, float]) -> dict[str, float]:
    """The authors' losses of a step by our names."""
    theirs = {
        "discriminator": ("dis", 1),
        "gan": ("gen_adv", 1),
        "image": ("gen_recon_x", 10),
        "content": ("gen_recon_c", 1),
        "style": ("gen_recon_s", 1),
    }
    return {f"{ours}_{x}": weight * step[f"{name}_{x}"] for ours, (name, weight) in theirs.items() for x in "ab"}


@needs_parity
def test_three_steps_are_the_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64, because Adam turns rounding into whole steps. Measured: 4e-6; in float32 1.5e-5."""
    folder = PARITY / "munit_3_steps"
    batches = {name: batch.double() for name, batch in load_file(folder / "batches.safetensors").items()}
    before, after = weights("before.safetensors"), weights("after.safetensors")
    method = MunitConfig(**AUTHORS).build().double()
    method.load_state_dict(before)
    settings = TrainingConfig(lr=1e-4, weight_decay=1e-4)
    optimizers = [PlayerOptimizer(player, settings) for player in method.players]
    for step, expected in enumerate(json.loads((folder / "losses.json").read_text(encoding="utf-8"))["losses"]):
        batch = drawn_as_there(batches, step, monkeypatch)
        images, losses = method(batch), dict[str, Tensor]()
        for optimizer in optimizers:
            losses |= optimizer.step(optimizer.differentiate(batch, images, NO_AUTOCAST)).losses
        found = {name: loss.item() for name, loss in losses.items()}
        assert found == pytest.approx(told_by(expected), rel=1e-5), f"step {step}"
    for name, weight in method.state_dict().items():
        assert (weight - after[name]).norm() < 0.05 * (after[name] - before[name]).norm(), name


SMALL: dict[str, Any] = {
    "generator": MunitGeneratorConfig(width=4, blocks=1, mlp_width=8),
    "discriminator": StridedConfig(width=4, depth=2, scales=2),
}


def batch(number: int = 2, size: int = 32) -> Batch:
    return Batch(*(torch.rand(number, 3, size, size) * 2 - 1 for _ in "ab"))


def test_the_adversarial_losses_are_sums() -> None:
    """Over scales, and of real and fake; GAN_LOSSES averages both."""
    method, given = MunitConfig(**SMALL).build(), batch()
    images = method(given)
    real, fake = method.discriminator_a(given.a), method.discriminator_a(images["shown_a"])
    judged = sum((r - 1).square().mean() + f.square().mean() for r, f in zip(real, fake, strict=True))
    torch.testing.assert_close(method.discriminators_loss(given, images)["discriminator_a"], judged)
    fooled = sum((f - 1).square().mean() for f in method.discriminator_b(images["fake_b"]))
    torch.testing.assert_close(method.generators_loss(given, images)["gan_b"], fooled)


def test_each_loss_compares_what_its_name_says() -> None:
    """With an image that is its own reconstruction, a content and a style that come back, nothing is lost."""
    method, given = MunitConfig(**SMALL, cycle=10).build(), batch()
    images = method(given)
    images |= {"image_a": given.a, "cycle_b": given.b, "style_fake_b": images["style_b"]}
    images["content_fake_b"] = images["content_a"]
    losses = method.generators_loss(given, images)
    lost = {name for name, loss in losses.items() if loss == 0}
    assert lost == {"image_a", "content_a", "style_b", "cycle_b"}


def test_a_fake_is_the_content_of_its_source_in_a_drawn_style() -> None:
    method, given = MunitConfig(**SMALL).build(), batch()
    images = method(given)
    torch.testing.assert_close(method.a_to_b(given.a, images["style_b"]), images["fake_b"])
    own = method.b_to_a.encode_style(given.a)
    whole = method.b_to_a.decode(method.a_to_b.content(given.a), own, (32, 32))
    torch.testing.assert_close(whole, images["image_a"])


def test_discriminators_see_styles_of_their_own_and_no_gradients() -> None:
    method, given = MunitConfig(**SMALL).build(), batch()
    images = method(given)
    for x in "ab":
        assert not images[f"shown_{x}"].requires_grad
        assert not torch.allclose(images[f"shown_{x}"], images[f"fake_{x}"], atol=1e-3)


def test_a_content_gets_the_gradient_of_its_comparison() -> None:
    """Nothing is detached: the encoder of A learns from the content of a translation, also as its source."""
    method, given = MunitConfig(**SMALL).build(), batch()
    images = method(given)
    loss = method.generators_loss(given, images)["content_a"]
    given_a = torch.autograd.grad(loss, images["content_a"], retain_graph=True)[0]
    direct = torch.sign(images["content_a"] - images["content_fake_b"]) / loss.new_tensor(images["content_a"].numel())
    assert not torch.allclose(given_a, direct, atol=1e-6)  # it also gets there through the translation


def test_domains_may_differ_in_size_and_channels() -> None:
    method = MunitConfig(**SMALL, cycle=1).build(Channels(1, 4))
    given = Batch(torch.rand(2, 1, 33, 32), torch.rand(2, 4, 40, 35))
    images = method(given)
    assert images["fake_b"].shape == (2, 4, 33, 32) and images["fake_a"].shape == (2, 1, 40, 35)
    losses = method.generators_loss(given, images) | method.discriminators_loss(given, images)
    assert all(loss.isfinite() for loss in losses.values())


def test_samples_are_the_same_in_each_call_and_show_styles() -> None:
    method, given = MunitConfig(**SMALL).build().eval(), batch()
    one, two = (method.samples(Direction.BtoA, given, method.generators()) for _ in range(2))
    assert list(one) == ["real", "fake", "style_1", "style_2", "style_3", "example", "reconstruction"]
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert torch.equal(one["fake"], method.b_to_a(given.b))
    guided = method.b_to_a(given.b, method.b_to_a.encode_style(given.a))
    torch.testing.assert_close(one["example"], guided)


def test_samples_without_pictures_of_the_target_have_no_example() -> None:
    method = MunitConfig(**SMALL).build().eval()
    given = Batch(batch().a, torch.empty(0, 3, 1, 1))
    assert "example" not in method.samples(Direction.AtoB, given, method.generators())


PERCEPTUAL: dict[str, Any] = {"perceptual": 2.0, "perceptual_layer": "features.4"}


def with_backbone(weights: Path) -> Munit:
    backbone = BackboneConfig(network="squeezenet1_1", weights=weights)
    method = MunitConfig(**SMALL, **PERCEPTUAL, backbone=backbone).build()
    method.load_backbone()
    return method


def test_the_perceptual_loss_compares_a_translation_with_its_source(weights: Path) -> None:
    method, given = with_backbone(weights), batch()
    images = method(given) | {"fake_b": given.a}
    losses = method.generators_loss(given, images)
    assert losses["perceptual_b"] == 0 and losses["perceptual_a"] > 0
    assert not any("backbone" in name for name in [*method.state_dict(), *dict(method.named_parameters())])


def test_the_perceptual_loss_ignores_means_and_deviations_of_features(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, features = with_backbone(weights), torch.randn(2, 5, 8, 8)
    seen = iter([[3 * features + 7], [features]])
    monkeypatch.setattr(method.backbone, "forward", lambda images, layers: next(seen))
    assert method._likeness(batch().a, batch().b) < 1e-4


def test_the_perceptual_loss_needs_colours() -> None:
    with pytest.raises(ValueError, match=r"method.perceptual: .* three channels, but A and B have 1 and 3 channels"):
        MunitConfig(**SMALL, perceptual=1).build(Channels(1, 3))


TINY: dict[str, Any] = {
    "kind": "munit",
    "generator": {"kind": "munit", "width": 4, "blocks": 1, "mlp_width": 8},
    "discriminator": {"kind": "strided", "width": 4, "depth": 2, "scales": 2},
}


QUIET: dict[str, Any] = {"samples": 0, "histograms_every": None}


def test_a_resumed_run_is_an_uninterrupted_one_bit_for_bit(data: Path, tmp_path: Path, weights: Path) -> None:
    backbone = {"network": "squeezenet1_1", "weights": str(weights)}
    changes = {"cycle": 1, "perceptual": 1, "perceptual_layer": "features.3", "backbone": backbone}
    training = {"ema": "4 images", "weight_decay": 1e-4, "accumulate": 2}
    recipe = tiny_recipe(data, method=TINY | changes, training=training, log=QUIET)
    checkpoint = resumed_bit_for_bit(recipe, tmp_path)
    assert checkpoint.ema.keys() == {"AtoB", "BtoA"}


def test_recomputed_activations_change_nothing(data: Path, tmp_path: Path) -> None:
    pixels = Batch(*(torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8) for _ in "ab"))
    losses = []
    for on in (False, True):
        recipe = tiny_recipe(data, method=TINY, speed={"checkpoint_activations": on})
        losses.append(Trainer(recipe, tmp_path / str(on)).learner.step(pixels).losses)
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])


def test_a_run_shows_contents_against_styles(data: Path, tmp_path: Path) -> None:
    train(tiny_recipe(data, method=TINY, log={"histograms_every": None}), tmp_path / "run")
    tags = {f"samples/{way}{what}" for way in Direction for what in ("", "_patches", "_styles", "_between")}
    assert set(events(tmp_path / "run").Tags()["images"]) >= tags
    losses = {f"loss/{what}_{x}" for what in ("gan", "image", "content", "style", "discriminator") for x in "ab"}
    assert {tag for tag in events(tmp_path / "run").Tags()["scalars"] if tag.startswith("loss/")} == losses


def test_a_validation_draws_the_same_styles_each_time_and_scores_no_cycle(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("trainA", "trainB")):
        write_pictures(tmp_path / "data" / name, 12, seed=seed)
    trainer = Trainer(scored(tmp_path / "data", weights, method=TINY), tmp_path / "run")
    drawn: list[Tensor] = []
    forward = MunitGenerator.forward

    def watched(self: MunitGenerator, x: Tensor, style: Tensor | None = None) -> Tensor:
        assert style is not None
        drawn.append(style)
        return forward(self, x, style)

    with trainer.log:
        trainer._prepare()
        monkeypatch.setattr(MunitGenerator, "forward", watched)
        kids = [trainer.validation.score(trainer.learner, trainer.log) for _ in range(2)]
    once = torch.cat(drawn[: len(drawn) // 2])
    assert kids[0] == kids[1] and torch.equal(once, torch.cat(drawn[len(drawn) // 2 :]))
    assert len({tuple(style) for style in once.tolist()}) == 8  # of 8 held-out pictures; both directions draw the same
    assert not [tag for tag in events(tmp_path / "run").Tags()["scalars"] if "cycle" in tag]


def test_a_run_is_evaluated_without_its_cycle(tmp_path: Path, weights: Path) -> None:
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_pictures(tmp_path / "data" / name, 5, seed=seed)
    train(tiny_recipe(tmp_path / "data", method=TINY, log=QUIET), tmp_path / "run")
    features = FeaturesConfig(network="squeezenet1_1", weights=weights).build()
    scores = evaluate_run(tmp_path / "run", features, device="cpu").scores
    assert [score.what for score in scores[:2]] == ["AtoB", "BtoA"]
    assert "structure" in scores[0].figures and not any("cycle" in name for name in scores[0].figures)


def test_an_exported_generator_is_read_back_with_its_styles(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(data, method=TINY)
    network = recipe.build().generators()[Direction.BtoA]
    write_generator(network, Direction.BtoA, tmp_path / "net.safetensors")
    read = open_model(tmp_path / "net.safetensors").generators[Direction.BtoA]
    assert isinstance(network, MunitGenerator) and isinstance(read, MunitGenerator) and read.config == network.config
    x, style = batch().a, torch.randn(2, 8)
    assert torch.equal(read.eval()(x, style), network.eval()(x, style))
    assert architecture(read.config) == "MUNIT, width 4, 1 + 1 blocks, styles of 8"
