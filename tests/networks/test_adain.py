"""The network of AdaIN: features get the moments of a style exactly; its encoder is torchvision's, and stays so."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model

from cyclegan.losses.style import moments
from cyclegan.networks.adain import AdainGenerator, Fire, noise
from cyclegan.networks.backbones import MEAN, STD
from cyclegan.networks.config import AdainGeneratorConfig

SQUEEZENET = AdainGeneratorConfig(encoder="squeezenet1_1")
VGG = AdainGeneratorConfig(encoder="vgg19")


def pictures(height: int = 32, width: int = 32, *, number: int = 1) -> Tensor:
    return torch.rand(number, 3, height, width) * 2 - 1


def classifier(name: str) -> nn.Sequential:
    """The layers of a classifier of torchvision up to the encoder's last, with weights that keep values in range."""
    with torch.device("meta"):
        features = get_model(name).get_submodule("features")
    layers = nn.Sequential(*list(features.children())[: 8 if name == "squeezenet1_1" else 21]).to_empty(device="cpu")
    for module in layers.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.kaiming_normal_(module.weight)
            nn.init.uniform_(module.bias, -0.1, 0.1)
        elif isinstance(module, nn.ReLU):
            module.inplace = False
    return layers


def weights_of(layers: nn.Module) -> Mapping[str, Tensor]:
    return {f"features.{name}": weight for name, weight in layers.state_dict().items()}


def loaded(config: AdainGeneratorConfig) -> tuple[AdainGenerator, nn.Sequential]:
    """A network, and the layers of the classifier whose weights it got."""
    network, layers = config.build(), classifier(config.encoder)
    network.load_encoder(weights_of(layers))
    return network, layers


@pytest.fixture(scope="module")
def network() -> AdainGenerator:
    torch.manual_seed(0)
    return loaded(SQUEEZENET)[0]


def test_features_with_their_own_moments_stay_the_same(network: AdainGenerator) -> None:
    features = network.layers(pictures(40, 48, number=2))[-1].double()
    torch.testing.assert_close(network.adapt(features, network.code_of(features)), features, rtol=0, atol=1e-12)


