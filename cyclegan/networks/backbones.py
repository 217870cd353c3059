"""Frozen networks whose layers losses and metrics compare: VGG, SqueezeNet, or any classifier of torchvision."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cyclegan.networks.pretrained import read_file, read_weights
from cyclegan.util.untouched import untouched

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The mean and standard deviation of ImageNet that torchvision's networks expect."""

Pooling = Literal["max", "average"]
"""How a network halves the size; with `average`, gradients reach all pixels (Gatys et al. 2016, section 2)."""

NORMALISED = "vgg19_normalised"
"""VGG-19 up to relu5_1 whose mean activations are 1, in the file of the authors of AdaIN; it cannot be downloaded."""

VGG: dict[str, tuple[int, ...]] = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
    NORMALISED: (2, 2, 4, 4, 4),
}
"""The number of convolutions of each block."""


class Backbone(nn.Module):
    """A frozen classifier, of whose layers one asks for some by name; gradients flow to the images.

    Layers have torchvision's names (`features.7`, `layer2.1.relu`); those of VGG also those of the literature
    (`conv4_2`, `relu4_2`, `pool4`). It has no part in the `state_dict` and the parameters of the module that it belongs
    to: its weights come from its own file. `name` must be given with every figure that it computes.
    """

    def __init__(self, name: str, sha256: str, network: nn.Module) -> None:
        super().__init__()
        self.name, self.sha256 = name, sha256
        self._hidden = [network.eval().requires_grad_(False)]  # in a list, which hides it from torch
        self._parts: dict[tuple[str, ...], nn.Module] = {}
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """Return the named layers, each (N, C, h, w), of images (N, 3, H, W) in [-1, 1]; later ones are not computed.

        Raises ValueError for a layer that the network does not have, and for images too small for it.
        """
        part = self._part(tuple(layers))
        seen: dict[str, Tensor] = part(((images + 1) / 2 - self.mean) / self.std)
        return [seen[layer] for layer in layers]

    @property
    def network(self) -> nn.Module:
        """The classifier, or its part that is known."""
        return self._hidden[0]

    def _part(self, layers: tuple[str, ...]) -> nn.Module:
        """Return the part of the network that computes some layers."""
        if layers not in self._parts:
            self._parts[layers] = _part_of(self.network, self.name, layers)
        return self._parts[layers]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Backbone:
        """Move and convert the network with the module that it belongs to."""
        self.network._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._parts.clear()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


@untouched()
def load_backbone(
    name: str, weights: Path | None = None, *, pooling: Pooling = "max", option: str = "--weights"
) -> Backbone:
    """Load a network with its trained weights: from a file (`.pth`, `.safetensors`), or else downloaded once.

    `name` is a classifier of torchvision, or `vgg19_normalised`. `option` is what the user passes a file with.

    Raises ValueError for an unknown name, or a file that does not hold the weights of this network; FileNotFoundError
    when the file is missing; ConnectionError when the download fails. Each message is one line.
    """
    if name == NORMALISED:
        if weights is None:
            raise ValueError(f"{option}: {name} has no address; pass the file vgg_normalised.pth of the AdaIN authors")
        read = read_file(weights)
    else:
        read = read_weights(name, weights, option)
    with torch.device("meta"):
        network = build_network(name)
    try:
        state = _renamed(read.state) if name == NORMALISED else read.state
        wanted = network.state_dict()
        network.load_state_dict({key: state[key].to(wanted[key].dtype) for key in wanted}, assign=True)
    except (RuntimeError, KeyError, TypeError, AttributeError) as error:
        what = str(error).splitlines()[-1].strip()
        raise ValueError(f"{weights}: not the weights of {name}: {what}") from None
    if pooling == "average":
        _average(network)
    own = name if pooling == "max" else f"{name}, average pooling"
    return Backbone(own if read.standard else f"{own} ({read.sha256[:8]})", read.sha256, network)


def build_network(name: str) -> nn.Module:
    """Build a network with random weights, without its classifier if that is a part of its own."""
    from torchvision.models import get_model

    whole = get_model("vgg19" if name == NORMALISED else name, weights=None)
    network: nn.Module = whole
    if isinstance(getattr(whole, "features", None), nn.Sequential) and hasattr(whole, "classifier"):
        network = nn.Sequential(OrderedDict(features=whole.features))
    if name == NORMALISED:
        network = _Normalised(network)
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # it would overwrite the layer before
    return network


