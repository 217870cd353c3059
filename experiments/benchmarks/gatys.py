"""Compare the losses of `cyclegan stylize`, and their gradients, with those of pystiche on the same features.

    uv pip install --target pystiche --no-deps pystiche==1.0.1 dill importlib_resources
    PYTHONPATH=pystiche python experiments/benchmarks/gatys.py photo.jpg painting.jpg \\
        --network squeezenet1_1 --weights squeezenet1_1.safetensors

Everything is float64. Printed are the losses by pystiche and by us before they are made relative, and the largest
difference of the gradients as a share of the largest gradient.
"""

from __future__ import annotations

import argparse
import importlib
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan.data.convert import tensor_of
from cyclegan.data.fit import scaled
from cyclegan.inference.inputs import picture_from
from cyclegan.losses.style import content_loss, gram, gram_loss
from cyclegan.networks.backbones import Backbone, load_backbone
from cyclegan.painting.inputs import shares_of
from cyclegan.painting.settings import Settings
from cyclegan.painting.usual import usual_for

Loss = Callable[[Tensor], Tensor]


def main() -> None:
    """Print a line for each layer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content", type=Path, help="a picture")
    parser.add_argument("style", type=Path, help="another picture")
    parser.add_argument("--network", default="vgg19", help="classifier of torchvision")
    parser.add_argument("--weights", type=Path, help="file with its weights")
    parser.add_argument("--size", type=int, default=128, help="pixels of a side")
    args = parser.parse_args()
    usual = usual_for(Settings(network=args.network))
    backbone = load_backbone(args.network, args.weights, pooling=usual.pooling).double()
    content, style = (_picture(path, args.size) for path in (args.content, args.style))
    start = (content + style) / 2
    pystiche = _pystiche()
    for layer in usual.content:
        (target,) = backbone(content, [layer])
        ours = _on(backbone, layer, partial(content_loss, target=target))
        theirs = pystiche.loss.FeatureReconstructionLoss(_encoder(pystiche, backbone, layer))
        theirs.set_target_image(content)
        _tell(f"content {layer}", start, ours, theirs)
    for layer in usual.style:
        matrix = gram(backbone(style, [layer])[0])
        ours = _on(backbone, layer, partial(_style_loss, matrix))
        theirs = pystiche.loss.GramLoss(_encoder(pystiche, backbone, layer))
        theirs.set_target_image(style)
        _tell(f"style {layer}", start, ours, theirs)


def _style_loss(matrix: Tensor, features: Tensor) -> Tensor:
    return gram_loss(gram(features), matrix)


def _tell(name: str, start: Tensor, ours: Loss, theirs: Loss) -> None:
    (one, gradient), (other, expected) = _differentiated(ours, start), _differentiated(theirs, start)
    apart = float((gradient - expected).abs().max() / expected.abs().max())
    print(f"{name:18} {other:.12g} {one:.12g}   gradients differ by {apart:.1e}")


def _differentiated(loss: Loss, start: Tensor) -> tuple[float, Tensor]:
    leaf = start.clone().requires_grad_()
    value = loss(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.item(), gradient


def _on(backbone: Backbone, layer: str, loss: Loss) -> Loss:
    return lambda picture: loss(backbone(picture, [layer])[0])


def _encoder(pystiche: Any, backbone: Backbone, layer: str) -> Any:
    """Return a layer of the backbone as an encoder of pystiche."""

    class Layer(pystiche.enc.Encoder):  # type: ignore[misc]
        def forward(self, picture: Tensor) -> Tensor:
            features: Tensor = backbone(picture, [layer])[0]
            return features

        def propagate_guide(self, guide: Tensor) -> Tensor:
            return guide

    return Layer()


def _picture(path: Path, size: int) -> Tensor:
    return tensor_of(shares_of(scaled(picture_from(path), (size, size)))).double()


def _pystiche() -> Any:
    """Import pystiche 1.0, which looks for addresses that torchvision keeps elsewhere now."""
    for name in ("alexnet", "vgg"):
        importlib.import_module(f"torchvision.models.{name}").model_urls = defaultdict(str)  # type: ignore[attr-defined]
    return importlib.import_module("pystiche")


if __name__ == "__main__":
    main()
