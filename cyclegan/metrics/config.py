"""What can be said about the network that compares pictures. Free of torch, so that `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cyclegan.types import Place

if TYPE_CHECKING:
    from cyclegan.metrics.features import Features

Backbone = Literal["inception", "squeezenet1_1", "resnet50", "vgg16", "convnext_tiny"]


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """By whose eyes pictures are compared."""

    network: Backbone = "inception"
    """Inception v3, as published figures are made, or one of torchvision, whose figures compare with no others."""
    weights: Place | None = None
    """Its weights, .pth or .safetensors; downloaded once where none are given."""

    def build(self) -> Features:
        """The trained network; raises what `load_features` raises."""
        from cyclegan.metrics.features import load_features

        return load_features(self.network, self.weights)
