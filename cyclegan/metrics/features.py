"""The feature networks from which scores are computed: Inception, the standard, or a backbone of torchvision."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan.data.convert import to_bytes
from cyclegan.metrics.config import FeatureNetwork
from cyclegan.networks.backbones import Backbone, load_backbone
from cyclegan.networks.pretrained import read_weights
from cyclegan.util.untouched import untouched

LAYERS: dict[FeatureNetwork, tuple[str, ...]] = {
    "squeezenet1_1": tuple(f"features.{number}" for number in (1, 4, 7, 9, 10, 11, 12)),
    "vgg16": ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"),
    "resnet50": ("layer1", "layer2", "layer3", "layer4"),
    "convnext_tiny": ("features.1", "features.3", "features.5", "features.7"),
}
"""The layers of each backbone that the perceptual distance compares. Those of the first two backbones are the layers of
LPIPS (Zhang et al. 2018)."""

LAST: dict[FeatureNetwork, str] = {name: layers[-1] for name, layers in LAYERS.items()} | {"vgg16": "pool5"}
"""The layer of each backbone whose spatial mean is the features of a picture."""

INCEPTION_LAYERS = ("MaxPool_1", "MaxPool_2", "Mixed_5d", "Mixed_6e", "Mixed_7c")
"""The modules of Inception whose outputs the perceptual distance compares."""

OPTION = "--features.weights"
"""What the user passes a file of weights with."""

SIDE = 224
"""Pixels of the sides of pictures whose features a backbone finds, as in its training."""

SMALLEST = 32
"""Fewest pixels on a side for the perceptual distance: a backbone halves the size five times."""


class Features(nn.Module):
    """A feature network; `name` identifies it and its weights, and must be recorded with every score."""

    def __init__(self, name: str, sha256: str, network: _Inception | _Classifier) -> None:
        super().__init__()
        self.name, self.sha256, self.network = name, sha256, network.eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Return the features (N, D) of images (N, 3, H, W) in [-1, 1], in float32."""
        features: Tensor = self.network(images)
        return features.float()

    @torch.inference_mode()
    def layers(self, images: Tensor) -> list[Tensor]:
        """Return the outputs of several layers for images (N, 3, H, W) in [-1, 1], each float32 (N, C, H', W').

        Images keep their size; only Inception resizes them to 299 x 299. Raises ValueError for sides below 32 pixels,
        except with Inception.
        """
        return [layer.float() for layer in self.network.layers(images)]

    def of(self, batches: Iterable[Tensor]) -> Tensor:
        """Return the features of all batches, (N, D) on the CPU."""
        return torch.cat([self(batch).cpu() for batch in batches])


@untouched()
def load_features(network: FeatureNetwork, weights: Path | None = None) -> Features:
    """Load a feature network with weights from a file (`.pth`, `.safetensors`), or else download them once.

    Raises FileNotFoundError when the file is missing, ValueError when it does not contain the weights of this network,
    and ConnectionError when the download fails; each message is one line.
    """
    if network == "inception":
        read = read_weights(network, weights, OPTION)
        try:
            inception = _inception(read.state)
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:
            what = str(error).splitlines()[-1].strip()
            raise ValueError(f"{weights}: not the weights of {network}: {what}") from None
        return Features(network if read.standard else f"{network} ({read.sha256[:8]})", read.sha256, inception)
    backbone = load_backbone(network, weights, option=OPTION)
    return Features(backbone.name, backbone.sha256, _Classifier(backbone, LAYERS[network], LAST[network]))


def _inception(state: dict[str, Any]) -> _Inception:
    """Build Inception v3 of TensorFlow 2015, as ported by torch-fidelity, including its resize to 299 x 299."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with TemporaryDirectory() as folder:  # the constructor unpickles its file, so it gets one that is written here
        safe = Path(folder, "weights.pth")
        torch.save({name: weight for name, weight in state.items() if isinstance(weight, Tensor)}, safe)
        return _Inception(FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(safe)))


class _Inception(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.network(to_bytes(images))[0]
        return features

    def layers(self, images: Tensor) -> list[Tensor]:
        """Return the outputs of `INCEPTION_LAYERS`, captured by forward hooks."""
        seen: list[Tensor] = []
        parts = [self.network.get_submodule(name) for name in INCEPTION_LAYERS]
        listeners = [part.register_forward_hook(lambda part, inputs, output: seen.append(output)) for part in parts]
        try:
            self(images)
        finally:
            for listener in listeners:
                listener.remove()
        return seen


class _Classifier(nn.Module):
    """A backbone; the features are the spatial mean of its `last` layer, of pictures of `SIDE` x `SIDE` pixels."""

    def __init__(self, backbone: Backbone, looked_at: tuple[str, ...], last: str) -> None:
        super().__init__()
        self.backbone, self.looked_at, self.last = backbone, looked_at, last

    def forward(self, images: Tensor) -> Tensor:
        scaled = F.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        last: Tensor = self.backbone(scaled.clamp(-1, 1), [self.last])[0]
        return last.mean(dim=(2, 3))

    def layers(self, images: Tensor) -> list[Tensor]:
        """Return the outputs of the layers in `looked_at`."""
        if min(height_width := images.shape[2:]) < SMALLEST:
            size = f"{height_width[1]} x {height_width[0]} pixels"
            raise ValueError(f"pictures of {size} are too small for the perceptual distance; use {SMALLEST} a side")
        layers: list[Tensor] = self.backbone(images.clamp(-1, 1), self.looked_at)
        return layers
