"""The feature networks from which scores are computed: Inception, the standard, or a backbone of torchvision."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from cyclegan.data.convert import to_bytes
from cyclegan.metrics.config import Backbone
from cyclegan.metrics.sources import SOURCES, downloaded
from cyclegan.util.download import sha256_of
from cyclegan.util.text import reason
from cyclegan.util.torchfile import load_pickled
from cyclegan.util.untouched import untouched

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The mean and standard deviation of ImageNet that torchvision's backbones expect."""

LAYERS: dict[Backbone, tuple[int, ...]] = {
    "squeezenet1_1": (1, 4, 7, 9, 10, 11, 12),
    "vgg16": (3, 8, 15, 22, 29),  # the last ReLU before each pooling
    "resnet50": (4, 5, 6, 7),
    "convnext_tiny": (1, 3, 5, 7),
}
"""The modules of each backbone whose outputs the perceptual distance compares. Those of the first two backbones are
the layers of LPIPS (Zhang et al. 2018)."""

INCEPTION_LAYERS = ("MaxPool_1", "MaxPool_2", "Mixed_5d", "Mixed_6e", "Mixed_7c")
"""The modules of Inception whose outputs the perceptual distance compares."""

SMALLEST = 32
"""Fewest pixels on a side for the perceptual distance: a backbone halves the size five times."""


class Weights(NamedTuple):
    """The trained weights of a feature network."""

    state: dict[str, Any]
    sha256: str
    """SHA-256 of their file in hexadecimal."""
    standard: bool
    """Whether the file is the standard one, so that scores can be compared with published ones."""


class Features(nn.Module):
    """A feature network; `name` identifies it and its weights, and must be recorded with every score."""

    def __init__(self, name: str, sha256: str, network: _Inception | _Torchvision) -> None:
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
def load_features(backbone: Backbone, weights: Path | None = None) -> Features:
    """Load a feature network with weights from a file (`.pth`, `.safetensors`), or else download them once.

    Raises FileNotFoundError when the file is missing, ValueError when it does not contain the weights of this network,
    and ConnectionError when the download fails; each message is one line.
    """
    read = _read(weights or downloaded(backbone), SOURCES[backbone].sha256)
    build = _inception if backbone == "inception" else _torchvision
    try:
        network = build(backbone, read.state)
    except (RuntimeError, KeyError, TypeError, AttributeError) as error:
        what = str(error).splitlines()[-1].strip()
        raise ValueError(f"{weights}: not the weights of {backbone}: {what}") from None
    return Features(backbone if read.standard else f"{backbone} ({read.sha256[:8]})", read.sha256, network)


def _read(path: Path, standard: str) -> Weights:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of weights")
    sha256 = sha256_of(path)
    try:
        state = load_file(path) if path.suffix == ".safetensors" else load_pickled(path)
    except Exception as error:  # safetensors raises almost anything on a forged file
        raise ValueError(f"{path}: cannot be read as weights: {reason(error)}") from None
    return Weights(state, sha256, sha256 == standard)


def _inception(backbone: Backbone, state: dict[str, Any]) -> _Inception:
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


def _torchvision(backbone: Backbone, state: dict[str, Any]) -> _Torchvision:
    """Build a backbone of torchvision without its classifier; the features are the spatial mean of its last layer."""
    from torchvision.models import get_model

    network = get_model(backbone, weights=None)
    network.load_state_dict(state)
    features = getattr(network, "features", None) or nn.Sequential(*list(network.children())[:-2])  # for a ResNet
    return _Torchvision(features, LAYERS[backbone])


class _Torchvision(nn.Module):
    def __init__(self, features: nn.Sequential, looked_at: tuple[int, ...]) -> None:
        super().__init__()
        self.features, self.looked_at = features, looked_at
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))
        self.mean: Tensor
        self.std: Tensor

    def forward(self, images: Tensor) -> Tensor:
        scaled = F.interpolate(images, (224, 224), mode="bilinear", antialias=True, align_corners=False)
        features: Tensor = self.features(self._normalised(scaled))
        return features.mean(dim=(2, 3))

    def layers(self, images: Tensor) -> list[Tensor]:
        """Return the outputs of the modules in `looked_at`."""
        if min(height_width := images.shape[2:]) < SMALLEST:
            size = f"{height_width[1]} x {height_width[0]} pixels"
            raise ValueError(f"pictures of {size} are too small for the perceptual distance; use {SMALLEST} a side")
        seen, last = [], self._normalised(images)
        for index, module in enumerate(self.features[: self.looked_at[-1] + 1]):
            last = module(last)
            if index in self.looked_at:
                seen.append(last)
        return seen

    def _normalised(self, images: Tensor) -> Tensor:
        return (images.clamp(-1, 1).add(1).div(2) - self.mean) / self.std
