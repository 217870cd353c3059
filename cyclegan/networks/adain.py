"""The generator of AdaIN: a frozen encoder, whose features get the moments of a style, and a learned decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan.networks.adaptive import Adaptive, AdaptiveNorm, Blend
from cyclegan.networks.backbones import MEAN, STD, build_network, vgg_names
from cyclegan.networks.base import StyleGenerator
from cyclegan.networks.blocks import Affine, PreciseConv2d, ReflectConv2d, mirror_pad, reflect_pad
from cyclegan.networks.config import AdainGeneratorConfig


class AdainGenerator(StyleGenerator):
    """A trained classifier up to a layer of an eighth of the size, AdaIN, and a decoder that mirrors it.

    (Huang and Belongie 2017, section 5 and eq. 11 to 15.) The style code of a picture holds the means and deviations
    of its C encoded channels, and a strength: 1 for the whole style, 0 for the content as it is. So the mean of codes
    is the mean of the adapted features, which mixes styles, and the code of zeros gives a reconstruction.

    The encoder's weights are frozen: they are buffers, which no optimizer moves, and part of every checkpoint. Stages
    are the encoder's layers, one that applies the style, and the decoder's layers. Unlike in the paper, the last
    convolution is followed by tanh, as in all generators of the suite, so that no value has to be clipped; it begins
    with small weights, because where tanh is saturated nothing is learned.

    The authors' VGG-19 was normalised: the mean activation of each channel is 1. Here each layer that styles are
    compared on is scaled to a mean square of about 1, of any encoder, so that the weights of losses mean the same.
    """

    has_prior = False
    multiple, smallest = 8, 16
    style_sides, style_head = (8, 16), None

    def __init__(self, config: AdainGeneratorConfig, inputs: int = 3, outputs: int = 3) -> None:
        super().__init__()
        if (inputs, outputs) != (3, 3):
            raise ValueError(f"adain: its encoder sees colours; A and B need 3 channels, not {inputs} and {outputs}")
        self.config: AdainGeneratorConfig = config
        self.inputs, self.outputs, self.independent = inputs, outputs, True
        encoder = ENCODERS[config.encoder]()
        self.last = len(encoder) - 1
        """The stage whose output is adapted."""
        width = WIDTHS[config.encoder]
        self.style_size = 2 * width + 1
        self.encoded = (inputs, *WIDTHS_OF_LAYERS[config.encoder])
        self.mlp = nn.Sequential()
        self.stages = nn.Sequential(*encoder, Adapt(width), *_decoder(width))
        self.head = PreciseConv2d(width // 8, outputs, 3)
        for module in self.stages[self.last + 1 :]:
            _initialise(module)
        nn.init.normal_(self.head.weight, 0, 0.01)

    def translate(self, x: Tensor, numbers: Tensor | None = None) -> Tensor:
        """Translate images (N, 3, H, W), sides multiples of 8, with a style (N or 1, 2 C + 1): see `StyleGenerator`."""
        style = self.numbers(x) if numbers is None else numbers
        for stage in self.stages:
            x = stage(x, style) if isinstance(stage, Adaptive) else stage(x)
        return torch.tanh(self.head(reflect_pad(x, 1)))

    def layers(self, images: Tensor) -> list[Tensor]:
        """Return the encoder's layers of images (N, 3, H, W) in [-1, 1] on which styles are compared; the last is C."""
        x, layers = mirror_pad(images, self.multiple, self.smallest), list[Tensor]()
        for stage in self.stages[: self.last + 1]:
            x = stage(x)
            layers.append(x)
        return layers

    def adapt(self, content: Tensor, style: Tensor) -> Tensor:
        """Return features (N, C, h, w) of contents with the moments of styles (N or 1, 2 C + 1) (eq. 8)."""
        adapted: Tensor = self.stages[self.last + 1](content, self.numbers(content, style))
        return adapted

    def decode(self, features: Tensor) -> Tensor:
        """Return images (N, 3, 8 h, 8 w) in [-1, 1] of features (N, C, h, w)."""
        x = features
        for stage in self.stages[self.last + 2 :]:
            x = stage(x)
        return torch.tanh(self.head(reflect_pad(x, 1)))

    def style_features(self, pictures: Tensor) -> Tensor:
        """Return the last layer of the encoder (N, C, h, w); see `StyleGenerator`."""
        x = pictures
        for stage in self.stages[: self.last + 1]:
            x = stage(x)
        return x

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the images and the layers of the encoder."""
        return [mirror_pad(x, self.multiple, self.smallest), *self.layers(x)]

    def weaken(self, style: Tensor, strength: float) -> Tensor:
        """Return codes (N, 2 C + 1) with a strength multiplied (eq. 14)."""
        return torch.cat([style[:, :-1], strength * style[:, -1:]], dim=1)

    def load_encoder(self, state: Mapping[str, Any]) -> None:
        """Load the weights of the classifier, by torchvision's names, into the encoder, and scale its layers.

        Raises KeyError or RuntimeError for those of another network.
        """
        for theirs, own in _convolutions(self).items():
            own.load_state_dict({kind: state[f"{theirs}.{kind}"] for kind in ("weight", "bias")})
        self._scale_layers()

    @torch.no_grad()
    def _scale_layers(self) -> None:
        """Scale each layer of the encoder so that its mean square is 1 for `noise`; what it tells apart stays the same.

        That is exact, because ReLU and max pooling pass a factor on. The noise is enough like photographs: of
        SqueezeNet's layers, whose mean squares are 0.55, 13 and 211 for photographs, it makes them 0.5 to 0.6.
        """
        images = noise(8, 64).to(self.head.weight)
        before = images.new_ones(())
        for stage, layer in zip(self.stages[: self.last + 1], self.layers(images), strict=True):
            frozen = [module for module in stage.modules() if isinstance(module, FROZEN)]
            after = layer.square().mean().clamp(min=1e-12).rsqrt()
            frozen[0].weight.div_(before)
            for last in frozen[-2:] if isinstance(list(stage.children())[-1], Fire) else frozen[-1:]:
                assert last.bias is not None
                last.weight.mul_(after)
                last.bias.mul_(after)
            before = after


class Adapt(Adaptive):
    """Give features the moments of a style, as strongly as the style says."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = AdaptiveNorm(channels)
        self.blend = Blend(self.norm.end)

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Map (N, channels, h, w) to the same shape."""
        adapted: Tensor = self.blend(x, self.norm(x, numbers), numbers)
        return adapted


class FrozenConv2d(nn.Conv2d):
    """A convolution whose weights are buffers; with zero padding."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(inputs, outputs, side, stride, padding)
        _freeze(self)