def test_features_get_the_mean_and_the_deviation_of_the_style(network: AdainGenerator) -> None:
    content, style = (torch.rand(2, 256, size, size, dtype=torch.float64) for size in (16, 12))
    style *= 1 + 2 * torch.rand(2, 256, 1, 1, dtype=torch.float64)
    adapted = network.adapt(content, network.code_of(style))
    for found, expected in zip(_moments(adapted), _moments(style), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(_moments(content)[1], _moments(style)[1], atol=0.1)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
    return mean, variance.sqrt()


def test_a_code_is_the_moments_of_the_last_layer_and_a_strength_of_one(network: AdainGenerator) -> None:
    x = pictures(number=2)
    code = network.encode_style(x)
    layer = network.layers(x)[-1]
    mean, deviation = moments(layer)
    assert code.shape == (2, network.style_size) == (2, 513) and bool((code[:, -1] == 1).all())
    torch.testing.assert_close(code[:, :256], mean.flatten(1))
    unbiased = layer[0, 0].numel() / (layer[0, 0].numel() - 1)
    torch.testing.assert_close(code[:, 256:-1] * unbiased**0.5, deviation.flatten(1), rtol=1e-4, atol=1e-3)


def test_without_a_style_it_reconstructs_the_content(network: AdainGenerator) -> None:
    x = pictures(number=2)
    reconstruction = network.decode(network.layers(x)[-1])
    assert torch.equal(network(x), reconstruction)
    assert torch.equal(network(x, torch.zeros(1, 513)), reconstruction)
    code = network.encode_style(pictures())
    assert torch.equal(network(x, network.weaken(code, 0)), reconstruction)
    assert not torch.allclose(network(x, code), reconstruction, atol=1e-3)


def test_half_the_strength_is_half_the_way_of_the_features(network: AdainGenerator) -> None:
    content, code = network.layers(pictures())[-1], network.encode_style(pictures())
    half = network.adapt(content, network.weaken(code, 0.5))
    torch.testing.assert_close(half, (content + network.adapt(content, code)) / 2, rtol=1e-4, atol=1e-4)
    assert torch.equal(network.weaken(code, 1), code)


def test_the_mean_of_codes_gives_the_mean_of_features(network: AdainGenerator) -> None:
    """(Huang and Belongie 2017, eq. 15.)"""
    content, codes = network.layers(pictures())[-1], network.encode_style(pictures(number=3))
    mixed = network.adapt(content, codes.mean(dim=0, keepdim=True))
    each = network.adapt(content.expand(3, -1, -1, -1), codes)
    torch.testing.assert_close(mixed, each.mean(dim=0, keepdim=True), rtol=1e-4, atol=1e-4)


def test_each_picture_of_a_batch_may_have_its_own_style(network: AdainGenerator) -> None:
    x, codes = pictures(number=2), network.encode_style(pictures(number=2))
    one, two = (network(x[row : row + 1], codes[row : row + 1]) for row in (0, 1))
    torch.testing.assert_close(network(x, codes), torch.cat([one, two]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [SQUEEZENET, VGG], ids=["squeezenet", "vgg"])
def test_layers_are_those_of_the_classifier_up_to_a_factor(config: AdainGeneratorConfig) -> None:
    """VGG pads by reflection, as the authors', and SqueezeNet so that sides halve."""
    network, layers = loaded(config)
    for module in layers.modules():
        if isinstance(module, nn.Conv2d) and config is VGG:
            module.padding_mode = "reflect"
            module._reversed_padding_repeated_twice = [1, 1, 1, 1]
        elif isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.padding = (1, 1)
        elif isinstance(module, nn.MaxPool2d) and config is SQUEEZENET:
            module.padding, module.ceil_mode = 1, False
    x = pictures(32, 48, number=2)
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
    y, expected = ((x + 1) / 2 - mean) / std, list[Tensor]()
    for place, layer in enumerate(layers):
        y = layer(y)
        if place in ((1, 6, 11, 20) if config is VGG else (1, 4, 7)):
            expected.append(y)
    for found, theirs, channels in zip(network.layers(x), expected, network.encoded[1:], strict=True):
        factor = (found * theirs).sum() / theirs.square().sum()
        assert found.shape[1] == channels and factor > 0.01
        torch.testing.assert_close(found, factor * theirs, rtol=1e-3, atol=1e-3)


def test_loaded_layers_have_a_mean_square_of_one(network: AdainGenerator) -> None:
    squares = torch.stack([layer.square().mean() for layer in network.layers(noise(8, 64))])
    torch.testing.assert_close(squares, torch.ones(3))
    again = SQUEEZENET.build()
    state = weights_of(classifier("squeezenet1_1"))
    for _ in range(2):
        again.load_encoder(state)  # does not scale twice
        assert again.layers(noise(8, 64))[-1].square().mean() == pytest.approx(1, rel=1e-4)


def test_noise_is_the_same_each_time_and_of_all_sizes() -> None:
    x = noise(2, 64)
    assert torch.equal(x, noise(2, 64)) and x.abs().max() < 1
    smooth = nn.functional.avg_pool2d(x, 8).var()
    assert 0.2 * x.var() < smooth < 0.9 * x.var()


def test_only_the_decoder_has_parameters(network: AdainGenerator) -> None:
    decoder = {name for name, _ in network.named_parameters()}
    assert all(name.startswith(("stages.4", "stages.5", "stages.6", "stages.7", "head")) for name in decoder)
    names = network.state_dict().keys() - decoder
    assert {"stages.0.1.weight", "stages.1.1.squeeze.bias", "stages.2.2.expand3x3.weight"} <= names


def test_it_has_the_layers_of_the_paper() -> None:
    """The encoder is VGG-19 up to relu4_1, and the decoder its mirror; the last convolution gives three channels."""

    def conv(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + outputs

    blocks = conv(64, 64) + conv(64, 128) + conv(128, 128) + conv(128, 256) + 3 * conv(256, 256) + conv(256, 512)
    mirrored = conv(512, 256) + 3 * conv(256, 256) + conv(256, 128) + conv(128, 128) + conv(128, 64) + conv(64, 64)
    with torch.device("meta"):
        network = VGG.build()
    assert sum(p.numel() for p in network.parameters()) == mirrored + conv(64, 3)
    normalised = 6  # the scales and shifts of the colours
    assert sum(b.numel() for b in network.buffers()) == conv(3, 64) + blocks + normalised
    assert network.style_size == 2 * 512 + 1


@pytest.mark.parametrize("height, width", [(1, 1), (1, 50), (15, 16), (17, 33)])
def test_any_size_comes_back_as_it_was(network: AdainGenerator, height: int, width: int) -> None:
    x = pictures(height, width, number=2)
    made = network(x, network.encode_style(x))
    assert made.shape == x.shape and made.abs().max() <= 1 and made.dtype == torch.float32


def test_the_smallest_sides_are_the_smallest_that_reflect() -> None:
    network = VGG.build()
    assert network.translate(pictures(16, 16)).shape == (1, 3, 16, 16)
    with pytest.raises(RuntimeError, match=r"[Pp]adding"):
        network.translate(pictures(8, 8))


def test_features_are_what_the_stages_give(network: AdainGenerator) -> None:
    x, style = pictures(), network.encode_style(pictures())
    stages = network.features(x, range(len(network.stages)), style)
    assert [stage.shape[1] for stage in stages] == [64, 128, 256, 256, 128, 64, 32, 32]
    torch.testing.assert_close(stages[3], network.adapt(network.layers(x)[-1], style))
    assert [layer.shape[1] for layer in network.encode(x)] == list(network.encoded) == [3, 64, 128, 256]


@pytest.mark.parametrize("colour", [-1.0, 0.0, 1.0])
def test_flat_pictures_give_finite_outputs_and_gradients(network: AdainGenerator, colour: float) -> None:
    x = torch.full((1, 3, 32, 32), colour, requires_grad=True)
    gradients = torch.autograd.grad(network(x, network.encode_style(x)).sum(), [x, *network.parameters()])
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_weights_of_another_network_are_refused() -> None:
    state = {**weights_of(classifier("squeezenet1_1"))}
    with pytest.raises(KeyError, match=r"features\.2\.weight"):
        VGG.build().load_encoder(state)
    with pytest.raises(RuntimeError, match="size mismatch"):
        SQUEEZENET.build().load_encoder(state | {"features.0.weight": torch.zeros(64, 3, 5, 5)})


def test_it_translates_colours_only() -> None:
    with pytest.raises(ValueError, match=r"A and B need 3 channels, not 1 and 3"):
        SQUEEZENET.build(1, 3)


def test_a_fire_block_keeps_the_size() -> None:
    assert Fire(8, 2, 12)(torch.rand(1, 8, 5, 6)).shape == (1, 12, 5, 6)
