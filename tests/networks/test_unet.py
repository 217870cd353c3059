"""The U-Net trains with batch norm, and accepts images of any size.

tests/inference/test_published.py checks that its output is that of the authors' network, and
tests/inference/test_imported.py that it has the layers that they describe.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from cyclegan.networks.config import UnetConfig
from cyclegan.training.ema import Ema
from cyclegan.training.trainer import Trainer
from cyclegan.types import Batch, Direction
from tests.tiny import tiny_recipe

TINY = {"kind": "unet", "width": 4, "depth": 5}


def test_it_has_the_authors_number_of_parameters() -> None:
    with torch.device("meta"):
        network = UnetConfig().build()
    assert sum(parameter.numel() for parameter in network.parameters()) == 54_413_955


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("size", [(32, 32), (33, 70), (1, 5), (96, 32)])
def test_any_size_comes_back_as_it_was(norm: str, size: tuple[int, int]) -> None:
    network = UnetConfig(width=4, depth=5, norm=norm).build().eval()  # type: ignore[arg-type]
    made = network(torch.rand(2, 3, *size))
    assert made.shape == (2, 3, *size) and made.abs().max() <= 1 and made.dtype == torch.float32


def test_features_are_those_of_the_way_that_it_goes() -> None:
    network, x = UnetConfig(width=4, depth=5).build().eval(), torch.rand(1, 3, 32, 32)
    seen: list[Tensor] = []
    for stage in network.stages:
        stage.register_forward_hook(lambda stage, inputs, output: seen.append(output))
    network(x)
    assert len(seen) == len(network.stages) == 9
    for number, (whole, alone) in enumerate(zip(list(seen), network.features(x, range(9)), strict=True)):
        torch.testing.assert_close(whole, alone, msg=str(number))
    assert [layer.shape[1] for layer in network.encode(x)] == list(network.encoded)
    with pytest.raises(ValueError, match="stages are 0 to 8"):
        network.features(x, [9])


def test_the_average_of_a_network_has_its_present_statistics() -> None:
    network = UnetConfig(width=4, depth=5).build()
    ema = Ema({Direction.AtoB: network}, half_life=10)
    network(torch.rand(2, 3, 32, 32) + 3)
    ema.update(1, 100)
    averaged = dict(ema.generators[Direction.AtoB].named_buffers())
    assert averaged and all(torch.equal(averaged[name], buffer) for name, buffer in network.named_buffers())


def test_nothing_that_is_only_tried_changes_its_statistics(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(
        data, method={"generator": TINY, "discriminator": {"kind": "patchgan", "width": 4, "depth": 2, "norm": "batch"}}
    )
    learner = Trainer(recipe, tmp_path / "run").learner
    before = {name: buffer.clone() for name, buffer in learner.method.named_buffers()}
    pixels = Batch(*torch.randint(0, 256, (2, 1, 3, 64, 64), dtype=torch.uint8))
    with learner.at_rest():
        learner.probe(pixels)
    assert all(torch.equal(before[name], buffer) for name, buffer in learner.method.named_buffers())
    learner.step(pixels)
    assert any(not torch.equal(before[name], b) for name, b in learner.method.named_buffers() if "running" in name)