class FrozenReflectConv2d(ReflectConv2d):
    """A convolution with reflection padding whose weights are buffers."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__(inputs, outputs, side)
        _freeze(self)


FROZEN = FrozenConv2d, FrozenReflectConv2d


def _freeze(convolution: nn.Conv2d) -> None:
    """Turn the weights of a convolution into buffers."""
    for name in ("weight", "bias"):
        weights = getattr(convolution, name).detach()
        delattr(convolution, name)
        convolution.register_buffer(name, weights)


class Fire(nn.Module):
    """The block of SqueezeNet: a 1x1 convolution, then 1x1 and 3x3 side by side (Iandola et al. 2016, section 3.1)."""

    def __init__(self, inputs: int, squeezed: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = FrozenConv2d(inputs, squeezed, 1)
        self.expand1x1 = FrozenConv2d(squeezed, outputs // 2, 1)
        self.expand3x3 = FrozenConv2d(squeezed, outputs // 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        y = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.expand1x1(y)), torch.relu(self.expand3x3(y))], dim=1)


def noise(number: int, side: int) -> Tensor:
    """Return pictures of noise (number, 3, side, side) in (-1, 1), the same in each call.

    As in photographs, contrasts of all sizes are equally strong, and those of brightness stronger than those of colour
    (Field 1987).
    """
    random = torch.Generator().manual_seed(0)
    images = torch.zeros(number, 3, side, side)
    for size in (2**octave for octave in range(1, side.bit_length())):
        grey, colours = (torch.randn(number, channels, size, size, generator=random) for channels in (1, 3))
        images += F.interpolate(grey + 0.5 * colours, (side, side), mode="bilinear")
    return torch.tanh(0.3 * images)


def _normalise() -> Affine:
    """Give images in [-1, 1] the range that classifiers of torchvision expect."""
    return Affine([0.5 / std for std in STD], [(0.5 - mean) / std for mean, std in zip(MEAN, STD, strict=True)])


def _squeezenet() -> list[nn.Module]:
    """Build SqueezeNet 1.1 up to its fourth fire block; it pads so that each halving is exact."""
    first = nn.Sequential(_normalise(), FrozenConv2d(3, 64, 3, stride=2, padding=1), nn.ReLU())
    return [
        first,
        nn.Sequential(nn.MaxPool2d(3, 2, 1), Fire(64, 16, 128), Fire(128, 16, 128)),
        nn.Sequential(nn.MaxPool2d(3, 2, 1), Fire(128, 32, 256), Fire(256, 32, 256)),
    ]


def _vgg() -> list[nn.Module]:
    """Build VGG-19 up to relu4_1, with reflection padding (section 5.1); stages end where styles are compared."""

    def conv(inputs: int, outputs: int) -> list[nn.Module]:
        return [FrozenReflectConv2d(inputs, outputs, 3), nn.ReLU()]

    return [
        nn.Sequential(_normalise(), *conv(3, 64)),
        nn.Sequential(*conv(64, 64), nn.MaxPool2d(2, 2), *conv(64, 128)),
        nn.Sequential(*conv(128, 128), nn.MaxPool2d(2, 2), *conv(128, 256)),
        nn.Sequential(*(layer for _ in range(3) for layer in conv(256, 256)), nn.MaxPool2d(2, 2), *conv(256, 512)),
    ]


ENCODERS = {"vgg19": _vgg, "squeezenet1_1": _squeezenet}
"""What builds the stages of each encoder; styles are compared after each stage."""

WIDTHS = {"vgg19": 512, "squeezenet1_1": 256}
"""The number of channels of each encoder's last layer."""

