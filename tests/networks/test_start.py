"""A generator starts from the weights of another one, which may be for pictures with other numbers of channels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cyclegan.networks.base import StyleGenerator
from cyclegan.networks.config import AnyGeneratorConfig, MunitGeneratorConfig, ResnetConfig, UnetConfig
from cyclegan.networks.start import start_from
from cyclegan.training.trainer import Trainer
from cyclegan.types import Direction
from tests.tiny import tiny_recipe, write_pictures

RESNET, UNET = ResnetConfig(width=4, blocks=1), UnetConfig(width=4, depth=5)
MUNIT = MunitGeneratorConfig(width=4, blocks=1, mlp_width=8)


@pytest.mark.parametrize("config", [RESNET, UNET, MUNIT])
def test_equal_channels_get_the_weights(config: AnyGeneratorConfig) -> None:
    trained, network = config.build(), config.build()
    start_from(network, trained)
    assert all(map(torch.equal, network.state_dict().values(), trained.state_dict().values()))


@pytest.mark.parametrize("config", [RESNET, UNET, MUNIT])
@pytest.mark.parametrize("channels", [1, 3, 6])
@torch.no_grad()
def test_grey_is_translated_as_it_was_in_colour(config: AnyGeneratorConfig, channels: int) -> None:
    """A picture whose channels are equal has the same response, whatever their number."""
    torch.manual_seed(0)
    trained, network = config.build().eval(), config.build(channels, channels).eval()
    start_from(network, trained)
    grey = torch.rand(1, 1, 32, 32) * 2 - 1
    before, after = (net(grey.expand(-1, count, -1, -1)) for net, count in ((trained, 3), (network, channels)))
    if channels > 1:
        torch.testing.assert_close(after, before.repeat(1, channels // 3, 1, 1))
    else:  # the mean before tanh
        expected = torch.atanh(before).mean(dim=1, keepdim=True)
        torch.testing.assert_close(torch.atanh(after), expected, rtol=1e-3, atol=1e-4)
    if isinstance(trained, StyleGenerator) and isinstance(network, StyleGenerator):
        styles = (
            net.encode_style(grey.expand(-1, count, -1, -1)) for net, count in ((trained, 3), (network, channels))
        )
        torch.testing.assert_close(*styles)


@torch.no_grad()
def test_what_is_passed_through_starts_anew() -> None:
    config = replace(RESNET, skip=True)
    trained, network = config.build(), config.build(2, 4)
    trained.head.weight.normal_()
    fresh = network.head.weight[:, 4:].clone()
    start_from(network, trained)
    assert torch.equal(network.head.weight[:, 4:], fresh)
    assert torch.equal(network.head.weight[3, :4], trained.head.weight[0, :4])


def test_another_architecture_says_what_to_set() -> None:
    with pytest.raises(ValueError, match=r"another architecture; set method.generator.blocks: 2$"):
        start_from(RESNET.build(), replace(RESNET, blocks=2).build())
    with pytest.raises(ValueError, match=r"set method.generator.kind: unet, "):
        start_from(RESNET.build(), UNET.build())


def test_a_run_starts_from_a_model(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data" / "trainA", 3)
    write_pictures(tmp_path / "data" / "trainB", 3)
    recipe = tiny_recipe(tmp_path / "data", training={"start": "some/model", "ema": "4 images"})
    trained = {direction: RESNET.build() for direction in Direction}
    trainer = Trainer(recipe, tmp_path / "run", start=lambda: trained)
    for network in (*trainer.learner.method.generators().values(), *trainer.learner.generators.values()):
        heads = [each.state_dict()["head.weight"] for each in trained.values()]
        assert any(torch.equal(network.state_dict()["head.weight"], head) for head in heads)
    with pytest.raises(ValueError, match=r"training\.start: some/model: has no generator BtoA; it has AtoB"):
        Trainer(recipe, tmp_path / "other", start=lambda: {Direction.AtoB: trained[Direction.AtoB]})
    with pytest.raises(ValueError, match=r"training\.start: call train with `start`"):
        Trainer(recipe, tmp_path / "other")
