"""Start a generator from the weights of another one, which may be for pictures with other numbers of channels."""

from __future__ import annotations

import torch
from torch import Tensor

from cyclegan.networks.base import Generator
from cyclegan.networks.config import ResnetConfig, UnetConfig

FIRST, LAST, BIAS, STYLE = "stages.0.0.weight", "head.weight", "head.bias", "style.0.weight"
"""The weights of a generator whose shapes depend on the number of channels; `STYLE` reads pictures of the target."""


@torch.no_grad()
def start_from(network: Generator, trained: Generator) -> None:
    """Copy the weights of `trained` into `network`.

    For another number of input channels, the filters of the first convolution are repeated and scaled, so that a
    picture with equal channels has the same response (as in timm's `adapt_input_conv`). For another number of output
    channels, those of the last convolution are repeated, or averaged to one.
    Raises ValueError when the architectures differ.
    """
    config = network.config
    if config != trained.config:
        theirs = vars(trained.config) | {"kind": trained.config.kind}
        differ = {name: value for name, value in theirs.items() if getattr(config, name, None) != value}
        told = ", ".join(f"method.generator.{name}: {value}" for name, value in differ.items())
        raise ValueError(f"its generator has another architecture; set {told}")
    weights, own = trained.state_dict(), network.state_dict()
    if (network.inputs, network.outputs) != (trained.inputs, trained.outputs):
        scale = trained.inputs / network.inputs
        weights[FIRST] = repeated(weights[FIRST], 1, network.inputs) * scale
        if STYLE in weights:
            weights[STYLE] = repeated(weights[STYLE], 1, network.outputs) * (trained.outputs / network.outputs)
        head, passed = weights[LAST], own[LAST][:, :0]
        if isinstance(config, ResnetConfig) and config.skip:  # the part that passes the input through starts anew
            head, passed = head[:, : config.width], own[LAST][:, config.width :]
        head = repeated(head, 1 if isinstance(config, UnetConfig) else 0, network.outputs)
        weights[LAST] = torch.cat([head, passed], dim=1) if passed.numel() else head
        weights[BIAS] = repeated(weights[BIAS], 0, network.outputs)
    network.load_state_dict(weights)


def repeated(weight: Tensor, axis: int, number: int) -> Tensor:
    """Return a weight with `number` channels along an axis: those it has in turn, or for one channel their mean."""
    if number == 1:
        return weight.mean(dim=axis, keepdim=True)
    return weight.index_select(axis, torch.arange(number, device=weight.device) % weight.shape[axis])
