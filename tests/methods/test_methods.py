"""Properties that every method must have."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from cyclegan.methods import MethodConfig
from cyclegan.methods.base import Method
from cyclegan.methods.config import (
    AdainConfig,
    CutConfig,
    CycleganConfig,
    FastcutConfig,
    MunitConfig,
    PerceptualConfig,
    Pix2pixConfig,
)
from cyclegan.networks.config import (
    AdainGeneratorConfig,
    BackboneConfig,
    MunitGeneratorConfig,
    PatchganConfig,
    PixelConfig,
    ResnetConfig,
    StridedConfig,
    UnetConfig,
)
from cyclegan.networks.spectral import SpectralConv2d
from cyclegan.types import Batch, Direction, Losses

NETWORKS: dict[str, Any] = {
    "generator": ResnetConfig(width=4, blocks=1),
    "discriminator": PatchganConfig(width=4, depth=2),
}
SPECTRAL = NETWORKS | {"discriminator": PatchganConfig(width=4, depth=2, norm="spectral")}
SCALES = NETWORKS | {"discriminator": PatchganConfig(width=4, depth=2, scales=2)}
MUNIT: dict[str, Any] = {
    "generator": MunitGeneratorConfig(width=4, blocks=1, style_downsamplings=2, mlp_width=8),
    "discriminator": StridedConfig(width=4, depth=2, scales=2),
}
CONTRAST: dict[str, Any] = {"patches": 9, "head_width": 8}
SQUEEZENET = AdainGeneratorConfig(encoder="squeezenet1_1")
METHODS: dict[str, Any] = {
    "adain": AdainConfig(generator=SQUEEZENET),
    "adain BtoA": AdainConfig(generator=SQUEEZENET, direction=Direction.BtoA),
    "cut": CutConfig(**NETWORKS, **CONTRAST),
    "cut BtoA": CutConfig(**NETWORKS, **CONTRAST, direction=Direction.BtoA),
    "fastcut": FastcutConfig(
        generator=ResnetConfig(width=4, blocks=1, downsample="blur", upsample="blur"),
        discriminator=PatchganConfig(width=4, depth=2, downsample="blur"),
        **CONTRAST,
    ),
    "cyclegan": CycleganConfig(**NETWORKS),
    "cyclegan without identity": CycleganConfig(**NETWORKS, identity=0),
    "cyclegan hinge": CycleganConfig(**NETWORKS, gan="hinge"),
    "cyclegan spectral": CycleganConfig(**SPECTRAL, gan="hinge"),
    "cyclegan at two scales": CycleganConfig(**SCALES),
    "cyclegan pixel": CycleganConfig(**NETWORKS | {"discriminator": PixelConfig(width=4)}, gan="vanilla", pool=0),
    "munit": MunitConfig(**MUNIT),
    "munit with cycles": MunitConfig(**MUNIT | {"discriminator": PatchganConfig(width=4, depth=2)}, cycle=10),
    "perceptual": PerceptualConfig(generator=NETWORKS["generator"], tv=0.1),
    "perceptual U-Net": PerceptualConfig(generator=UnetConfig(width=4, depth=5, dropout=0)),
    "perceptual BtoA": PerceptualConfig(generator=NETWORKS["generator"], direction=Direction.BtoA),
    "pix2pix": Pix2pixConfig(
        generator=UnetConfig(width=4, depth=5, dropout=0), discriminator=PatchganConfig(width=4, depth=2, norm="batch")
    ),
    "pix2pix BtoA": Pix2pixConfig(**NETWORKS, direction=Direction.BtoA),
}


def test_every_method_keeps_the_contract() -> None:
    kinds = {config.kind for config in get_args(get_args(MethodConfig)[0])}
    assert kinds == {config.kind for config in METHODS.values()}


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest, weights: Path) -> Method:
    config = METHODS[request.param]
    if hasattr(config, "backbone"):
        config = replace(config, backbone=BackboneConfig(network="squeezenet1_1", weights=weights))
    if isinstance(config, AdainConfig):
        config = replace(config, weights=weights)
    torch.manual_seed(0)
    method: Method = config.build()
    method.load_backbone()
    return method


def batch(n: int = 2, size: int = 32) -> Batch:
    return Batch(torch.rand(n, 3, size, size) * 2 - 1, torch.rand(n, 3, size, size) * 2 - 1)


def play(method: Method, batch: Batch) -> Losses:
    images = method(batch)
    return {name: loss for player in method.players for name, loss in player.loss(batch, images).items()}


def test_images_have_the_shape_of_the_batch(method: Method) -> None:
    others = ("flipped", "style_", "content_")
    images = {name: image for name, image in method(batch()).items() if not name.startswith(others)}
    for name, image in images.items():
        assert image.shape == (2, 3, 32, 32), name
        assert image.abs().max() <= 1, name


def test_losses_are_finite_scalars_with_names_of_their_own(method: Method) -> None:
    given = batch()
    images = method(given)
    names = [name for player in method.players for name in player.loss(given, images)]
    assert len(names) == len(set(names))
    for name, loss in play(method, batch()).items():
        assert loss.shape == () and loss.isfinite(), name


def test_every_network_belongs_to_one_player(method: Method) -> None:
    owned = [id(p) for player in method.players for network in player.networks.values() for p in network.parameters()]
    assert sorted(owned) == sorted(id(p) for p in method.parameters())


def test_each_player_reaches_all_of_its_parameters(method: Method) -> None:
    if method.double().critics():
        for parameter in method.parameters():  # with scores on both sides of a hinge, or its slopes cancel
            parameter.data.mul_(10)
    for module in method.modules():
        if isinstance(module, SpectralConv2d) and module.bias is not None:  # its scores do not grow with its weights
            module.bias.data.add_(1)
    given = Batch(*(domain.double() for domain in batch()))
    images = method(given)
    for player in method.players:
        parameters = [p for network in player.networks.values() for p in network.parameters()]
        gradients = torch.autograd.grad(torch.stack(list(player.loss(given, images).values())).sum(), parameters)
        assert all(g.isfinite().all() and g.norm() > 1e-6 for g in gradients), player.name


def test_flat_pictures_stay_finite(method: Method) -> None:
    flat = Batch(torch.ones(1, 3, 32, 32), -torch.ones(1, 3, 32, 32))
    assert all(loss.isfinite() for loss in play(method, flat).values())


@pytest.mark.parametrize("name", METHODS)
def test_its_generators_are_those_that_it_tells(name: str) -> None:
    method = METHODS[name].build()
    assert tuple(method.generators()) == METHODS[name].directions
    assert method.critics().keys() <= method.generators().keys()


def test_samples_begin_with_the_real_and_the_fake(method: Method) -> None:
    given, generators = batch(), method.generators()
    for direction in generators:
        columns = method.eval().samples(direction, given, generators)
        assert list(columns)[:2] == ["real", "fake"] and columns["real"] is given.of(direction.source)
        assert all(column.shape == (2, 3, 32, 32) for column in columns.values())


def test_generators_translate(method: Method) -> None:
    for network in method.generators().values():
        assert network(torch.zeros(1, 3, 20, 24)).shape == (1, 3, 20, 24)


def test_state_dict_is_all_there_is(method: Method) -> None:
    given = batch()
    play(method, given)
    twin: Method = type(method)(method.config)
    twin.load_backbone()
    twin.load_state_dict(method.state_dict())
    losses: list[dict[str, Tensor]] = []
    for each in (method, twin):
        torch.manual_seed(3)
        losses.append(play(each, given))
    assert losses[0].keys() == losses[1].keys()
    assert all(torch.equal(losses[0][name], losses[1][name]) for name in losses[0])


def test_one_call_for_real_and_identity_changes_nothing() -> None:
    torch.manual_seed(0)
    cyclegan, given = METHODS["cyclegan"].build().double(), Batch(*(domain.double() for domain in batch()))
    images = cyclegan(given)
    expected = {
        "fake_b": cyclegan.a_to_b(given.a),
        "identity_b": cyclegan.a_to_b(given.b),
        "cycle_a": cyclegan.b_to_a(cyclegan.a_to_b(given.a)),
    }
    for name, image in expected.items():
        torch.testing.assert_close(images[name], image, rtol=0, atol=1e-9)  # sums in another order


def test_domains_may_differ_in_size() -> None:
    cyclegan = METHODS["cyclegan"].build()
    losses = play(cyclegan, Batch(torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 40, 24)))
    assert all(loss.isfinite() for loss in losses.values())


def test_the_cycles_may_weigh_differently() -> None:
    given, losses = batch(), list[Losses]()
    changes: list[dict[str, Any]] = [{}, {"cycle_a": 20.0}, {"cycle": 30.0, "cycle_b": 0.0}]
    for weights in changes:
        torch.manual_seed(0)
        losses.append(play(CycleganConfig(**NETWORKS, **weights).build(), given))
    plain, more, less = losses
    torch.testing.assert_close(more["cycle_a"], 2 * plain["cycle_a"])
    torch.testing.assert_close(less["cycle_a"], 3 * plain["cycle_a"])
    assert more["cycle_b"] == plain["cycle_b"] and less["cycle_b"] == 0
