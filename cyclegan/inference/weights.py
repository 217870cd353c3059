"""Loading weights from untrusted files into the network that their config describes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan.util.text import quoted


def fill(network: nn.Module, weights: Any, called: Mapping[str, str] | None = None) -> None:
    """Load weights into a network that was built on the meta device, where building needs no memory.

    Floats of any precision are converted to float32. NaN is accepted, so that a diverged run can be inspected;
    translating with it raises. `called` maps our names to those in the file, for error messages. Raises ValueError
    about the first weight whose name, type or shape does not fit.
    """
    expected: dict[str, Tensor] = network.state_dict()
    if not isinstance(weights, Mapping):
        raise ValueError("there are none")
    missing = next((name for name in expected if name not in weights), None)
    unknown = next((name for name in weights if name not in expected), None)
    if missing or unknown is not None:
        raise ValueError(f"{missing} is missing" if missing else f"{quoted(unknown)} is not part of the network")
    for name, wanted in expected.items():
        if problem := _problem(weights[name], wanted):
            raise ValueError(f"{called[name] if called else name} {problem}")
    held = {w.untyped_storage().data_ptr(): w.untyped_storage().nbytes() for w in weights.values()}
    if sum(w.numel() * w.element_size() for w in weights.values()) > sum(held.values()):
        raise ValueError("its weights share memory, so that they are larger than what is stored")
    # Copied, so that they do not depend on the file, and have the memory layout of new weights.
    layout = {"dtype": torch.float32, "memory_format": torch.contiguous_format, "copy": True}
    network.load_state_dict({name: weights[name].detach().to(**layout) for name in expected}, assign=True)


def digest(network: nn.Module) -> str:
    """Return the SHA-256 of a network's config and weights; the same wherever the network was loaded from."""
    whole = hashlib.sha256(repr(getattr(network, "config", network)).encode())
    for name, weight in sorted(network.state_dict().items()):
        whole.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        whole.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return whole.hexdigest()


def weights_of(network: nn.Module, method: nn.Module, weights: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the weights of one network, by its own names, from the weights of the whole method."""
    prefix = next(f"{name}." for name, module in method.named_modules() if module is network)
    own = [name for name in weights if isinstance(name, str) and name.startswith(prefix)]  # forged keys
    return {name.removeprefix(prefix): weights[name] for name in own}


def _problem(weight: Any, wanted: Tensor) -> str:
    """Return what is wrong with a weight; empty if nothing is."""
    if not isinstance(weight, Tensor) or weight.layout != torch.strided or weight.device.type != "cpu":
        return "is not a dense tensor on the CPU"
    if not weight.is_floating_point():
        return f"holds {str(weight.dtype).removeprefix('torch.')}, not floats"
    if weight.shape != wanted.shape:
        return f"is {_by(weight.shape)}, but its config needs {_by(wanted.shape)}"
    return ""


def _by(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "a single number"
