"""Weights that others published: generators in the files of the reference implementation."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from cyclegan.inference.weights import fill
from cyclegan.networks.base import Generator
from cyclegan.networks.config import GeneratorConfig
from cyclegan.util.text import mistake
from cyclegan.util.torchfile import load_pickled

FORGOTTEN = re.compile(r"running_(mean|var)|num_batches_tracked")
"""Old files carry statistics of every norm; instance norm does not use them."""

NAME = re.compile(r"model\.([0-9]{1,3})\.(conv_block\.[0-9]\.)?(?:weight|bias)")


def import_generator(path: Path) -> Generator:
    """The ResNet generator in a `*_net_G*.pth`, its width and number of blocks read off its shapes.

    Biases before a norm are dropped: it cancels them, so the output is the same. Raises ValueError for other files.
    """
    state = _read(path)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path}: not a state dict of tensors; is it a `*_net_G*.pth` of the reference?")
    kept = {
        str(name).removeprefix("module."): value for name, value in state.items() if not FORGOTTEN.search(str(name))
    }

    matches = [NAME.fullmatch(name) for name in kept]
    blocks = {match[1] for match in matches if match and match[2]}
    ordered = sorted(kept, key=_place) if all(matches) else []
    weights = [kept[name] for name in ordered if name.endswith(".weight")]
    biases = [kept[name] for name in ordered if name.endswith(".bias")]
    if not blocks or not biases or len(weights) != 6 + 2 * len(blocks):
        raise ValueError(f"{path}: not a ResNet generator of the reference (`resnet_6blocks`, `resnet_9blocks`)")
    try:
        read_off = {"kind": "resnet", "width": len(weights[0]) if weights[0].ndim else 0, "blocks": len(blocks)}
        config = TypeAdapter(GeneratorConfig).validate_python(read_off)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{path}: {mistake(str(first['loc'][-1]), first)}") from None
    with torch.device("meta"):
        network = config.build()
    try:
        fill(network, dict(zip(network.state_dict(), [*weights, biases[-1]], strict=True)))
    except ValueError as error:
        raise ValueError(f"{path}: its shapes are not the reference's: {error}") from None
    return network


def _read(path: Path) -> object:
    """What torch finds in the file when it loads tensors and nothing that could run."""
    try:
        return load_pickled(path)
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read as weights: {error}") from None


def _place(name: str) -> list[int]:
    """`model.10.conv_block.5.weight` stands in place 10, 5."""
    return [int(number) for number in re.findall(r"[0-9]+", name)]
