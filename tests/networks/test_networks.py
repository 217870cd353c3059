from dataclasses import replace
from typing import Literal

import pytest
import torch
import torch.nn.functional as F

from cyclegan.networks.blocks import InstanceNorm, mirror_pad, reflect_pad
from cyclegan.networks.config import PatchganConfig, PixelConfig, ResnetConfig

SMALL = ResnetConfig(width=4, blocks=2)


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_generator_is_the_reference_less_its_cancelled_biases() -> None:
    biases_before_norms = 64 + 128 + 256 + 18 * 256 + 128 + 64
    assert parameters(ResnetConfig().build()) == 11_378_179 - biases_before_norms


def test_discriminator_is_the_reference_less_its_cancelled_biases() -> None:
    assert parameters(PatchganConfig().build()) == 2_764_737 - (128 + 256 + 512)


def test_discriminator_gives_30_by_30_scores_of_256_pixels() -> None:
    [scores] = PatchganConfig(width=2).build()(torch.zeros(1, 3, 256, 256))
    assert scores.shape == (1, 1, 30, 30)


@pytest.mark.parametrize("depth, patch", [(1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_a_score_sees_the_patch_that_its_depth_promises(depth: int, patch: int) -> None:
    network = PatchganConfig(width=2, depth=depth).build()
    for module in network.modules():
        if isinstance(module, InstanceNorm):  # it depends on the whole image, so it is excluded
            module.forward = lambda x: x  # type: ignore[method-assign]
    image = torch.rand(1, 3, 600, 600, requires_grad=True)
    [scores] = network(image)
    [gradient] = torch.autograd.grad(scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2], image)
    rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero()
    assert rows.max() - rows.min() + 1 == patch


def test_a_discriminator_without_norm_carries_biases_instead() -> None:
    network = PatchganConfig(width=4, depth=2, norm="none").build()
    assert not any(isinstance(module, InstanceNorm) for module in network.modules())
    assert all(module.bias is not None for module in network.modules() if isinstance(module, torch.nn.Conv2d))


def test_pixel_discriminator_scores_every_pixel() -> None:
    [scores] = PixelConfig(width=4).build()(torch.zeros(2, 3, 7, 9))
    assert scores.shape == (2, 1, 7, 9)


@pytest.mark.parametrize("upsample", ["transpose", "resize"])
@pytest.mark.parametrize("height, width", [(1, 1), (1, 50), (2, 3), (7, 8), (33, 18), (64, 40), (101, 67)])
def test_generator_keeps_any_size(height: int, width: int, upsample: Literal["transpose", "resize"]) -> None:
    y = replace(SMALL, upsample=upsample).build()(torch.rand(1, 3, height, width) * 2 - 1)
    assert y.shape == (1, 3, height, width) and y.isfinite().all()


def test_padding_reflects_as_torch_does_where_torch_can() -> None:
    x = torch.rand(2, 3, 13, 10)
    assert torch.equal(mirror_pad(x, 4, 8), F.pad(x, (0, 2, 0, 3), mode="reflect"))


def test_the_deterministic_padding_is_the_other_one() -> None:
    x = torch.rand(2, 3, 6, 9, requires_grad=True)
    torch.use_deterministic_algorithms(True)
    ours = reflect_pad(x, 3)
    torch.use_deterministic_algorithms(False)
    theirs = reflect_pad(x, 3)
    pull = torch.randn_like(ours)
    assert torch.equal(ours, theirs) and type(ours.grad_fn) is not type(theirs.grad_fn)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, pull)[0] for y in (ours, theirs)))


@pytest.mark.parametrize("colour", [-1.0, 0.0, 1.0])
def test_flat_images_give_finite_outputs_and_gradients(colour: float) -> None:
    generator, discriminator = SMALL.build(), PatchganConfig(width=4, depth=2).build()
    x = torch.full((1, 3, 32, 32), colour, requires_grad=True)
    [scores] = discriminator(generator(x))
    scores.sum().backward()
    gradients = [p.grad for p in [*generator.parameters(), *discriminator.parameters()]]
    assert scores.isfinite().all() and all(g is not None and g.isfinite().all() for g in gradients)


