"""What a run or a file of weights holds, in words."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
import yaml
from torch import nn

from cyclegan.inference.model import open_model


def describe(path: Path) -> str:
    """Recipe, images seen and parameters, as YAML. Raises what `open_model` raises."""
    model = open_model(path)
    checkpoint = model.checkpoint
    if checkpoint is None:
        alone = [
            {"direction": direction.value, "generator": asdict(network.config), "parameters": _parameters(network)}
            for direction, network in model.generators.items()
        ]
        return _yaml({str(path): alone[0] if len(alone) == 1 else alone})
    with torch.device("meta"):  # to count them
        networks = checkpoint.recipe.method.build().named_children()
    run: dict[str, object] = {
        "images": checkpoint.images,
        "epochs": round(checkpoint.images / checkpoint.epoch, 2),
        "averaged": bool(checkpoint.ema),
        "parameters": {name: count for name, network in networks if (count := _parameters(network))},
    }
    return _yaml({str(path): run, "recipe": checkpoint.recipe.to_dict()})


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _yaml(facts: dict[str, object]) -> str:
    text: str = yaml.safe_dump(facts, sort_keys=False)
    return text.rstrip()
