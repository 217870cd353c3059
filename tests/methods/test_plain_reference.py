"""The plain reference computes what the authors' implementation computed.

    CYCLEGAN_PARITY=/path/to/parity pytest tests/test_plain_reference.py

The folder holds outputs of the authors' code: three training steps, and generator files with an input and its output.
"""

import json
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.methods import plain_reference
from tests.methods.plain_reference import POOL_SIZE, Adam, State, from_pool, generator

PARITY = Path(os.environ.get("CYCLEGAN_PARITY", "parity"))
needs_parity = pytest.mark.skipif(
    "CYCLEGAN_PARITY" not in os.environ, reason="set CYCLEGAN_PARITY to the folder of the authors' outputs"
)

# The authors number a discriminator and an adversarial loss by the generator it teaches: D_A judges domain B.
NETWORKS = {"a_to_b": "G_A", "b_to_a": "G_B", "discriminator_a": "D_B", "discriminator_b": "D_A"}
LOSSES = {
    "gan_a": "G_B",
    "gan_b": "G_A",
    "cycle_a": "cycle_A",
    "cycle_b": "cycle_B",
    "identity_a": "idt_B",
    "identity_b": "idt_A",
    "discriminator_a": "D_B",
    "discriminator_b": "D_A",
}


def plain_parameters(state_dict: dict[str, Tensor], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """The authors' parameters in the order of the layers, without the biases that instance norm cancels."""

    def layer(name: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", name)]

    weights = sorted((name for name in state_dict if name.endswith(".weight")), key=layer)
    last_bias = weights[-1].replace("weight", "bias")
    first_bias = [name for name in state_dict if name.endswith("model.0.bias")]  # only a discriminator has one
    names = [weights[0], *first_bias, *weights[1:], last_bias]
    return [state_dict[name].to(dtype) for name in names]


def networks(file: str) -> dict[str, list[Tensor]]:
    tensors = load_file(PARITY / "cyclegan_3_steps" / file)
    return {
        ours: plain_parameters({name: tensor for name, tensor in tensors.items() if name.startswith(theirs)})
        for ours, theirs in NETWORKS.items()
    }


def flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


@needs_parity
def test_three_steps_give_the_losses_and_weights_of_the_authors() -> None:
    folder = PARITY / "cyclegan_3_steps"
    batches = {name: batch.double() for name, batch in load_file(folder / "batches.safetensors").items()}
    before, after = networks("before.safetensors"), networks("after.safetensors")
    state = State(**before)

    # The authors ran in float32. Adam divides a gradient by its own size, so rounding alone decides where a weight with
    # almost none goes: after two moves float32 and float64 of one and the same program differ by 1e-4 in a loss.
    tolerances = (2e-6, 2e-6, 2e-4)
    theirs = json.loads((folder / "losses.json").read_text(encoding="utf-8"))["losses"]
    for i, (expected, tolerance) in enumerate(zip(theirs, tolerances, strict=True)):
        losses = plain_reference.step(state, batches[f"a_{i}"], batches[f"b_{i}"], lr=2e-4)
        wrong = {name: losses[name].item() - expected[LOSSES[name]] for name in LOSSES}
        assert max(map(abs, wrong.values())) < tolerance, f"step {i}: {wrong}"

    for name in NETWORKS:
        start, end, ours = flat(before[name]), flat(after[name]), flat(getattr(state, name))
        assert (ours - end).norm() < 0.03 * (end - start).norm(), name


@needs_parity
@pytest.mark.parametrize(
    "file", ["resnet_9blocks_ngf8/latest_net_G.pth", "legacy_resnet_6blocks_ngf8/latest_net_G_A.pth"]
)
def test_generator_files_of_the_authors_give_their_images(file: str) -> None:
    weights = plain_parameters(torch.load(PARITY / file, weights_only=True), torch.float32)
    expected = load_file(PARITY / f"{file}.expected.safetensors")
    torch.testing.assert_close(generator(weights, expected["input"]), expected["output"], rtol=0, atol=5e-5)


def test_adam_moves_as_torch_does() -> None:
    ours = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    plain, torchs = Adam([ours]), torch.optim.Adam([theirs], lr=0.01, betas=(0.5, 0.999))
    for _ in range(5):
        plain.move(ours.pow(4).sum(), lr=0.01)
        (theirs.grad,) = torch.autograd.grad(theirs.pow(4).sum(), [theirs])
        torchs.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)


def test_pool_stores_fifty_images_before_it_returns_an_old_one() -> None:
    pool: list[Tensor] = []
    fakes = torch.arange(POOL_SIZE).reshape(POOL_SIZE, 1, 1, 1)
    assert torch.equal(from_pool(pool, fakes, [0] * POOL_SIZE), fakes)

    new = torch.tensor([100, 101, 102]).reshape(3, 1, 1, 1)
    assert from_pool(pool, new, [7, None, 7]).flatten().tolist() == [7, 101, 100]
    assert pool[7].item() == 102
