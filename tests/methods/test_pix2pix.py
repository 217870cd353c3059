"""pix2pix computes what the authors' code computes."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cyclegan.inference.architecture import generator_from
from cyclegan.machine.device import Arithmetic
from cyclegan.methods.config import Pix2pixConfig
from cyclegan.methods.pix2pix import Pix2pix
from cyclegan.networks.config import PatchganConfig, UnetConfig
from cyclegan.recipe import TrainingConfig
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.types import Batch, Direction
from tests.methods.test_plain_reference import PARITY, needs_parity

UNET, PATCHGAN = UnetConfig(width=4, depth=7, dropout=0), PatchganConfig(width=8, norm="batch")
NO_AUTOCAST = Arithmetic(torch.device("cpu"), "float32")


def number(name: str) -> int:
    """Return the index of a module in a sequence, with which the names of its weights begin."""
    return int(name.partition(".")[0])


def of_the_authors(state: dict[str, Tensor]) -> Pix2pix:
    """Load the authors' weights. Their U-Net is nested; their discriminator is a sequence, as ours is."""
    method = Pix2pixConfig(generator=UNET, discriminator=PATCHGAN).build()
    theirs = {name: weight for name, weight in state.items() if not name.endswith("num_batches_tracked")}
    ours = [name.removeprefix("scales.0.") for name in method.discriminator.state_dict()]
    read = generator_from({name[2:]: weight for name, weight in theirs.items() if name.startswith("G.")})
    method.generator.load_state_dict(read.state_dict())
    known = {name[8:]: weight for name, weight in theirs.items() if name.startswith("D.model.")}
    places = zip(*(sorted({number(name) for name in state}) for state in (known, ours)), strict=True)
    here = dict(places)
    method.discriminator.load_state_dict(
        {f"scales.0.{here[number(name)]}.{name.partition('.')[2]}": weight for name, weight in known.items()}
    )
    return method


@needs_parity
def test_three_steps_are_the_authors() -> None:
    """Measured: 1.6e-7 in every loss."""
    folder = PARITY / "pix2pix_3_steps"
    batches = load_file(folder / "batches.safetensors")
    method = of_the_authors(load_file(folder / "before.safetensors"))
    optimizers = [PlayerOptimizer(player, TrainingConfig()) for player in method.players]
    for step, told in enumerate(json.loads((folder / "losses.json").read_text(encoding="utf-8"))["losses"]):
        batch = Batch(batches[f"a_{step}"], batches[f"b_{step}"])
        images, losses = method(batch), dict[str, Tensor]()
        for optimizer in optimizers:
            losses |= optimizer.step(optimizer.differentiate(batch, images, NO_AUTOCAST)).losses
        theirs = {"gan": told["G_GAN"], "l1": told["G_L1"], "discriminator": (told["D_real"] + told["D_fake"]) / 2}
        assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(theirs, rel=1e-5)
    after = of_the_authors(load_file(folder / "after.safetensors")).state_dict()
    for name, weight in method.state_dict().items():
        torch.testing.assert_close(weight, after[name], rtol=0, atol=1e-3, msg=name)


@pytest.mark.parametrize("direction", Direction)
def test_it_learns_the_way_that_it_is_told(direction: Direction) -> None:
    given = Batch(torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32))
    small = UnetConfig(width=4, depth=5, norm="instance", dropout=0)
    method = Pix2pixConfig(generator=small, discriminator=PATCHGAN, direction=direction).build()
    source, truth = given.of(direction.source), given.of(direction.target)
    torch.testing.assert_close(method(given)["fake"], method.generator(source))
    assert method.samples(direction, given, method.generators())["truth"] is truth
    expected = 100 * (method.generator(source) - truth).abs().mean()
    torch.testing.assert_close(method.generator_loss(given, method(given))["l1"], expected)


def test_the_discriminator_sees_what_was_translated() -> None:
    method = Pix2pixConfig(generator=UNET, discriminator=PatchganConfig(width=4, norm="none")).build()
    truth, one, other = torch.rand(3, 1, 3, 64, 64).unbind()
    judge = method.critics()[Direction.AtoB]
    assert judge.conditional and not torch.equal(judge.patches(truth, one), judge.patches(truth, other))
