"""MUNIT computes what the authors' code computes, and keeps contents and styles apart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cyclegan.machine.device import Arithmetic
from cyclegan.methods import munit
from cyclegan.methods.config import MunitConfig
from cyclegan.networks.config import MunitGeneratorConfig, StridedConfig
from cyclegan.recipe import TrainingConfig
from cyclegan.training.optimizer import PlayerOptimizer
from cyclegan.types import Batch
from tests.methods.test_plain_reference import PARITY, needs_parity

NO_AUTOCAST = Arithmetic(torch.device("cpu"), "float32")
AUTHORS: dict[str, Any] = {
    "generator": MunitGeneratorConfig(width=8, blocks=2, mlp_width=16),
    "discriminator": StridedConfig(width=8, depth=3),
}

Name = Callable[[re.Match[str]], str]
NAMES: dict[str, Name] = {
    r"enc_content\.model\.([0-2])\.conv": lambda m: f"stages.{m[1]}.0",
    r"enc_content\.model\.3\.model\.(\d)\.model\.(\d)\.conv": lambda m: f"stages.{3 + int(m[1])}.body.{4 * int(m[2])}",
    r"dec\.model\.0\.model\.(\d)\.model\.0\.conv": lambda m: f"stages.{5 + int(m[1])}.first",
    r"dec\.model\.0\.model\.(\d)\.model\.1\.conv": lambda m: f"stages.{5 + int(m[1])}.second",
    r"dec\.model\.([24])\.conv": lambda m: f"stages.{6 + int(m[1]) // 2}.1",
    r"dec\.model\.([24])\.norm": lambda m: f"stages.{6 + int(m[1]) // 2}.2",
    r"dec\.model\.5\.conv": lambda m: "head",
    r"enc_style\.model\.([0-4])\.conv": lambda m: f"style.{2 * int(m[1])}",
    r"enc_style\.model\.6": lambda m: "style.10",
    r"mlp\.model\.(\d)\.fc": lambda m: f"mlp.{2 * int(m[1])}",
    r"cnns\.(\d)\.([0-2])\.conv": lambda m: f"scales.{m[1]}.{2 * int(m[2])}",
    r"cnns\.(\d)\.3": lambda m: f"scales.{m[1]}.6",
}
"""The name of a module of the authors, with two blocks, and ours."""


def ours(theirs: str) -> str:
    """Return our name of a weight; an auto-encoder of the authors is spread over our two generators."""
    network, _, rest = theirs.partition(".")
    module, _, kind = rest.rpartition(".")
    [name] = [name(match) for pattern, name in NAMES.items() if (match := re.fullmatch(pattern, module))]
    translates_from = module.startswith("enc_content")
    owner = {
        "gen_a": "a_to_b" if translates_from else "b_to_a",
        "gen_b": "b_to_a" if translates_from else "a_to_b",
        "dis_a": "discriminator_a",
        "dis_b": "discriminator_b",
    }[network]
    return f"{owner}.{name}.{ {'gamma': 'weight', 'beta': 'bias'}.get(kind, kind) }"


def is_cancelled(theirs: str) -> bool:
    """Return whether it is a bias before instance norm or AdaIN, which we do not have."""
    return theirs.endswith(".bias") and re.search(r"enc_content|dec\.model\.0\.", theirs) is not None


def weights(file: str) -> dict[str, Tensor]:
    """Return the authors' weights by our names."""
    state = load_file(PARITY / "munit_3_steps" / file)
    return {ours(name): weight for name, weight in state.items() if not is_cancelled(name)}


def drawn_as_there(batches: dict[str, Tensor], step: int, patch: pytest.MonkeyPatch) -> Batch:
    """The batch of a step; the styles are those of the authors' run."""
    drawn = iter([batches[f"{player}_style_{domain}_{step}"] for player in ("gen", "dis") for domain in "ab"])
    patch.setattr(munit, "draw_styles", lambda like: next(drawn))
    return Batch(batches[f"a_{step}"], batches[f"b_{step}"])


def told_by(step: dict[str, float]) -> dict[str, float]:
    """The authors' losses of a step by our names."""
    theirs = {
        "discriminator": ("dis", 1),
        "gan": ("gen_adv", 1),
        "image": ("gen_recon_x", 10),
        "content": ("gen_recon_c", 1),
        "style": ("gen_recon_s", 1),
    }
    return {f"{ours}_{x}": weight * step[f"{name}_{x}"] for ours, (name, weight) in theirs.items() for x in "ab"}


@needs_parity
def test_three_steps_are_the_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64, because Adam turns rounding into whole steps. Measured: 4e-6; in float32 2e-5."""
    folder = PARITY / "munit_3_steps"
    batches = {name: batch.double() for name, batch in load_file(folder / "batches.safetensors").items()}
    before, after = weights("before.safetensors"), weights("after.safetensors")
    method = MunitConfig(**AUTHORS).build().double()
    method.load_state_dict(before)
    settings = TrainingConfig(lr=1e-4, weight_decay=1e-4)
    optimizers = [PlayerOptimizer(player, settings) for player in method.players]
    for step, expected in enumerate(json.loads((folder / "losses.json").read_text(encoding="utf-8"))["losses"]):
        batch = drawn_as_there(batches, step, monkeypatch)
        images, losses = method(batch), dict[str, Tensor]()
        for optimizer in optimizers:
            losses |= optimizer.step(optimizer.differentiate(batch, images, NO_AUTOCAST)).losses
        found = {name: loss.item() for name, loss in losses.items()}
        assert found == pytest.approx(told_by(expected), rel=1e-5), f"step {step}"
    for name, weight in method.state_dict().items():
        assert (weight - after[name]).norm() < 0.05 * (after[name] - before[name]).norm(), name
