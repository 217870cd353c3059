"""Generators of the reference implementation and of CUT, rebuilt from the names and shapes of their weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from cyclegan.data.format import MOST_CHANNELS
from cyclegan.inference.weights import fill
from cyclegan.networks.base import Generator
from cyclegan.networks.config import GeneratorConfig, ResnetConfig, UnetConfig
from cyclegan.util.text import mistake, quoted

BLOCK = re.compile(r"(model\.[0-9]{1,5})\.conv_block\..+")
"""The name of a weight in a residual block."""

STATISTICS = re.compile(r".*\.(running_mean|running_var|num_batches_tracked)")
"""Running statistics, which old files contain for every norm; instance norm does not use them."""

FILTERS = {3: (1.0, 2.0, 1.0), 4: (1.0, 3.0, 3.0, 1.0)}
"""CUT's blur filters by size, for downsampling and upsampling (Zhang 2019); they are constants here, not weights."""


def generator_from(state: Mapping[str, Tensor]) -> Generator:
    """Build the generator that a state dict of the reference implementation describes, and load its weights.

    Raises ValueError when the state dict is of another network, or has missing or unexpected weights. The message does
    not name the file.
    """
    if any(map(BLOCK.fullmatch, state)):
        return _filled(_resnet_config(state), state, "a ResNet generator")
    if any(name.startswith("model.model.") for name in state):
        return _filled(_unet_config(state), state, "a U-Net generator")
    raise ValueError(_another(state))


def _resnet_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    matches = [match for name in state if (match := BLOCK.fullmatch(name))]
    blocks = len({match[1] for match in matches})
    down = "blur" if "model.7.filt" in state else "stride"
    up = "blur" if f"model.{(12 if down == 'blur' else 10) + blocks}.filt" in state else "transpose"
    norm = "batch" if "model.2.weight" in state else "instance"
    # Instance norm cancels biases, so they are dropped. CUT keeps them, because its features are taken before the norm.
    bias = "model.1.bias" in state if norm == "batch" else "blur" in (down, up)
    # With dropout, the second convolution of a block (a 4-d weight) has the index that its norm has without.
    dropout = any(match[0].endswith(".conv_block.6.weight") and state[match[0]].ndim == 4 for match in matches)
    return {
        "kind": "resnet",
        "width": _width(state, "model.1.weight", "a ResNet generator"),
        "blocks": blocks,
        "dropout": 0.5 if dropout else 0.0,
        "downsample": down,
        "upsample": up,
        "bias": bias,
        "norm": norm,
    }


def _unet_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        "kind": "unet",
        "width": _width(state, "model.model.0.weight", "a U-Net generator"),
        "depth": max(name.split(".").count("model") for name in state) - 1,
        "norm": "batch" if "model.model.1.model.2.weight" in state else "instance",
    }


def _width(state: Mapping[str, Tensor], first: str, what: str) -> int:
    """Return the number of channels after the first convolution."""
    if first not in state:
        raise ValueError(f"{what} of the reference, but {first} is missing")
    shape = state[first].shape
    return shape[0] if shape else 0


def _size(state: Mapping[str, Tensor], name: str, axis: int) -> int:
    """Return a number of channels from the shape of a weight; 3 if that says nothing, so that `fill` reports it."""
    shape = state[name].shape if name in state else ()
    return shape[axis] if len(shape) == 4 and 1 <= shape[axis] <= MOST_CHANNELS else 3


