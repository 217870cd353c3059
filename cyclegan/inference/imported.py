"""Weights that others published: generators in the files of the reference implementation."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from torch import Tensor

from cyclegan.networks.config import ResnetConfig
from cyclegan.networks.resnet import ResnetGenerator

FORGOTTEN = re.compile(r"running_(mean|var)|num_batches_tracked")
"""Old files carry statistics of every norm; instance norm does not use them."""


def import_generator(path: Path) -> ResnetGenerator:
    """The ResNet generator in a `*_net_G*.pth`, its width and number of blocks read off its shapes.

    Biases before a norm are dropped: it cancels them, so the output is the same. Raises ValueError for other files.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: cannot be read as weights: {str(error).splitlines()[0]}") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path}: not a state dict of tensors; is it a `*_net_G*.pth` of the reference?")
    kept = {name.removeprefix("module."): value for name, value in state.items() if not FORGOTTEN.search(name)}

    blocks = {match[1] for name in kept if (match := re.match(r"model\.(\d+)\.conv_block\.", name))}
    weights = [kept[name] for name in sorted(kept, key=_place) if name.endswith(".weight")]
    biases = [kept[name] for name in sorted(kept, key=_place) if name.endswith(".bias")]
    if not blocks or not biases or len(weights) != 6 + 2 * len(blocks):
        raise ValueError(f"{path}: not a ResNet generator of the reference (`resnet_6blocks`, `resnet_9blocks`)")
    network = ResnetConfig(width=len(weights[0]), blocks=len(blocks)).build()
    fitted = dict(zip(network.state_dict(), [*weights, biases[-1]], strict=True))
    try:
        network.load_state_dict(fitted)
    except RuntimeError as error:
        raise ValueError(f"{path}: its shapes are not the reference's: {str(error).splitlines()[-1].strip()}") from None
    return network


def _place(name: str) -> list[int]:
    """`model.10.conv_block.5.weight` stands in place 10, 5."""
    return [int(number) for number in re.findall(r"\d+", name)]
