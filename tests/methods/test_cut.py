"""CUT and FastCUT compute what the authors' code computes and their paper defines."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from cyclegan.losses.patchnce import draw_places, patch_nce
from cyclegan.machine.device import Arithmetic
from cyclegan.methods import cut
from cyclegan.methods.config import CutConfig, FastcutConfig
from cyclegan.networks.blocks import BlurDown, BlurUp, InstanceNorm
from cyclegan.networks.config import PatchganConfig, ResnetConfig
from cyclegan.recipe import TrainingConfig
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.types import Batch, Losses
from tests.methods.test_plain_reference import PARITY, needs_parity

NETWORKS: dict[str, Any] = {
    "generator": ResnetConfig(width=8, blocks=6, downsample="blur", upsample="blur", bias=True),
    "discriminator": PatchganConfig(width=8, downsample="blur"),
}
KINDS: dict[str, type[CutConfig]] = {"cut": CutConfig, "fastcut": FastcutConfig}
NO_AUTOCAST = Arithmetic(torch.device("cpu"), "float32")


def theirs(state: dict[str, Tensor], network: nn.Module, prefix: str) -> list[Tensor]:
    """The weights of one of their networks in our order, without biases of the discriminator that a norm cancels."""
    named = [name for name in state if name.startswith(prefix) and not name.endswith("filt")]
    if prefix == "D.":
        named = [name for name in named if name.endswith("weight") or name in ("D.model.0.bias", "D.model.14.bias")]
    places = {name: [int(part) for part in re.findall("[0-9]+", name)] for name in named}
    found = [state[name] for name in sorted(named, key=lambda name: (places[name], name.endswith("bias")))]
    assert [p.shape for p in network.parameters()] == [weight.shape for weight in found]
    return found


def _norm(self: InstanceNorm, x: Tensor) -> Tensor:
    return F.instance_norm(x, eps=1e-5)


def _down(self: BlurDown, x: Tensor) -> Tensor:
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = torch.outer(line, line).expand(x.shape[1], 1, 3, 3).contiguous()
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=x.shape[1])


def _up(self: BlurUp, x: Tensor) -> Tensor:
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    kernel = torch.outer(line, line).expand(x.shape[1], 1, 4, 4).contiguous()
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    return F.conv_transpose2d(padded, kernel, stride=2, padding=2, groups=x.shape[1])[:, :, 1:-1, 1:-1]


def _patches_at(features: Tensor, places: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 1).flatten(1, 2)[:, places]


def as_the_authors_compute(patch: pytest.MonkeyPatch) -> None:
    """Use the calls of the authors' code, which compute the same function, but not the same gradients.

    On a CPU, torch 2.15 computes wrong gradients of F.instance_norm if those of a single image are channels_last, as
    they are when patches are taken in this way. The authors' outputs are affected; ours are correct (see the test
    below).
    """
    patch.setattr(InstanceNorm, "forward", _norm)
    patch.setattr(BlurDown, "forward", _down)
    patch.setattr(BlurUp, "forward", _up)
    patch.setattr(cut, "patches_at", _patches_at)


def is_wrong_here() -> bool:
    """Return whether this torch has the bug that affected the authors' outputs."""
    x, gradient = torch.randn(1, 3, 5, 6, requires_grad=True), torch.randn(1, 3, 5, 6)
    layouts = (torch.contiguous_format, torch.channels_last)
    one, two = (torch.autograd.grad(F.instance_norm(x), x, gradient.to(memory_format=f))[0] for f in layouts)
    return not torch.allclose(one, two, atol=1e-4)


def drawn_as_there(batches: dict[str, Tensor], number: int, patch: pytest.MonkeyPatch, flipped: bool | None) -> Batch:
    """The batch of a step; random choices are those of the authors' run."""
    places = iter([batches[name] for p in "xy" for i in range(5) if (name := f"patches_{number}_{p}_{i}") in batches])
    patch.setattr(cut, "draw_places", lambda features, count: next(places))
    patch.setattr(cut, "draw_flip", lambda like: torch.tensor(flipped))
    return Batch(batches[f"a_{number}"], batches[f"b_{number}"])


def is_cancelled(name: str, prefix: str) -> bool:
    """Return whether it is a bias of the generator before a norm: only rounding changes it, without effect."""
    return prefix == "G." and name.endswith("bias") and name not in ("stages.1.0.bias", "stages.2.0.bias", "head.bias")


