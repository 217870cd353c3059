"""Discriminators at several scales."""

import pytest
import torch
import torch.nn.functional as F

from cyclegan.methods.base import in_one_call
from cyclegan.networks.config import PatchganConfig


def test_each_scale_scores_the_picture_at_half_the_size_of_the_one_before() -> None:
    scores = PatchganConfig(width=2, scales=3).build()(torch.zeros(2, 3, 256, 256))
    assert [tuple(scale.shape) for scale in scores] == [(2, 1, 30, 30), (2, 1, 14, 14), (2, 1, 6, 6)]


def test_each_scale_has_the_weights_of_a_discriminator_of_its_own() -> None:
    several, picture = PatchganConfig(width=4, depth=1, scales=2).build(), torch.rand(1, 3, 21, 16)
    means = F.avg_pool2d(picture, 3, stride=2, padding=1, count_include_pad=False)
    for number, seen in enumerate((picture, means)):
        alone = PatchganConfig(width=4, depth=1).build()
        alone.scales[0].load_state_dict(several.scales[number].state_dict())
        assert torch.equal(several(picture)[number], alone(seen)[0])
    assert not torch.equal(several.scales[0][0].weight, several.scales[1][0].weight)  # type: ignore[index]


def test_a_flat_picture_is_as_flat_at_every_scale() -> None:
    """Otherwise the borders would darken with each scale."""
    network = PatchganConfig(width=2, depth=1, norm="none", scales=3).build()
    seen: list[torch.Tensor] = []
    for layers in network.scales:
        layers.register_forward_hook(lambda layers, inputs, output: seen.append(inputs[0]))
    network(torch.full((1, 3, 40, 33), -0.5))
    assert [tuple(x.shape[2:]) for x in seen] == [(40, 33), (20, 17), (10, 9)]
    assert all((x + 0.5).abs().max() < 1e-6 for x in seen)


def test_source_and_target_are_halved_alike() -> None:
    network = PatchganConfig(width=2, depth=1, scales=2).build(condition=3)
    seen: list[torch.Tensor] = []
    network.scales[1].register_forward_hook(lambda layers, inputs, output: seen.append(inputs[0]))
    picture = torch.rand(1, 3, 32, 32)
    network.score(picture, picture)
    assert seen[0].shape == (1, 6, 16, 16) and torch.equal(seen[0][:, :3], seen[0][:, 3:])


@pytest.mark.parametrize("depth, scales, smallest", [(3, 1, 24), (3, 2, 47), (2, 3, 45), (1, 4, 41)])
def test_the_smallest_picture_is_one_that_its_coarsest_scale_can_score(depth: int, scales: int, smallest: int) -> None:
    network = PatchganConfig(width=2, depth=depth, scales=scales).build()
    assert network(torch.zeros(1, 3, smallest, smallest))[-1].numel() >= 1
    lower = "depth or scales" if scales > 1 else "depth"
    with pytest.raises(ValueError, match=f"is too small, sides need at least {smallest} pixels; .* lower its {lower}$"):
        network(torch.zeros(1, 3, smallest, smallest - 1))


def test_one_call_for_real_and_fake_scores_each_at_every_scale() -> None:
    network = PatchganConfig(width=2, depth=1, scales=2).build().double()
    real, fake = torch.rand(2, 3, 32, 32).double(), torch.rand(1, 3, 32, 32).double()
    for scores, expected in zip(in_one_call(network, real, fake), (network(real), network(fake)), strict=True):
        assert len(scores) == 2
        for one, other in zip(scores, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


def test_people_see_one_map_in_which_every_scale_counts_alike() -> None:
    network = PatchganConfig(width=2, depth=1, scales=2).build()
    for layers, opinion in zip(network.scales, (1.0, -3.0), strict=True):
        for parameter in layers.parameters():
            parameter.data.zero_()
        layers[-1].bias.data.fill_(opinion)  # type: ignore[index]
    shown = network.patches(torch.rand(1, 3, 32, 32))
    torch.testing.assert_close(shown, torch.full((1, 1, 14, 14), -1.0))


def test_people_see_the_scores_of_a_single_scale_as_they_are() -> None:
    network, picture = PatchganConfig(width=2, depth=1).build(), torch.rand(1, 3, 32, 32)
    assert torch.equal(network.patches(picture), network.score(picture)[0])
