"""Weights from a file that anyone may have written, put into the network that its config describes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan.util.text import quoted


def fill(network: nn.Module, weights: Any, called: Mapping[str, str] | None = None) -> None:
    """Give a network built on the meta device, where a config costs nothing, weights of its names and shapes.

    Any real float type becomes float32. NaN is a weight too: a run that diverged can be looked at, and translating by
    it is refused where the picture is made. Raises ValueError, in one line, for the first weight that does not fit,
    named as it is `called` in its file where that has other names.
    """
    expected: dict[str, Tensor] = network.state_dict()
    if not isinstance(weights, Mapping):
        raise ValueError("there are none")
    missing = next((name for name in expected if name not in weights), None)
    unknown = next((name for name in weights if name not in expected), None)
    if missing or unknown is not None:
        raise ValueError(f"its config asks for {missing}" if missing else f"its config knows no {quoted(unknown)}")
    for name, wanted in expected.items():
        if problem := _problem(weights[name], wanted):
            raise ValueError(f"{called[name] if called else name} {problem}")
    held = {w.untyped_storage().data_ptr(): w.untyped_storage().nbytes() for w in weights.values()}
    if sum(w.numel() * w.element_size() for w in weights.values()) > sum(held.values()):
        raise ValueError("its weights share their numbers, and claim to be more than they are")
    # Copied, so that they do not depend on the file any more, and lie in memory as fresh ones would.
    layout = {"dtype": torch.float32, "memory_format": torch.contiguous_format, "copy": True}
    network.load_state_dict({name: weights[name].detach().to(**layout) for name in expected}, assign=True)


def digest(network: nn.Module) -> str:
    """The SHA-256 of a network, its config and its weights: of two that translate alike, wherever they lie."""
    whole = hashlib.sha256(repr(getattr(network, "config", network)).encode())
    for name, weight in sorted(network.state_dict().items()):
        whole.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        whole.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return whole.hexdigest()


def weights_of(network: nn.Module, method: nn.Module, weights: Mapping[Any, Any]) -> dict[str, Any]:
    """Those of one of a method's networks, by its own names, among the weights of the whole method."""
    prefix = next(f"{name}." for name, module in method.named_modules() if module is network)
    own = [name for name in weights if isinstance(name, str) and name.startswith(prefix)]  # a forged one may be no word
    return {name.removeprefix(prefix): weights[name] for name in own}


def _problem(weight: Any, wanted: Tensor) -> str:
    """What is wrong with a weight, or nothing."""
    if not isinstance(weight, Tensor) or weight.layout != torch.strided or weight.device.type != "cpu":
        return "is no plain tensor"
    if not weight.is_floating_point():
        return f"holds {str(weight.dtype).removeprefix('torch.')}, not floats"
    if weight.shape != wanted.shape:
        return f"is {_by(weight.shape)}, and its config asks for {_by(wanted.shape)}"
    return ""


def _by(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "a single number"
