"""The networks of MUNIT: contents do not depend on styles, and a style steers what a content becomes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan.networks.adaptive import AdaptiveNorm
from cyclegan.networks.blocks import LayerNorm, ReflectConv2d, reflect_pad
from cyclegan.networks.config import MunitGeneratorConfig, StridedConfig
from cyclegan.networks.munit import AdaptiveBlock

SMALL = MunitGeneratorConfig(width=4, blocks=2, mlp_width=8)


def pictures(height: int = 16, width: int = 16, *, number: int = 1) -> Tensor:
    return torch.rand(number, 3, height, width) * 2 - 1


def test_it_has_the_layers_of_the_paper() -> None:
    """Less the biases before instance norm, which it cancels."""

    def conv(inputs: int, outputs: int, side: int, bias: bool = True) -> int:
        return inputs * outputs * side**2 + bias * outputs

    content = conv(3, 64, 7, False) + conv(64, 128, 4, False) + conv(128, 256, 4, False)
    blocks = 2 * 4 * 2 * conv(256, 256, 3, False)  # those of the content encoder, and of the decoder
    style = conv(3, 64, 7) + conv(64, 128, 4) + conv(128, 256, 4) + 2 * conv(256, 256, 4) + conv(256, 8, 1)
    norms = 2 * (128 + 64)
    decoder = conv(256, 128, 5) + conv(128, 64, 5) + norms + conv(64, 3, 7)
    mlp = conv(8, 256, 1) + conv(256, 256, 1) + conv(256, 4 * 4 * 256, 1)
    with torch.device("meta"):
        network = MunitGeneratorConfig().build()
    assert sum(p.numel() for p in network.parameters()) == content + blocks + style + decoder + mlp


@pytest.mark.parametrize("downsamplings", [1, 2, 3])
@pytest.mark.parametrize("height, width", [(1, 1), (1, 50), (2, 3), (7, 8), (33, 18), (64, 40)])
def test_any_size_comes_back_as_it_was(height: int, width: int, downsamplings: int) -> None:
    network, x = replace(SMALL, downsamplings=downsamplings).build(), pictures(height, width, number=2)
    made = network(x, torch.randn(2, 8))
    assert made.shape == x.shape and made.abs().max() <= 1 and made.dtype == torch.float32
    assert network.encode_style(x).shape == (2, 8)
    torch.testing.assert_close(network.decode(network.content(x), torch.zeros(1, 8), (height, width)), network(x))


def test_the_smallest_sides_are_the_smallest_that_reflect() -> None:
    for downsamplings in range(1, 6):
        network = replace(SMALL, width=1, blocks=1, downsamplings=downsamplings).build()
        side = network.smallest
        assert network.translate(pictures(side, side)).shape == (1, 3, side, side)
        with pytest.raises(RuntimeError, match=r"[Pp]adding"):
            network.translate(pictures(side // 2, side // 2))


def test_domains_may_have_other_channels() -> None:
    network = SMALL.build(1, 4)
    grey, bands = torch.rand(1, 1, 16, 16), torch.rand(1, 4, 20, 16)
    assert network(grey, network.encode_style(bands)).shape == (1, 4, 16, 16)


def test_a_style_changes_the_translation_of_the_same_content() -> None:
    network, x = SMALL.build().double(), pictures(number=2).double()
    one, other = torch.randn(2, 1, 8, dtype=torch.float64)
    content = network.content(x)
    made = [network.decode(content, style, (16, 16)) for style in (one, other)]
    assert not torch.allclose(made[0], made[1], atol=1e-2)
    torch.testing.assert_close(network(x, torch.cat([one, other])), torch.stack([made[0][0], made[1][1]]))


def test_without_a_style_it_has_the_code_of_zeros() -> None:
    network, x = SMALL.build(), pictures()
    assert torch.equal(network(x), network(x, torch.zeros(1, 8)))
    assert torch.equal(network.translate(x), network(x))


def test_drawn_styles_are_the_same_for_the_same_seed() -> None:
    network = SMALL.build().double()
    drawn = [network.random_styles(3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert drawn[0].shape == (3, 8) and drawn[0].dtype == torch.float64
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_each_adaptive_norm_has_numbers_of_its_own() -> None:
    network = SMALL.build()
    norms = [module for module in network.modules() if isinstance(module, AdaptiveNorm)]
    assert [norm.place for norm in norms] == [0, 32, 64, 96]
    assert norms[-1].end == network.mlp[-1].out_features == 128


def test_the_numbers_are_first_shifts_then_scales() -> None:
    norm, x = AdaptiveNorm(2, place=1), torch.randn(1, 2, 5, 6)
    y = norm(x, torch.tensor([[9.0, 0.5, -0.5, 2.0, 0.0, 9.0]]))
    variance, mean = torch.var_mean(y, dim=(2, 3), correction=0)
    torch.testing.assert_close(mean, torch.tensor([[0.5, -0.5]]))
    torch.testing.assert_close(variance.sqrt(), torch.tensor([[2.0, 0.0]]), atol=1e-4, rtol=1e-4)


def test_features_are_what_the_stages_give() -> None:
    network, x = SMALL.build(), pictures()
    places, style = range(len(network.stages)), torch.randn(1, 8)
    layers = network.features(x, places, style)
    assert [layer.shape[1] for layer in layers] == [4, 8, 16, 16, 16, 16, 16, 8, 4]
    torch.testing.assert_close(network.head(reflect_pad(layers[-1], 3)).tanh(), network(x, style))
    torch.testing.assert_close(layers[4], network.content(x))
    assert [layer.shape[1] for layer in network.encode(x)] == list(network.encoded)


@pytest.mark.parametrize("colour", [-1.0, 0.0, 1.0])
def test_flat_pictures_give_finite_outputs_and_gradients(colour: float) -> None:
    generator, discriminator = SMALL.build(), StridedConfig(width=4, depth=2, scales=2).build()
    x = torch.full((1, 3, 32, 32), colour, requires_grad=True)
    scores = discriminator(generator(x, generator.encode_style(x)))
    sum(scale.sum() for scale in scores).backward()
    gradients = [p.grad for p in [*generator.parameters(), *discriminator.parameters()]]
    assert all(g is not None and g.isfinite().all() for g in gradients)


@torch.no_grad()
def test_weights_start_as_in_the_paper() -> None:
    network = MunitGeneratorConfig(width=16, blocks=1).build()
    block = next(module for module in network.modules() if isinstance(module, AdaptiveBlock))
    assert block.first.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)
    assert network.mlp.state_dict()["2.weight"].std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.05)
    norms = [module for module in network.modules() if isinstance(module, LayerNorm)]
    assert all(norm.weight.min() >= 0 and norm.weight.max() > 0.5 and not norm.bias.any() for norm in norms)
    discriminator = StridedConfig(width=16).build().state_dict()
    assert discriminator["scales.0.2.weight"].std().item() == pytest.approx(0.02, rel=0.05)


def test_layer_norm_is_the_authors() -> None:
    norm, x = LayerNorm(3).double(), torch.randn(2, 3, 4, 5, dtype=torch.float64)
    nn.init.normal_(norm.bias)
    flat = x.flatten(1)
    expected = (x - flat.mean(1).view(2, 1, 1, 1)) / (flat.std(1).view(2, 1, 1, 1) + 1e-5)
    expected = expected * norm.weight.view(1, 3, 1, 1) + norm.bias.view(1, 3, 1, 1)
    torch.testing.assert_close(norm(x), expected, rtol=0, atol=1e-12)


def test_layer_norm_keeps_float32_statistics_for_bf16_and_finite_gradients_for_a_constant() -> None:
    norm, x = LayerNorm(2), (torch.randn(1, 2, 32, 32) + 50).bfloat16()
    y = norm(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), norm(x.float()), rtol=0.01, atol=0.02)
    constant = torch.full((1, 2, 4, 4), 0.3, requires_grad=True)
    [gradient] = torch.autograd.grad(norm(constant).sum(), constant)
    assert gradient.isfinite().all() and not norm(constant).any()


@pytest.mark.parametrize("side, stride, padding", [(3, 1, 1), (5, 1, 2), (7, 1, 3), (4, 2, 1)])
def test_a_convolution_that_reflects_is_torchs(side: int, stride: int, padding: int) -> None:
    ours, x = ReflectConv2d(2, 3, side, stride=stride), torch.randn(1, 2, 9, 12)
    theirs = nn.Conv2d(2, 3, side, stride, padding, padding_mode="reflect")
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours(x), theirs(x)) and (ours.stride, ours.padding) == (theirs.stride, theirs.padding)


def test_the_discriminator_scores_three_scales() -> None:
    network, x = StridedConfig(width=2).build(), torch.zeros(2, 3, 256, 256)
    assert [tuple(scores.shape) for scores in network(x)] == [(2, 1, 16, 16), (2, 1, 8, 8), (2, 1, 4, 4)]
    assert all(module.bias is not None for module in network.modules() if isinstance(module, nn.Conv2d))


def test_each_scale_sees_the_means_of_the_one_before() -> None:
    several, picture = StridedConfig(width=4, depth=1, scales=2).build(), pictures(21, 16)
    alone = StridedConfig(width=4, depth=1, scales=1).build()
    alone.scales[0].load_state_dict(several.scales[1].state_dict())
    means = F.avg_pool2d(picture, 3, stride=2, padding=1, count_include_pad=False)
    assert torch.equal(several(picture)[1], alone(means)[0])


@pytest.mark.parametrize("depth, patch", [(1, 4), (2, 10), (3, 22), (4, 46)])
def test_a_score_sees_the_patch_that_its_depth_promises(depth: int, patch: int) -> None:
    image = torch.rand(1, 3, 128, 128, requires_grad=True)
    [scores] = StridedConfig(width=2, depth=depth, scales=1).build()(image)
    [gradient] = torch.autograd.grad(scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2], image)
    rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero()
    assert rows.max() - rows.min() + 1 == patch


@pytest.mark.parametrize("depth, scales, smallest", [(4, 3, 61), (3, 2, 15), (1, 4, 9), (2, 1, 4)])
def test_the_smallest_picture_is_one_that_its_coarsest_scale_can_score(depth: int, scales: int, smallest: int) -> None:
    network = StridedConfig(width=2, depth=depth, scales=scales).build()
    assert network(torch.zeros(1, 3, smallest, smallest))[-1].numel() >= 1
    with pytest.raises(ValueError, match=f"is too small, sides need at least {smallest} pixels"):
        network(torch.zeros(1, 3, smallest, smallest - 1))
