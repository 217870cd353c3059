"""What a run or a file of weights holds, in words."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
import yaml
from torch import nn

from cyclegan.checkpoint import SUFFIX, read_checkpoint, read_newest
from cyclegan.inference.translator import load_generator


def describe(path: Path) -> str:
    """Recipe, images seen and parameters, as YAML. Raises FileNotFoundError or ValueError as `load_generator` does."""
    if not path.is_dir() and path.suffix != SUFFIX:
        network, direction = load_generator(path, None)
        facts: dict[str, object] = {
            "direction": direction,
            "generator": asdict(network.config),
            "parameters": _parameters(network),
        }
        return _yaml({str(path): facts})

    checkpoint = read_newest(path) if path.is_dir() else read_checkpoint(path)
    with torch.device("meta"):  # to count them
        networks = checkpoint.recipe.method.build().named_children()
    run: dict[str, object] = {
        "images": checkpoint.images,
        "epochs": round(checkpoint.images / checkpoint.epoch, 2),
        "averaged": bool(checkpoint.average),
        "parameters": {name: count for name, network in networks if (count := _parameters(network))},
    }
    return _yaml({str(path): run, "recipe": checkpoint.recipe.to_dict()})


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _yaml(facts: dict[str, object]) -> str:
    text: str = yaml.safe_dump(facts, sort_keys=False)
    return text.rstrip()
