"""The config of the feature network. It imports no torch, so that recipes and `--help` load fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cyclegan.types import Place

if TYPE_CHECKING:
    from cyclegan.metrics.features import Features

FeatureNetwork = Literal["inception", "squeezenet1_1", "resnet50", "vgg16", "convnext_tiny"]


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """The network that FID, KID and other scores come from."""

    network: FeatureNetwork = "inception"
    """`inception` makes scores comparable with published ones; the others are networks of torchvision."""
    weights: Place | None = None
    """File with its weights (.pth or .safetensors). Without one, they are downloaded once."""

    def build(self) -> Features:
        """Load the trained network. Raises what `load_features` raises."""
        from cyclegan.metrics.features import load_features

        return load_features(self.network, self.weights)
