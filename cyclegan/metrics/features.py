"""The networks by whose eyes pictures are compared: Inception, as the field does, or a backbone of torchvision."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from cyclegan.data.files import to_bytes
from cyclegan.metrics.config import Backbone
from cyclegan.metrics.sources import SOURCES, downloaded
from cyclegan.util.download import sha256_of
from cyclegan.util.text import reason
from cyclegan.util.torchfile import load_pickled
from cyclegan.util.untouched import untouched

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, as torchvision's backbones expect it."""

LAYERS: dict[Backbone, tuple[int, ...]] = {
    "squeezenet1_1": (1, 4, 7, 9, 10, 11, 12),
    "vgg16": (3, 8, 15, 22, 29),  # the last ReLU before each pooling
    "resnet50": (4, 5, 6, 7),
    "convnext_tiny": (1, 3, 5, 7),
}
"""After which of its modules a backbone is looked at; the first two are those of LPIPS (Zhang et al. 2018)."""

INCEPTION_LAYERS = ("MaxPool_1", "MaxPool_2", "Mixed_5d", "Mixed_6e", "Mixed_7c")

SMALLEST = 32
"""Pixels on a side that still reach a backbone's last layer, after five halvings."""


class Weights(NamedTuple):
    """Trained numbers, and where they come from."""

    state: dict[str, Any]
    sha256: str
    standard: bool
    """Whether they are those that everybody's figures are made with."""


class Features(nn.Module):
    """(N, 3, H, W) in [-1, 1] to (N, D) features. `name` belongs beside every figure that is made with them."""

    def __init__(self, name: str, sha256: str, network: _Inception | _Torchvision) -> None:
        super().__init__()
        self.name, self.sha256, self.network = name, sha256, network.eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """The features of a batch, float32."""
        features: Tensor = self.network(images)
        return features.float()

    @torch.inference_mode()
    def layers(self, images: Tensor) -> list[Tensor]:
        """What several layers see of a batch, each float32 (N, C, H', W'): of pictures at their own size.

        But for Inception, which fits them to 299 x 299. Raises ValueError for sides below 32 pixels.
        """
        return [layer.float() for layer in self.network.layers(images)]

    def of(self, batches: Iterable[Tensor]) -> Tensor:
        """The features of all batches, (N, D) on the CPU."""
        return torch.cat([self(batch).cpu() for batch in batches])


@untouched()
def load_features(backbone: Backbone, weights: Path | None = None) -> Features:
    """A trained network, its weights from a file (`.pth`, `.safetensors`) or, without one, downloaded once.

    Raises FileNotFoundError or ValueError, in one line, for a file that does not hold them, and ConnectionError when
    they cannot be downloaded.
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
    """Inception v3 of the TensorFlow of 2015 in torch-fidelity's transcription, its resize to 299 included."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with TemporaryDirectory() as folder:  # it unpickles the file it is given: let that be one of our own making
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
        """The outputs of `INCEPTION_LAYERS`, listened to on the way."""
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
    """All layers but the classifier, their last map averaged over the picture."""
    from torchvision.models import get_model

    network = get_model(backbone, weights=None)
    network.load_state_dict(state)
    features = getattr(network, "features", None) or nn.Sequential(*list(network.children())[:-2])  # a ResNet has none
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
        """What comes out of the modules looked at."""
        if min(height_width := images.shape[2:]) < SMALLEST:
            size = f"{height_width[1]} x {height_width[0]} pixels"
            raise ValueError(f"pictures of {size} are too small for a perceptual distance; give {SMALLEST} a side")
        seen, last = [], self._normalised(images)
        for index, module in enumerate(self.features[: self.looked_at[-1] + 1]):
            last = module(last)
            if index in self.looked_at:
                seen.append(last)
        return seen

    def _normalised(self, images: Tensor) -> Tensor:
        return (images.clamp(-1, 1).add(1).div(2) - self.mean) / self.std
