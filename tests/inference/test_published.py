"""Compares our outputs with those of the authors' code, which are in the folder CYCLEGAN_PARITY."""

import json

import pytest
import torch
from safetensors.torch import load_file

from cyclegan.inference.model import open_model
from cyclegan.machine.device import Arithmetic
from cyclegan.methods.config import CycleganConfig
from cyclegan.networks.config import PatchganConfig, ResnetConfig
from cyclegan.recipe import TrainingConfig
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.types import Batch, Direction, Images, Losses
from tests.methods.test_plain_reference import LOSSES, NETWORKS, PARITY, flat, needs_parity, networks


@needs_parity
def test_three_steps_in_float32_are_the_authors() -> None:
    folder = PARITY / "cyclegan_3_steps"
    batches, after = load_file(folder / "batches.safetensors"), networks("after.safetensors")
    networks_of = ResnetConfig(width=8, blocks=6), PatchganConfig(width=8)
    method = CycleganConfig(generator=networks_of[0], discriminator=networks_of[1]).build()
    before = networks("before.safetensors")
    for name in NETWORKS:
        for ours, theirs in zip(getattr(method, name).parameters(), before[name], strict=True):
            ours.data.copy_(theirs)

    optimizers = [PlayerOptimizer(player, TrainingConfig()) for player in method.players]
    steps = json.loads((folder / "losses.json").read_text(encoding="utf-8"))["losses"]
    for i, (expected, tolerance) in enumerate(zip(steps, (2e-6, 1e-5, 2e-4), strict=True)):
        batch = Batch(batches[f"a_{i}"], batches[f"b_{i}"])
        images: Images = method(batch)
        losses: Losses = {}
        for optimizer in optimizers:
            losses |= optimizer.step(
                optimizer.differentiate(batch, images, Arithmetic(torch.device("cpu"), "float32"))
            ).losses
        wrong = {name: losses[name].item() - expected[LOSSES[name]] for name in LOSSES}
        assert max(map(abs, wrong.values())) < tolerance, f"step {i}: {wrong}"

    for name in NETWORKS:
        start, end, ours = flat(before[name]), flat(after[name]), flat(list(getattr(method, name).parameters()))
        assert (ours - end).norm() < 0.05 * (end - start).norm(), name


@needs_parity
@pytest.mark.parametrize(
    "file",
    [
        "resnet_9blocks_ngf8/latest_net_G.pth",
        "legacy_resnet_6blocks_ngf8/latest_net_G_A.pth",
        "cut_resnet_9blocks_ngf8_antialias/latest_net_G.pth",
        "unet_256_ngf4_batch/latest_net_G.pth",
        "unet_128_ngf8_instance/60_net_G_A.pth",
    ],
)
@pytest.mark.parametrize("whole_folder", [False, True])
def test_generator_files_of_the_authors_give_their_images(file: str, whole_folder: bool) -> None:
    expected = load_file(PARITY / f"{file}.expected.safetensors")
    model = open_model((PARITY / file).parent if whole_folder else PARITY / file)
    with torch.no_grad():
        image = model.generators[Direction.AtoB].eval()(expected["input"])
    torch.testing.assert_close(image, expected["output"], rtol=0, atol=5e-5)
