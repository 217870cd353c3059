"""Convolutions of spectral norm 1 (Miyato et al. 2018)."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan.machine.device import Arithmetic
from cyclegan.machine.levers import Levers
from cyclegan.networks.blocks import initialise
from cyclegan.networks.config import PatchganConfig
from cyclegan.networks.spectral import PreciseSpectralConv2d, SpectralConv2d
from cyclegan.training.samples import looking
from cyclegan.training.trainer import Trainer
from cyclegan.types import Batch
from tests.tiny import tiny_recipe
from tests.training.halves import resumed_bit_for_bit

SPECTRAL: dict[str, Any] = {
    "gan": "hinge",
    "discriminator": {"kind": "patchgan", "width": 4, "depth": 2, "norm": "spectral"},
}
PIXELS = Batch(*torch.randint(0, 256, (2, 1, 3, 32, 32), dtype=torch.uint8))


def vectors(network: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in network.named_buffers() if name.endswith(".u")}


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    assert one and one.keys() == two.keys()
    return all(torch.equal(one[name], two[name]) for name in one)


def test_the_largest_singular_value_becomes_one() -> None:
    torch.manual_seed(0)
    network, picture = PatchganConfig(width=8, norm="spectral").build(), torch.rand(1, 3, 32, 32)
    for _ in range(100):
        network(picture)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 5 and all(isinstance(module, SpectralConv2d) for module in convolutions)
    for convolution in convolutions:
        assert isinstance(convolution, SpectralConv2d) and convolution.bias is not None
        largest = torch.linalg.svdvals(convolution.normalised().flatten(1))[0]
        torch.testing.assert_close(largest, torch.ones(()), rtol=0.01, atol=0)


def test_output_and_gradients_are_those_of_the_weight_over_its_largest_singular_value() -> None:
    torch.manual_seed(0)
    convolution, x = SpectralConv2d(3, 5, 4, 2, 1).double(), torch.rand(2, 3, 8, 8, dtype=torch.float64)
    for _ in range(500):
        convolution.normalised()
    weight, bias = convolution.weight, convolution.bias
    expected = F.conv2d(x, weight / torch.linalg.svdvals(weight.flatten(1))[0], bias, 2, 1)
    torch.testing.assert_close(convolution(x), expected)
    one, two = (torch.autograd.grad(y.square().sum(), weight)[0] for y in (convolution(x), expected))
    torch.testing.assert_close(one, two)


def test_only_training_moves_its_vectors() -> None:
    network, picture = PatchganConfig(width=4, depth=1, norm="spectral").build(), torch.rand(1, 3, 16, 16)
    before = vectors(network)
    with looking([network], Arithmetic(torch.device("cpu"), "float32")):
        seen = network(picture)[0]
    assert same(before, vectors(network))
    assert torch.equal(network(picture)[0], seen)  # without an update of `u` the result is that of training
    assert not same(before, vectors(network))


def test_a_seed_decides_its_vectors_and_initial_weights_are_as_anywhere() -> None:
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(PatchganConfig(width=16, depth=2, norm="spectral").build())
    assert same(vectors(networks[0]), vectors(networks[1]))
    initialise(networks[0], "normal")
    weights = torch.cat([p.flatten() for name, p in networks[0].named_parameters() if name.endswith("weight")])
    assert abs(weights.std() - 0.02) < 1e-3


@pytest.mark.parametrize("precise", [False, True])
def test_bf16_leaves_the_norm_in_float32(precise: bool) -> None:
    convolution = (PreciseSpectralConv2d if precise else SpectralConv2d)(3, 8, 4)
    x = torch.rand(1, 3, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = convolution(x)
        assert convolution.normalised().dtype == torch.float32
    assert y.dtype == (torch.float32 if precise else torch.bfloat16)
    gradients = torch.autograd.grad(y.sum(), list(convolution.parameters()))
    assert all(g.dtype == torch.float32 and g.isfinite().all() for g in gradients)


def test_a_stopped_run_goes_on_bit_for_bit(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(data, method=SPECTRAL, training={"grad_clip": 0.5})
    assert any(name.endswith(".u") for name in resumed_bit_for_bit(recipe, tmp_path).method)


def test_nothing_that_is_only_tried_moves_its_vectors(data: Path, tmp_path: Path) -> None:
    learner = Trainer(tiny_recipe(data, method=SPECTRAL), tmp_path / "run").learner
    before = vectors(learner.method)
    with learner.at_rest():
        for precision in ("float32", "bf16"):
            learner.use(Levers(precision=precision))
            assert all(value.isfinite().all() for value in learner.probe(PIXELS).values())
    assert same(before, vectors(learner.method))
    learner.step(PIXELS)
    assert not same(before, vectors(learner.method))


def test_a_compiled_backward_pass_sees_the_vectors_of_its_own_call() -> None:
    """The backward pass follows two calls, as when real and fake images are scored one after another."""
    torch.manual_seed(0)
    compiled = PatchganConfig(width=4, depth=1, norm="spectral").build()
    plain, pictures = copy.deepcopy(compiled), torch.rand(2, 1, 3, 16, 16)
    compiled.compile(backend="aot_eager_decomp_partition")  # the whole compiler except for its kernels
    seen: list[tuple[Tensor, ...]] = []
    for network in (compiled, plain):
        scores = [scale.square().mean() for picture in pictures for scale in network(picture)]
        seen.append(torch.autograd.grad(torch.stack(scores).sum(), list(network.parameters())))
    for one, two in zip(*seen, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
    assert all((one - two).abs().max() < 1e-6 for one, two in zip(compiled.buffers(), plain.buffers(), strict=True))