def _filled(read_off: dict[str, Any], state: Mapping[str, Tensor], what: str) -> Generator:
    try:
        config: ResnetConfig | UnetConfig = TypeAdapter(GeneratorConfig).validate_python(read_off)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{what} of the reference, but its {mistake(str(first['loc'][-1]), first)}") from None
    modules = _resnet_modules(config) if isinstance(config, ResnetConfig) else _unet_modules(config)
    last = 0 if isinstance(config, ResnetConfig) else 1  # transposed convolutions have their outputs second
    inputs, outputs = (
        _size(state, f"{modules['stages.0.0']}.weight", 1),
        _size(state, f"{modules['head']}.weight", last),
    )
    with torch.device("meta"):
        network: Generator = config.build(inputs, outputs)
    called = {ours: f"{modules[ours.rpartition('.')[0]]}.{ours.rpartition('.')[2]}" for ours in network.state_dict()}
    if missing := next((name for name in called.values() if name not in state), None):
        raise ValueError(f"{what} of the reference, but {missing} is missing")
    convolutions = [name.removesuffix(".weight") for name in called.values() if name.endswith(".weight")]
    cancelled = {f"{name}.bias" for name in convolutions} if config.norm == "instance" else set[str]()
    known = {*called.values(), *cancelled}
    for name, weight in state.items():
        if name not in known and not STATISTICS.fullmatch(name) and not _is_blur(name, weight):
            raise ValueError(f"{what} of the reference, but it also holds {quoted(name)}")
    try:
        fill(network, {ours: state[theirs] for ours, theirs in called.items()}, called)
    except ValueError as error:
        raise ValueError(f"{what} of the reference, but {error}") from None
    return network


def _resnet_modules(config: ResnetConfig) -> dict[str, str]:
    """Map our module names (convolutions and norms) to those of the reference, where all modules are in one sequence.

    A blur counts as a module: after the ReLU when downsampling, before the convolution when upsampling.
    """
    modules = {"stages.0.0": "model.1", "stages.0.1": "model.2"}
    place = 4
    for stage in (1, 2):
        modules |= {f"stages.{stage}.0": f"model.{place}", f"stages.{stage}.1": f"model.{place + 1}"}
        place += 4 if config.downsample == "blur" else 3
    second = 6 if config.dropout else 5
    for stage in range(3, 3 + config.blocks):
        body = {0: 1, 1: 2, 4: second, 5: second + 1}
        modules |= {f"stages.{stage}.body.{i}": f"model.{place}.conv_block.{j}" for i, j in body.items()}
        place += 1
    for stage in (3 + config.blocks, 4 + config.blocks):
        blurs = config.upsample == "blur"
        place += blurs
        modules[f"stages.{stage}.0.1" if blurs else f"stages.{stage}.0"] = f"model.{place}"
        modules[f"stages.{stage}.1"] = f"model.{place + 1}"
        place += 3
    return modules | {"head": f"model.{place + 1}"}


def _unet_modules(config: UnetConfig) -> dict[str, str]:
    """Map our module names to those of the reference, where each level is nested in the one above it."""
    level = "model.model"
    modules = {"stages.0.0": f"{level}.0", "head": f"{level}.3"}
    for i in range(1, config.depth):
        level += ".1.model" if i == 1 else ".3.model"
        up, back = 3 if i == config.depth - 1 else 5, 2 * config.depth - 1 - i
        modules |= {f"stages.{i}.1": f"{level}.1", f"stages.{i}.2": f"{level}.2"}
        modules |= {f"stages.{back}.1": f"{level}.{up}", f"stages.{back}.2": f"{level}.{up + 1}"}
    return modules


def _is_blur(name: str, kernels: Tensor) -> bool:
    """Return whether a tensor is a buffer with one of CUT's blur filters, the same for every channel."""
    plain = kernels.layout == torch.strided and kernels.device.type == "cpu" and kernels.is_floating_point()
    if not name.endswith(".filt") or not plain or kernels.ndim != 4 or not kernels.numel():
        return False
    found = kernels[0, 0]
    line = torch.tensor(FILTERS.get(len(found), ()))
    return found.shape == 2 * line.shape and torch.allclose(found / found[0, 0], torch.outer(line, line), rtol=0.01)


def _another(state: Mapping[str, Tensor]) -> str:
    """Describe a state dict that is not of a generator, for an error message."""
    last = [weight for name, weight in state.items() if name.endswith(".weight") and weight.ndim == 4][-1:]
    if last and len(last[0]) == 1:
        return "weights of a discriminator, not a generator"
    first = quoted(next(iter(state))) if state else "nothing"
    return f"no generator of the reference or of CUT (ResNet, U-Net): its weights begin with {first}"
