"""The configs of the networks. They import no torch, so that recipes and `--help` load fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from cyclegan.types import NUMBER, Place

if TYPE_CHECKING:
    from cyclegan.networks.adain import AdainGenerator
    from cyclegan.networks.backbones import Backbone
    from cyclegan.networks.munit import MunitGenerator
    from cyclegan.networks.patchgan import PatchGan, PixelGan, StridedGan
    from cyclegan.networks.resnet import ResnetGenerator
    from cyclegan.networks.unet import UnetGenerator

Width = Annotated[int, NUMBER, Field(gt=0, le=4096)]
"""Output channels of the first convolution."""


@dataclass(frozen=True, kw_only=True)
class ResnetConfig:
    """ResNet generator (Johnson et al. 2016)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # an exported generator carries it alone

    kind: Literal["resnet"] = "resnet"
    """Downsampling by 4, residual blocks, upsampling."""
    width: Width = 64
    """Output channels of the first convolution (ngf); the residual blocks have four times as many."""
    blocks: Annotated[int, NUMBER, Field(gt=0, le=256)] = 9
    """Number of residual blocks: 9 for images of 256 pixels, 6 for 128 pixels or less."""
    dropout: Annotated[float, NUMBER, Field(ge=0, lt=1)] = 0.0
    """Dropout probability inside each block; the reference uses 0 or 0.5."""
    downsample: Literal["stride", "blur"] = "stride"
    """`stride`: convolution of stride 2. `blur`: stride 1 and a blur filter, which prevents aliasing (CUT)."""
    upsample: Literal["transpose", "resize", "blur"] = "transpose"
    """`transpose`: transposed convolution. `resize` and `blur` (CUT) avoid checkerboard artefacts, but are slower."""
    bias: bool = False
    """Give convolutions before a norm a bias, as CUT does: PatchNCE reads two of them before the norm."""
    norm: Literal["instance", "batch"] = "instance"
    """`instance` normalises each image on its own; `batch` uses the statistics of the batch."""
    skip: bool = False
    """Feed the input to the last convolution and start as a copy of it: for translations that change little."""

    def build(self, inputs: int = 3, outputs: int = 3) -> ResnetGenerator:
        """Build the network with random weights, for images with these numbers of channels."""
        from cyclegan.networks.resnet import ResnetGenerator

        return ResnetGenerator(self, inputs, outputs)


@dataclass(frozen=True, kw_only=True)
class UnetConfig:
    """U-Net generator (Isola et al. 2017)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # an exported generator carries it alone

    kind: Literal["unet"] = "unet"
    """Downsampling to a point and back, with skip connections at every size."""
    width: Width = 64
    """Output channels of the first convolution (ngf); deeper layers have up to eight times as many."""
    depth: Annotated[int, NUMBER, Field(ge=5, le=10)] = 8
    """Number of downsamplings: 8 for 256 pixels, 7 for 128. Sides are padded to multiples of 2^depth."""
    norm: Literal["batch", "instance"] = "batch"
    """`batch` uses the statistics of the batch; `instance` normalises each image on its own."""
    dropout: Annotated[float, NUMBER, Field(ge=0, lt=1)] = 0.5
    """Dropout probability in the deepest upsampling layers."""

    def build(self, inputs: int = 3, outputs: int = 3) -> UnetGenerator:
        """Build the network with random weights, for images with these numbers of channels."""
        from cyclegan.networks.unet import UnetGenerator

        return UnetGenerator(self, inputs, outputs)


@dataclass(frozen=True, kw_only=True)
class MunitGeneratorConfig:
    """Encoders and decoder of MUNIT (Huang et al. 2018)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # an exported generator carries it alone

    kind: Literal["munit"] = "munit"
    """Encoders of content and of style, and a decoder that a style steers."""
    width: Width = 64
    """Output channels of the first convolutions; contents have this number times 2^downsamplings."""
    downsamplings: Annotated[int, NUMBER, Field(ge=1, le=5)] = 2
    """Number of times that the content encoder halves the size, and the decoder doubles it."""
    blocks: Annotated[int, NUMBER, Field(gt=0, le=256)] = 4
    """Number of residual blocks of the content encoder, and of the decoder."""
    style_size: Annotated[int, NUMBER, Field(gt=0, le=4096)] = 8
    """Length of a style code."""
    style_downsamplings: Annotated[int, NUMBER, Field(ge=1, le=8)] = 4
    """Number of times that the style encoder halves the size before it takes the mean over places."""
    mlp_width: Width = 256
    """Channels of both hidden layers of the MLP that maps a style code to scales and shifts."""

    def build(self, inputs: int = 3, outputs: int = 3) -> MunitGenerator:
        """Build the network with random weights, for images with these numbers of channels."""
        from cyclegan.networks.munit import MunitGenerator

        return MunitGenerator(self, inputs, outputs)