def equalise(backbone: Backbone, pictures: Iterable[Tensor]) -> Backbone:
    """Return a VGG whose channels all have a mean activation of 1 over pictures (N, 3, H, W) and positions.

    (Gatys et al. 2016, section 2.) Its output is the same up to a factor, but no channel outweighs the others in a
    loss. The backbone is changed.

    Raises ValueError for another network than VGG.
    """
    features = getattr(backbone.network, "features", None)
    convolutions = [module for module in features or () if isinstance(module, nn.Conv2d)]
    if not isinstance(features, nn.Sequential) or not all(isinstance(m, _SIMPLE) for m in features):
        raise ValueError(f"{backbone.name}: only a VGG without batch norm can be normalised")
    sums, count = [torch.zeros(c.out_channels) for c in convolutions], 0
    with torch.no_grad():
        for images in pictures:
            x, place = ((images + 1) / 2 - backbone.mean) / backbone.std, 0
            for module in features:
                x = module(x)
                if isinstance(module, nn.ReLU):
                    sums[place] += x.mean(dim=(2, 3)).sum(dim=0).cpu()
                    place += 1
            count += len(images)
        before: Tensor | float = 1.0
        for convolution, total in zip(convolutions, sums, strict=True):
            mean = (total / count).clamp(min=1e-8).to(convolution.weight)
            convolution.weight.mul_(before / mean[:, None, None, None])
            assert convolution.bias is not None
            convolution.bias.div_(mean)
            before = mean[None, :, None, None]
    backbone.name += ", normalised"
    return backbone


_SIMPLE = (nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d)


def vgg_names(name: str) -> dict[str, str]:
    """Return torchvision's name of each layer of a VGG by the one of the literature: `relu1_1` is `features.1`."""
    names, place = dict[str, str](), 0
    for block, count in enumerate(VGG[name], start=1):
        for number in range(1, count + 1):
            names[f"conv{block}_{number}"] = f"features.{place}"
            names[f"relu{block}_{number}"] = f"features.{place + 1}"
            place += 2
        names[f"pool{block}"] = f"features.{place}"
        place += 1
    return names


def _part_of(network: nn.Module, name: str, layers: tuple[str, ...]) -> nn.Module:
    """Return the part of a network that maps images to a dictionary of layers."""
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    kind = name.partition(" ")[0].partition(",")[0]
    known = vgg_names(kind) if kind in VGG else {}
    wanted = {known.get(layer, layer): layer for layer in layers}
    try:
        with warnings.catch_warnings(action="ignore"):  # about differences between training and evaluation
            part: nn.Module = create_feature_extractor(network, wanted)
    except ValueError:
        nodes = get_graph_node_names(network)[1]
        there = [*known] or nodes[1:-1]
        wrong = next(each for own, each in wanted.items() if not any(f"{node}.".startswith(f"{own}.") for node in nodes))
        some = ", ".join(there[:: max(1, len(there) // 12)])
        raise ValueError(f"{name} has no layer {wrong}; it has {some}, and others") from None
    return part


def _average(network: nn.Module) -> None:
    """Replace max pooling by average pooling."""
    for parent in list(network.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.MaxPool2d):
                averaged = nn.AvgPool2d(
                    module.kernel_size, module.stride, module.padding, module.ceil_mode, count_include_pad=False
                )
                setattr(parent, name, averaged)


class _Normalised(nn.Module):
    """VGG-19 as the authors of AdaIN normalised it: its first layer, a 1x1 convolution, takes RGB in [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.colours = nn.Conv2d(3, 3, 1)
        self.features = network.get_submodule("features")

    def forward(self, x: Tensor) -> Tensor:
        mean, std = (x.new_tensor(each).view(3, 1, 1) for each in (MEAN, STD))
        y: Tensor = self.features(self.colours(x * std + mean))
        return y


def _renamed(state: dict[str, Any]) -> dict[str, Any]:
    """Return the weights of vgg_normalised.pth by our names; the convolutions are in the same order."""
    convolutions = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
    places = [int(place.rpartition(".")[2]) for name, place in vgg_names(NORMALISED).items() if name.startswith("conv")]
    ours = ["colours", *(f"features.{place}" for place in places)]
    return {
        f"{our}.{kind}": state[f"{their}.{kind}"]
        for our, their in zip(ours, convolutions, strict=False)
        for kind in ("weight", "bias")
    }
