"""pix2pix does what the authors' code does."""

from __future__ import annotations

import json

import torch
from safetensors.torch import load_file

from cyclegan.machine.device import Arithmetic
from cyclegan.methods.config import Pix2pixConfig
from cyclegan.methods.pix2pix import Pix2pix
from cyclegan.networks.config import PatchganConfig, UnetConfig
from cyclegan.recipe import TrainingConfig
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.types import Batch, Direction
from tests.methods.test_plain_reference import PARITY, needs_parity
from tests.networks.test_unet import filled

NETWORKS = {"generator": UnetConfig(width=4, depth=7, dropout=0), "discriminator": PatchganConfig(width=8, norm="batch")}


def of_the_authors(state: dict[str, torch.Tensor]) -> Pix2pix:
    """With their weights."""
    method = Pix2pixConfig(**NETWORKS).build()  # type: ignore[arg-type]
    theirs = {name.removeprefix("G."): weight for name, weight in state.items() if name.startswith("G.")}
    filled(method.generator, theirs)  # type: ignore[arg-type]
    known = {name.removeprefix("D.model."): weight for name, weight in state.items() if name.startswith("D.model.")}
    judge = method.discriminator.state_dict()
    order = sorted(
        (name for name in known if not name.endswith("tracked")), key=lambda name: int(name.partition(".")[0])
    )
    weights = {kind: [known[name] for name in order if name.endswith(kind)] for kind in ("weight", "bias", "mean", "var")}
    taken = {kind: iter(found) for kind, found in weights.items()}
    method.discriminator.load_state_dict({name: next(taken[name.rpartition(".")[2].removeprefix("running_")]) for name in judge})
    return method


@needs_parity
def test_three_steps_are_the_authors() -> None:
    folder = PARITY / "pix2pix_3_steps"
    expected = json.loads((folder / "losses.json").read_text(encoding="utf-8"))["losses"]
    batches = load_file(folder / "batches.safetensors")
    method = of_the_authors(load_file(folder / "before.safetensors"))
    optimizers = [PlayerOptimizer(player, TrainingConfig()) for player in method.players]
    autocast = Arithmetic(torch.device("cpu"), "float32")
    worst = 0.0
    for step, told in enumerate(expected):
        batch = Batch(batches[f"a_{step}"], batches[f"b_{step}"])
        images, losses = method(batch), {}
        for optimizer in optimizers:
            losses |= optimizer.step(optimizer.differentiate(batch, images, autocast)).losses
        ours = {"G_GAN": losses["gan"], "G_L1": losses["l1"], "D": losses["discriminator"]}
        theirs = {"G_GAN": told["G_GAN"], "G_L1": told["G_L1"], "D": (told["D_real"] + told["D_fake"]) / 2}
        worst = max(worst, *(abs(float(ours[name]) / theirs[name] - 1) for name in theirs))
    print("worst", worst)
    assert worst < 1e-5
    after = of_the_authors(load_file(folder / "after.safetensors")).state_dict()
    for name, weight in method.state_dict().items():
        torch.testing.assert_close(weight, after[name], rtol=0, atol=1e-3, msg=name)


def test_it_learns_the_way_that_it_is_told() -> None:
    given = Batch(torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32))
    small = {"generator": UnetConfig(width=4, depth=5), "discriminator": PatchganConfig(width=4, depth=2)}
    for direction in Direction:
        torch.manual_seed(0)
        method = Pix2pixConfig(**small, direction=direction).build()  # type: ignore[arg-type]
        truth = given.of(direction.target)
        expected = 100 * (method.generator(given.of(direction.source)) - truth).abs().mean()
        torch.manual_seed(0)
        assert method.samples(direction, given, method.generators())["truth"] is truth
        images = {"fake": truth.clone()}
        assert method.generator_loss(given, images)["l1"] == 0 < expected