def normalised(x: torch.Tensor) -> torch.Tensor:
    """Instance norm in float64 (Ulyanov et al. 2016, equation 4)."""
    x = x.double()
    centred = x - x.mean(dim=(2, 3), keepdim=True)
    return centred / (centred.square().mean(dim=(2, 3), keepdim=True) + 1e-5).sqrt()


layouts = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
pulls = pytest.mark.parametrize("pulled", [torch.contiguous_format, torch.channels_last])


@layouts
@pytest.mark.parametrize("height, width", [(8, 6), (1, 9), (1, 1)])
def test_instance_norm_is_the_papers(height: int, width: int, layout: torch.memory_format) -> None:
    x = (torch.randn(2, 5, height, width) * 3 + 1).to(memory_format=layout)
    torch.testing.assert_close(InstanceNorm()(x).double(), normalised(x), rtol=1e-5, atol=1e-4)


@layouts
@pulls
@pytest.mark.parametrize("images", [1, 2])
def test_the_gradient_of_instance_norm_is_the_papers_in_any_memory_format(
    images: int, layout: torch.memory_format, pulled: torch.memory_format
) -> None:
    x = (torch.randn(images, 5, 8, 6) * 3 + 1).to(memory_format=layout).requires_grad_()
    pull = torch.randn(images, 5, 8, 6).to(memory_format=pulled)
    [ours], [papers] = (
        torch.autograd.grad(norm(x), x, pull.to(norm(x).dtype)) for norm in (InstanceNorm(), normalised)
    )
    torch.testing.assert_close(ours, papers, rtol=1e-4, atol=1e-5)


@layouts
def test_instance_norm_keeps_the_memory_format(layout: torch.memory_format) -> None:
    assert InstanceNorm()(torch.randn(2, 5, 8, 6).to(memory_format=layout)).is_contiguous(memory_format=layout)


@layouts
def test_instance_norm_keeps_float32_statistics_for_bf16(layout: torch.memory_format) -> None:
    x = (torch.randn(1, 2, 64, 64) + 50).bfloat16().to(memory_format=layout)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = InstanceNorm()(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), normalised(x), rtol=0.01, atol=0.05)


def test_features_are_what_the_stages_give() -> None:
    network, x = SMALL.build(), torch.rand(1, 3, 16, 16)
    first, last = network.features(x, at=(0, len(network.stages) - 1))
    assert first.shape == (1, 4, 16, 16)
    torch.testing.assert_close(network.head(reflect_pad(last, 3)).tanh(), network(x))


def test_features_of_no_stage_are_refused() -> None:
    with pytest.raises(ValueError, match="stages are 0 to 6"):
        SMALL.build().features(torch.rand(1, 3, 16, 16), at=(7,))


def test_dropout_works_in_training_only() -> None:
    network, x = ResnetConfig(width=4, blocks=2, dropout=0.5).build(), torch.rand(1, 3, 16, 16)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_batch_norm_lets_pictures_see_each_other_in_training_only() -> None:
    network, x = replace(SMALL, norm="batch").build(), torch.rand(2, 3, 16, 16)
    assert not network.independent and SMALL.build().independent
    assert not torch.allclose(network(x)[:1], network(x[:1]))
    network.eval()
    torch.testing.assert_close(network(x)[:1], network(x[:1]))
    norms = {name.rpartition(".")[0] for name in network.state_dict() if name.endswith("running_mean")}
    assert len(norms) == 5 + 2 * SMALL.blocks


def test_a_skip_begins_with_the_input() -> None:
    network, x = ResnetConfig(width=4, blocks=1, skip=True).build(), torch.rand(1, 3, 13, 18) * 2 - 1
    torch.testing.assert_close(network(x), 0.9 * x)


def test_too_small_for_the_discriminator_says_so() -> None:
    with pytest.raises(ValueError, match="16x16 is too small, sides need at least 24 pixels"):
        PatchganConfig(width=2).build()(torch.zeros(1, 3, 16, 16))


def test_weights_start_as_the_reference_starts() -> None:
    torch.manual_seed(0)
    network = ResnetConfig(width=16, blocks=1).build()
    weights = torch.cat([p.flatten() for name, p in network.named_parameters() if name.endswith("weight")])
    assert abs(weights.std() - 0.02) < 1e-3 and abs(weights.mean()) < 1e-3
    assert all((p == 0).all() for name, p in network.named_parameters() if name.endswith("bias"))