@needs_parity
@pytest.mark.parametrize("kind", KINDS)
def test_three_steps_are_the_authors(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = PARITY / f"{kind}_3_steps"
    before, after, batches = (load_file(folder / f"{name}.safetensors") for name in ("before", "after", "batches"))
    method = KINDS[kind](**NETWORKS, patches=64, head_width=32).build()
    networks = {"G.": method.generator, "D.": method.discriminator, "F.": method.heads}
    for prefix, network in networks.items():
        for ours, known in zip(network.parameters(), theirs(before, network, prefix), strict=True):
            ours.data.copy_(known)
    as_the_authors_compute(monkeypatch)
    optimizers = [PlayerOptimizer(player, TrainingConfig()) for player in method.players]
    steps = json.loads((folder / "losses.json").read_text(encoding="utf-8"))["losses"]
    for number, expected in enumerate(steps if is_wrong_here() else steps[:1]):
        batch = drawn_as_there(batches, number, monkeypatch, expected.get("flipped"))
        images = method(batch)
        losses: Losses = {}
        for optimizer in optimizers:
            losses |= optimizer.step(optimizer.differentiate(batch, images, NO_AUTOCAST)).losses
        found = {"D": losses["discriminator"].item(), "GAN": losses["gan"].item(), "NCE": losses["nce"].item()}
        told = {"D": (expected["D_real"] + expected["D_fake"]) / 2, "GAN": expected["G_GAN"], "NCE": expected["NCE"]}
        if kind == "cut":
            found["NCE_Y"], told["NCE_Y"] = losses["nce_identity"].item(), expected["NCE_Y"] / 2
            told["NCE"] /= 2
        # Which gradients are channels_last depends on the CPU's kernels: on other CPUs, later steps are only close.
        # With correct gradients, PatchNCE of the second step is more than 1 % lower.
        assert found == pytest.approx(told, rel=(1e-5, 5e-3, 2e-2)[number], abs=1e-6), f"step {number}"
    if is_wrong_here():
        for prefix, network in networks.items():
            seen = [
                number for number, (name, _) in enumerate(network.named_parameters()) if not is_cancelled(name, prefix)
            ]
            start, end, now = (
                torch.cat([weights[number].detach().flatten() for number in seen])
                for weights in (
                    theirs(before, network, prefix),
                    theirs(after, network, prefix),
                    [*network.parameters()],
                )
            )
            # With correct gradients, the generator's difference is larger than its whole change.
            assert (now - end).norm() < (0.7 if prefix == "G." else 0.2) * (end - start).norm(), prefix


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_loss(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check gradients by finite differences in float64, in a random direction for each parameter."""
    torch.manual_seed(0)
    small = {"generator": ResnetConfig(width=4, blocks=2, downsample="blur", upsample="blur", bias=True)}
    method = KINDS[kind](**NETWORKS | small, patches=16, head_width=8).build().double()
    for parameter in method.parameters():  # larger than initial weights, so that every loss has a clear gradient
        parameter.data.mul_(10)
    batch = Batch(*(torch.rand(2, 1, 3, 24, 24, dtype=torch.float64) * 2 - 1))
    player = method.players[1]
    monkeypatch.setattr(cut, "draw_flip", lambda like: torch.tensor(True))
    monkeypatch.setattr(cut, "draw_places", lambda features, count: torch.arange(0, 32, 2))
    with torch.no_grad():
        keys = {id(source): method.generator.encode(source) for source in batch}
    encode = method.generator.encode
    # The keys have no gradient, so they are held constant for the finite differences.
    monkeypatch.setattr(method.generator, "encode", lambda x: keys[id(x)] if id(x) in keys else encode(x))
    parameters = list(method.generator.parameters())  # without the heads, which compute the keys too

    def total() -> Tensor:
        return torch.stack(list(player.loss(batch, method(batch)).values())).sum()

    gradients = torch.autograd.grad(total(), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        direction, moved = torch.randn_like(parameter), []
        for step in (1e-7, -1e-7):  # with a larger step some ReLU changes sign
            parameter.data.add_(direction, alpha=step)
            moved.append(total().item())
            parameter.data.sub_(direction, alpha=step)
        expected = (moved[0] - moved[1]) / 2e-7
        assert (gradient * direction).sum().item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_patches_that_know_their_place_cost_nothing() -> None:
    query = torch.eye(8)[None]
    assert patch_nce(query, query, tau=0.01) < 1e-6
    assert patch_nce(query, query.roll(1, dims=1), tau=0.01) > 50


def test_patch_nce_is_the_cross_entropy_of_the_paper() -> None:
    query, key = (nn.functional.normalize(torch.randn(2, 5, 7, dtype=torch.float64), dim=2) for _ in range(2))
    expected = []
    for n in range(2):
        for p in range(5):
            scores = (key[n] @ query[n, p] / 0.07).exp()
            expected.append(-torch.log(scores[p] / (scores.sum() + torch.tensor(-10 / 0.07).exp())))
    torch.testing.assert_close(patch_nce(query, key, 0.07), torch.stack(expected).mean())


def test_places_are_different_and_no_more_than_there_are() -> None:
    features = torch.zeros(1, 3, 4, 5)
    assert len(set(draw_places(features, 12).tolist())) == 12
    assert sorted(draw_places(features, 99).tolist()) == list(range(20))


def test_the_keys_teach_nothing() -> None:
    """The gradient of PatchNCE reaches the translation, and the source only by way of it."""
    method = FastcutConfig(**NETWORKS, patches=16, head_width=8).build()
    source, target = (torch.rand(1, 3, 16, 16, requires_grad=True) for _ in range(2))
    loss = method._nce(source, target, None)
    of_source, of_target = torch.autograd.grad(loss, (source, target), allow_unused=True)
    assert of_source is None and of_target.any()


def test_a_flip_is_undone_before_patches_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    method = FastcutConfig(**NETWORKS, patches=16, head_width=8).build()
    monkeypatch.setattr(method.generator, "encode", lambda x: [x])
    method.heads = nn.ModuleList([method.heads[0]])
    monkeypatch.setattr(cut, "draw_places", lambda features, count: torch.arange(20))
    source = torch.rand(1, 3, 16, 16)
    same, mirrored = method._nce(source, source, None), method._nce(source, source.flip(3), torch.tensor(True))
    assert torch.equal(same, mirrored) and not torch.equal(same, method._nce(source, source.flip(3), None))


def test_a_generator_that_begins_as_a_copy_does_so_in_cut() -> None:
    generator = ResnetConfig(width=4, blocks=1, downsample="blur", upsample="blur", skip=True)
    method, x = CutConfig(**NETWORKS | {"generator": generator}).build(), torch.rand(1, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(method.generator(x), 0.9 * x, rtol=0, atol=1e-5)
