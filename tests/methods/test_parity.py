"""The package computes what the reference computes: equal weights and batches give equal losses and updates."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from cyclegan.inference.model import open_model
from cyclegan.machine.device import Arithmetic
from cyclegan.methods.config import CycleganConfig
from cyclegan.methods.cyclegan import Cyclegan
from cyclegan.networks.config import PatchganConfig, ResnetConfig
from cyclegan.recipe import LrScheduleConfig, TrainingConfig
from cyclegan.training.lr_schedule import lr_at
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.types import Batch, Direction, Images, Losses
from tests.methods import plain_reference as plain

NAMES = ("a_to_b", "b_to_a", "discriminator_a", "discriminator_b")
NO_AUTOCAST = Arithmetic(torch.device("cpu"), "float32")


def small_cyclegan() -> Cyclegan:
    torch.manual_seed(0)
    config = CycleganConfig(generator=ResnetConfig(width=6, blocks=2), discriminator=PatchganConfig(width=6))
    method = config.build().double()
    for parameter in method.parameters():  # larger than initial weights, so that every loss has a clear gradient
        parameter.data.mul_(4)
    return method


def largest_difference(method: Cyclegan, state: plain.State) -> float:
    pairs: list[float] = [
        (ours - theirs).abs().max().item()
        for name in NAMES
        for ours, theirs in zip(getattr(method, name).parameters(), getattr(state, name), strict=True)
    ]
    return max(pairs)


@pytest.mark.parametrize("batch", [1, 3])
def test_five_steps_are_the_references(batch: int) -> None:
    method = small_cyclegan()
    state = plain.State(**{name: list(getattr(method, name).parameters()) for name in NAMES})
    optimizers = [PlayerOptimizer(player, TrainingConfig()) for player in method.players]
    for _ in range(5):
        a, b = (torch.rand(batch, 3, 32, 32, dtype=torch.float64) * 2 - 1 for _ in "ab")
        images: Images = method(Batch(a, b))
        losses: Losses = {}
        for optimizer in optimizers:
            losses |= optimizer.step(optimizer.differentiate(Batch(a, b), images, NO_AUTOCAST)).losses
        expected = plain.step(state, a, b, lr=2e-4)
        assert losses.keys() == expected.keys()
        for name, loss in losses.items():
            torch.testing.assert_close(loss, expected[name], rtol=1e-9, atol=1e-12, msg=name)
    assert largest_difference(method, state) < 1e-9


def test_the_rate_falls_as_the_paper_counts() -> None:
    config, epoch = TrainingConfig(), 7
    rates = [lr_at((number - 1) * epoch, config, epoch) / 2e-4 for number in (1, 100, 101, 200)]
    assert rates == pytest.approx([1, 1, 100 / 101, 1 / 101])


def test_the_rate_falls_image_by_image_when_counted_in_images() -> None:
    config = TrainingConfig(lr_schedule=LrScheduleConfig(constant="10 images", decay="3 images"))
    assert [lr_at(n, config, 7) / 2e-4 for n in (9, 10, 11, 12)] == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4])


def published(network: torch.nn.Module, blocks: int, *, legacy: bool) -> dict[str, Tensor]:
    """The state dict as the authors' code names it, with biases before the grad_norms, which cancel."""
    places = ["1", "4", "7"]
    places += [f"{10 + block}.conv_block.{conv}" for block in range(blocks) for conv in (1, 5)]
    places += [str(10 + blocks), str(13 + blocks), str(17 + blocks)]
    *weights, bias = network.parameters()
    state: dict[str, Tensor] = {}
    for place, weight in zip(places, weights, strict=True):
        outputs = weight.shape[1] if place in places[-3:-1] else weight.shape[0]  # transposed convolutions
        if place == places[-1]:
            state |= {f"model.{place}.weight": weight.detach(), f"model.{place}.bias": bias.detach()}
            continue
        state |= {f"model.{place}.weight": weight.detach(), f"model.{place}.bias": torch.randn(outputs)}
        if legacy:
            statistics = {"running_mean": torch.randn(outputs), "num_batches_tracked": torch.tensor(3)}
            state |= {f"model.{place}0.{name}": value for name, value in statistics.items()}
    return {f"module.{name}": value for name, value in state.items()} if legacy else state


@pytest.mark.parametrize("blocks, legacy", [(9, False), (6, True), (6, False)])
def test_a_published_generator_gives_the_references_output(tmp_path: Path, blocks: int, legacy: bool) -> None:
    network = ResnetConfig(width=4, blocks=blocks).build()
    torch.save(published(network, blocks, legacy=legacy), tmp_path / "latest_net_G_A.pth")
    x = torch.rand(1, 3, 32, 48, dtype=torch.float64) * 2 - 1
    imported = open_model(tmp_path / "latest_net_G_A.pth").generators[Direction.AtoB].double()
    expected = plain.generator(list(network.double().parameters()), x)
    torch.testing.assert_close(imported(x), expected, rtol=0, atol=1e-9)
