"""Text that describes a run or a file of weights."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
import yaml
from torch import nn

from cyclegan.inference.model import open_model
from cyclegan.networks.base import Generator, StyleGenerator
from cyclegan.networks.config import AdainGeneratorConfig, AnyGeneratorConfig, MunitGeneratorConfig, UnetConfig


def describe(path: Path) -> str:
    """Return a model's recipe, images seen and parameter counts as YAML. Raises what `open_model` raises."""
    model = open_model(path)
    checkpoint = model.checkpoint
    if checkpoint is None:
        alone = [
            {
                "direction": direction.value,
                "pictures": {name: format_.told for name, format_ in model.formats.items()},
                "generator": asdict(network.config),
                "parameters": parameters(network),
            }
            | _styles(network)
            for direction, network in model.generators.items()
        ]
        return _yaml({str(path): alone[0] if len(alone) == 1 else alone})
    with torch.device("meta"):  # the networks are only counted, so they need no memory
        networks = checkpoint.recipe.build().named_children()
    run: dict[str, object] = {
        "images": checkpoint.images,
        "epochs": round(checkpoint.images / checkpoint.epoch, 2),
        "averaged": bool(checkpoint.ema),
        "parameters": {name: count for name, network in networks if (count := parameters(network))},
    }
    run |= _styles(next(iter(model.generators.values())))
    return _yaml({str(path): run, "recipe": checkpoint.recipe.to_dict()})


def _styles(network: Generator) -> dict[str, object]:
    """Return what a generator takes besides a picture; nothing for one without styles."""
    if not isinstance(network, StyleGenerator):
        return {}
    return {"style": "random (--seed), or that of a picture (--style)" if network.has_prior else "a picture (--style)"}


def architecture(config: AnyGeneratorConfig) -> str:
    """Return a short description of a generator: `ResNet, width 64, 9 blocks, instance norm`."""
    if isinstance(config, UnetConfig):
        return f"U-Net, width {config.width}, depth {config.depth}, {config.norm} norm"
    if isinstance(config, MunitGeneratorConfig):
        return f"MUNIT, width {config.width}, {config.blocks} + {config.blocks} blocks, styles of {config.style_size}"
    if isinstance(config, AdainGeneratorConfig):
        return f"AdaIN, encoder {config.encoder}"
    words = ["ResNet", f"width {config.width}", f"{config.blocks} blocks", f"{config.norm} norm"]
    words += [f"dropout {config.dropout:g}"] if config.dropout else []
    blurs = [where for where, how in (("down", config.downsample), ("up", config.upsample)) if how == "blur"]
    words += [f"antialiased {' and '.join(blurs)}"] if blurs else []
    return ", ".join(words)


def parameters(network: nn.Module) -> int:
    """Return the number of parameters of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def _yaml(facts: dict[str, object]) -> str:
    text: str = yaml.safe_dump(facts, sort_keys=False)
    return text.rstrip()