WIDTHS_OF_LAYERS = {"vgg19": (64, 128, 256, 512), "squeezenet1_1": (64, 128, 256)}
"""The number of channels of each layer."""


def _decoder(width: int) -> list[nn.Module]:
    """Build the decoder, a mirror of VGG-19 up to relu4_1 (section 5.1); three stages, each doubles the size."""

    def conv(inputs: int, outputs: int) -> list[nn.Module]:
        return [ReflectConv2d(inputs, outputs, 3), nn.ReLU()]

    half, quarter, eighth = width // 2, width // 4, width // 8
    return [
        nn.Sequential(*conv(width, half), nn.Upsample(scale_factor=2)),
        nn.Sequential(*(layer for _ in range(3) for layer in conv(half, half)), *conv(half, quarter)),
        nn.Sequential(nn.Upsample(scale_factor=2), *conv(quarter, quarter), *conv(quarter, eighth)),
        nn.Sequential(nn.Upsample(scale_factor=2), *conv(eighth, eighth)),
    ]


def _initialise(network: nn.Module) -> None:
    """Initialise the convolutions of the decoder (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def _convolutions(generator: AdainGenerator) -> dict[str, nn.Conv2d]:
    """Return the frozen convolutions by the names that torchvision gives those of the classifier."""
    own = [module for module in generator.modules() if isinstance(module, FROZEN)]
    if generator.config.encoder == "vgg19":
        theirs = [place for name, place in vgg_names("vgg19").items() if name.startswith("conv")]
    else:
        with torch.device("meta"):
            classifier = build_network(generator.config.encoder)
        theirs = [name for name, module in classifier.named_modules() if isinstance(module, nn.Conv2d)]
    return dict(zip(theirs, own, strict=False))