@dataclass(frozen=True, kw_only=True)
class AdainGeneratorConfig:
    """Encoder and decoder of AdaIN (Huang and Belongie 2017)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # an exported generator carries it alone

    kind: Literal["adain"] = "adain"
    """A frozen encoder, AdaIN, and a decoder that is learned."""
    encoder: Literal["vgg19", "squeezenet1_1"] = "vgg19"
    """The trained classifier whose layers encode: VGG-19 up to relu4_1, or SqueezeNet, which is small and fast."""

    def build(self, inputs: int = 3, outputs: int = 3) -> AdainGenerator:
        """Build the network with random weights, also of the encoder; images must have 3 channels."""
        from cyclegan.networks.adain import AdainGenerator

        return AdainGenerator(self, inputs, outputs)


@dataclass(frozen=True, kw_only=True)
class PatchganConfig:
    """PatchGAN discriminator (Isola et al. 2017)."""

    kind: Literal["patchgan"] = "patchgan"
    """Scores overlapping patches."""
    width: Width = 64
    """Output channels of the first convolution (ndf)."""
    depth: Annotated[int, NUMBER, Field(ge=1, le=5)] = 3
    """Number of downsamplings; 1 to 5 give patches of 16, 34, 70, 142 or 286 pixels."""
    downsample: Literal["stride", "blur"] = "stride"
    """`stride`: convolution of stride 2. `blur`: stride 1 and a blur filter, which prevents aliasing (CUT)."""
    norm: Literal["instance", "batch", "spectral", "none"] = "instance"
    """`instance` hides an image's mean colour, `none` does not; `batch`: pix2pix; `spectral`: Miyato et al. 2018."""
    scales: Annotated[int, NUMBER, Field(ge=1, le=4)] = 1
    """Number of discriminators, at 1, 1/2, 1/4, 1/8 of the size (pix2pixHD); their losses are averaged."""

    def build(self, channels: int = 3, condition: int = 0) -> PatchGan:
        """Build the network with random weights; `condition` counts the channels of the source image it sees too."""
        from cyclegan.networks.patchgan import PatchGan

        return PatchGan(self, channels, condition)


@dataclass(frozen=True, kw_only=True)
class PixelConfig:
    """PixelGAN discriminator (Isola et al. 2017)."""

    kind: Literal["pixel"] = "pixel"
    """Scores single pixels."""
    width: Width = 64
    """Output channels of the first convolution (ndf)."""

    def build(self, channels: int = 3, condition: int = 0) -> PixelGan:
        """Build the network with random weights; `condition` counts the channels of the source image it sees too."""
        from cyclegan.networks.patchgan import PixelGan

        return PixelGan(self, channels, condition)


@dataclass(frozen=True, kw_only=True)
class StridedConfig:
    """Discriminator of MUNIT (Huang et al. 2018)."""

    kind: Literal["strided"] = "strided"
    """Scores patches by convolutions of stride 2 without a norm, at several scales."""
    width: Width = 64
    """Output channels of the first convolution; each further one has twice as many."""
    depth: Annotated[int, NUMBER, Field(ge=1, le=6)] = 4
    """Number of convolutions of stride 2; 4 give patches of 46 pixels."""
    scales: Annotated[int, NUMBER, Field(ge=1, le=4)] = 3
    """Number of discriminators, at 1, 1/2, 1/4, 1/8 of the size."""

    def build(self, channels: int = 3, condition: int = 0) -> StridedGan:
        """Build the network with random weights; `condition` counts the channels of the source image it sees too."""
        from cyclegan.networks.patchgan import StridedGan

        return StridedGan(self, channels, condition)


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """The frozen network whose layers losses compare."""

    network: str = "vgg19"
    """Name of a classifier of torchvision: vgg19, vgg16, squeezenet1_1, ...; or vgg19_normalised."""
    weights: Place | None = None
    """File with its weights (.pth or .safetensors). Without one, they are downloaded once."""
    pooling: Literal["max", "average"] = "max"
    """How it halves the size; with `average`, gradients reach all pixels (Gatys et al. 2016)."""

    def build(self) -> Backbone:
        """Load the trained network. Raises what `load_backbone` raises."""
        from cyclegan.networks.backbones import load_backbone

        return load_backbone(self.network, self.weights, pooling=self.pooling, option="--method.backbone.weights")


GeneratorConfig = Annotated[ResnetConfig | UnetConfig, Field(discriminator="kind")]
"""Generators whose translations depend on the image only, which most methods train."""
AnyGeneratorConfig = Annotated[
    ResnetConfig | UnetConfig | MunitGeneratorConfig | AdainGeneratorConfig, Field(discriminator="kind")
]
"""All generators, which a file or a model may have."""
GENERATORS = ("resnet", "unet", "munit", "adain")
"""Kinds of generator; pydantic puts them among the keys of an error."""
DiscriminatorConfig = Annotated[PatchganConfig | PixelConfig | StridedConfig, Field(discriminator="kind")]
