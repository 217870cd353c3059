"""Runs a backbone on a device, as fast as is correct there."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor

from cyclegan.machine.agreement import Results
from cyclegan.machine.compiler import layout_of, set_layout
from cyclegan.machine.device import Arithmetic, has_bf16
from cyclegan.machine.levers import Bench, Levers, choose_levers, offers_for
from cyclegan.networks.backbones import Backbone, equalise
from cyclegan.painting.usual import Usual
from cyclegan.types import Precision

Features = dict[str, Tensor]
"""Layers (1, C, h, w) by name."""


class Extractor:
    """The layers of a backbone that are compared. `precision` "auto" is chosen by `settle`; float32 until then.

    Raises ValueError for tf32 on a device that is not a CUDA GPU.
    """

    def __init__(
        self, backbone: Backbone, usual: Usual, device: torch.device, precision: Literal["auto"] | Precision = "float32"
    ) -> None:
        self.backbone, self.usual, self.device = backbone.to(device), usual, device
        self.told = (
            f"{backbone.name} {backbone.sha256[:12]} {' '.join(usual.content)} {' '.join(usual.style)} {precision}"
        )
        """What determines its features, in a line."""
        self.layers = tuple(dict.fromkeys((*usual.content, *usual.style)))
        self.settled = precision != "auto"
        self.use(Levers(precision="float32" if precision == "auto" else precision))

    def __call__(self, images: Tensor) -> Features:
        """Return the layers of images (N, 3, H, W) in [-1, 1], at least in float32. Raises what `Backbone` raises."""
        images = images.to(memory_format=layout_of(self.levers.channels_last))
        with self.arithmetic:
            seen = self.backbone(images, self.layers)
        return {name: _exact(layer) for name, layer in zip(self.layers, seen, strict=True)}

    def use(self, levers: Levers) -> None:
        """Use these speed options from now on."""
        self.levers, self.arithmetic = levers, Arithmetic(self.device, levers.precision)
        set_layout(self.backbone, levers.channels_last)

    def normalised(self, pictures: Iterable[Tensor]) -> Extractor:
        """Return an extractor whose channels have a mean activation of 1 over pictures, see `equalise`.

        Raises ValueError for another network than VGG.
        """
        other = copy.copy(self)
        other.backbone = equalise(copy.deepcopy(self.backbone), pictures)
        return other

    def settle(self, probe: Callable[[], Results], steps: float, seconds: float | None = None) -> str:
        """Choose the speed options that are correct and fastest, for `steps` probes that fit into `seconds`.

        `probe` returns the losses and the gradient of a picture. Returns a line for the user; empty if there is nothing
        to say.
        """
        self.settled = True
        begin = time.perf_counter()
        probe()
        if seconds is not None:
            steps = min(steps, seconds / (time.perf_counter() - begin))
        wait = torch.cuda.synchronize if self.device.type == "cuda" else lambda: None
        offers = offers_for(self.device, {"compile": "", "graph": ""}, bf16=has_bf16(self.device))
        choice = choose_levers(Bench(self.use, probe, wait, prefix="--"), self.levers, offers, steps)
        return choice.told if choice.trials or choice.wrong else ""


def _exact(layer: Tensor) -> Tensor:
    return layer if layer.dtype == torch.float64 else layer.float()
