"""The configs of the methods. They import no torch, so that recipes and `--help` load fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from cyclegan.methods.about import ADAIN, CUT, CYCLEGAN, FASTCUT, MUNIT, PERCEPTUAL, PIX2PIX, About
from cyclegan.networks.config import (
    AdainGeneratorConfig,
    BackboneConfig,
    DiscriminatorConfig,
    GeneratorConfig,
    MunitGeneratorConfig,
    PatchganConfig,
    ResnetConfig,
    StridedConfig,
    UnetConfig,
)
from cyclegan.types import NUMBER, RGB, Channels, Direction, Place

if TYPE_CHECKING:
    from cyclegan.methods.adain import Adain
    from cyclegan.methods.cut import Cut
    from cyclegan.methods.cyclegan import Cyclegan
    from cyclegan.methods.munit import Munit
    from cyclegan.methods.perceptual import Perceptual
    from cyclegan.methods.pix2pix import Pix2pix

Weight = Annotated[float, NUMBER, Field(ge=0, le=1e6)]
"""The weight of a loss."""


@dataclass(frozen=True, kw_only=True)
class CycleganConfig:
    """CycleGAN (Zhu et al. 2017): two generators, both ways."""

    about: ClassVar[About] = CYCLEGAN

    kind: Literal["cyclegan"] = "cyclegan"
    """Two generators, two discriminators, cycle consistency."""
    generator: GeneratorConfig = field(default_factory=ResnetConfig)
    """The architecture of both generators, `a_to_b` and `b_to_a`."""
    discriminator: DiscriminatorConfig = field(default_factory=PatchganConfig)
    """The architecture of both discriminators, `discriminator_a` and `discriminator_b`."""
    gan: Literal["lsgan", "vanilla", "hinge"] = "lsgan"
    """The adversarial loss."""
    cycle: Weight = 10.0
    """Weight of the cycle-consistency loss |BtoA(AtoB(a)) - a|, and of the same for b."""
    cycle_a: Weight | None = None
    """Weight of the cycle A -> B -> A alone; none: the value of `cycle`."""
    cycle_b: Weight | None = None
    """Weight of the cycle B -> A -> B alone; none: the value of `cycle`."""
    identity: Weight = 5.0
    """Weight of the identity loss |BtoA(a) - a|, and of the same for b: it keeps colours. 0 disables it."""
    pool: Annotated[int, NUMBER, Field(ge=0, le=100_000)] = 50
    """Size of each discriminator's history of generated images (Shrivastava et al. 2017); 0 disables it."""

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions in which it translates."""
        return (Direction.AtoB, Direction.BtoA)

    def build(self, channels: Channels = RGB) -> Cyclegan:
        """Build the method with random weights, for pictures with these numbers of channels."""
        from cyclegan.methods.cyclegan import Cyclegan

        return Cyclegan(self, channels)


def _antialiased() -> ResnetConfig:
    return ResnetConfig(downsample="blur", upsample="blur", bias=True)


class _OneSided:
    """Base of the configs of methods with one direction."""

    direction: Direction

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions in which it translates."""
        return (self.direction,)


@dataclass(frozen=True, kw_only=True)
class CutConfig(_OneSided):
    """CUT (Park et al. 2020): contrastive learning of patches."""

    about: ClassVar[About] = CUT

    kind: Literal["cut"] = "cut"
    """One generator; PatchNCE keeps each patch in its place."""
    direction: Direction = Direction.AtoB
    """The direction of the translation."""
    generator: GeneratorConfig = field(default_factory=_antialiased)
    """The architecture of the generator; its first half also encodes the patches for PatchNCE."""
    discriminator: DiscriminatorConfig = field(default_factory=lambda: PatchganConfig(downsample="blur"))
    """The architecture of the discriminator."""
    gan: Literal["lsgan", "vanilla", "hinge"] = "lsgan"
    """The adversarial loss."""
    nce: Weight = 1.0
    """Weight of PatchNCE, the contrastive loss between patches."""
    identity: bool = True
    """Compute half of PatchNCE on images of the target domain, which the generator should not change."""
    flip: bool = False
    """Mirror the inputs in half of the steps, and require mirrored outputs (flip equivariance)."""
    patches: Annotated[int, NUMBER, Field(ge=2, le=100_000)] = 256
    """Number of patches that are compared in each layer."""
    tau: Annotated[float, NUMBER, Field(gt=0, le=100)] = 0.07
    """Temperature of PatchNCE; lower is stricter."""
    head_width: Annotated[int, NUMBER, Field(gt=0, le=4096)] = 256
    """Channels of both layers of the MLP heads that project patches."""

    def build(self, channels: Channels = RGB) -> Cut:
        """Build the method with random weights, for pictures with these numbers of channels."""
        from cyclegan.methods.cut import Cut

        return Cut(self, channels)


@dataclass(frozen=True, kw_only=True)
class FastcutConfig(CutConfig):
    """FastCUT (Park et al. 2020, section 4.2): a faster CUT."""

    about: ClassVar[About] = FASTCUT

    kind: Literal["fastcut"] = "fastcut"  # type: ignore[assignment]
    """CUT without identity, with flips and a larger weight of PatchNCE."""
    nce: Weight = 10.0
    """Weight of PatchNCE, the contrastive loss between patches."""
    identity: bool = False
    """Compute half of PatchNCE on images of the target domain, which the generator should not change."""
    flip: bool = True
    """Mirror the inputs in half of the steps, and require mirrored outputs (flip equivariance)."""


@dataclass(frozen=True, kw_only=True)
class Pix2pixConfig(_OneSided):
    """pix2pix (Isola et al. 2017): learns from pairs."""

    about: ClassVar[About] = PIX2PIX

    kind: Literal["pix2pix"] = "pix2pix"
    """One generator, a discriminator that sees the source too; needs `data.pairs`."""
    direction: Direction = Direction.AtoB
    """The direction of the translation."""
    generator: GeneratorConfig = field(default_factory=UnetConfig)
    """The architecture of the generator."""
    discriminator: DiscriminatorConfig = field(default_factory=lambda: PatchganConfig(norm="batch"))
    """The architecture of the discriminator."""
    gan: Literal["lsgan", "vanilla", "hinge"] = "vanilla"
    """The adversarial loss."""
    l1: Weight = 100.0
    """Weight of the L1 loss |translation - truth|."""

    def build(self, channels: Channels = RGB) -> Pix2pix:
        """Build the method with random weights, for pictures with these numbers of channels."""
        from cyclegan.methods.pix2pix import Pix2pix

        return Pix2pix(self, channels)


@dataclass(frozen=True, kw_only=True)
class AdainConfig(_OneSided):
    """AdaIN (Huang and Belongie 2017): the style of any picture."""

    about: ClassVar[About] = ADAIN

    kind: Literal["adain"] = "adain"
    """One generator, which takes the style of any picture at translation time; learns from contents and styles."""
    direction: Direction = Direction.AtoB
    """The direction of the translation: from contents to styles."""
    generator: AdainGeneratorConfig = field(default_factory=AdainGeneratorConfig)
    """The encoder, and the decoder that mirrors it."""
    weights: Place | None = None
    """File with the weights of the encoder (.pth or .safetensors). Without one, they are downloaded once."""
    content: Weight = 1.0
    """Weight of the content loss: how well features keep the content, once they have the moments of the style."""
    style: Weight = 10.0
    """Weight of the style loss: the distance of the moments of layers from those of the style."""
    tv: Weight = 0.0
    """Weight of the total variation, the mean squared difference of neighbouring pixels, which smooths."""

    def build(self, channels: Channels = RGB) -> Adain:
        """Build the method with random weights, for pictures with these numbers of channels."""
        from cyclegan.methods.adain import Adain

        return Adain(self, channels)


@dataclass(frozen=True, kw_only=True)
class MunitConfig:
    """MUNIT (Huang et al. 2018): contents and styles, both ways."""

    about: ClassVar[About] = MUNIT

    kind: Literal["munit"] = "munit"
    """Two auto-encoders that share contents and exchange styles: many translations of each image."""
    generator: MunitGeneratorConfig = field(default_factory=MunitGeneratorConfig)
    """The architecture of the encoders and decoders, in `a_to_b` and `b_to_a`."""
    discriminator: DiscriminatorConfig = field(default_factory=StridedConfig)
    """The architecture of both discriminators, `discriminator_a` and `discriminator_b`."""
    gan: Literal["lsgan", "vanilla", "hinge"] = "lsgan"
    """The adversarial loss; its parts, of scales and of real and generated images, are added and not averaged."""
    image: Weight = 10.0
    """Weight of the L1 distance of an image from its reconstruction by its own content and style."""
    content: Weight = 1.0
    """Weight of the L1 distance of the content of a translation from the content that it was made of."""
    style: Weight = 1.0
    """Weight of the L1 distance of the style of a translation from the style that it was made of."""
    cycle: Weight = 0.0
    """Weight of the L1 distance of an image from its translation there and back, with its own style."""
    perceptual: Weight = 0.0
    """Weight of the domain-invariant perceptual loss; the authors use 1 for images of 512 pixels and more."""
    perceptual_layer: str = "relu4_3"
    """The layer of the backbone that it compares."""
    backbone: BackboneConfig = field(default_factory=lambda: BackboneConfig(network="vgg16"))
    """The frozen network of the perceptual loss; not loaded without it."""

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions in which it translates."""
        return (Direction.AtoB, Direction.BtoA)

    def build(self, channels: Channels = RGB) -> Munit:
        """Build the method with random weights, for pictures with these numbers of channels."""
        from cyclegan.methods.munit import Munit

        return Munit(self, channels)


class Layers(NamedTuple):
    """The layers of a backbone that losses of content and style compare."""

    content: str
    style: tuple[str, ...]


_OF_VGG = Layers("relu2_2", ("relu1_2", "relu2_2", "relu3_3", "relu4_3"))

LAYERS: dict[str, Layers] = {
    "vgg16": _OF_VGG,  # Johnson et al. 2016, section 4.1
    "vgg19": _OF_VGG,
    "vgg19_normalised": _OF_VGG,
    "squeezenet1_1": Layers("features.3", ("features.1", "features.4", "features.6", "features.7")),
}
"""The layers of each backbone that are compared by default."""


def _fast() -> ResnetConfig:
    return ResnetConfig(width=32, blocks=5, upsample="resize")


@dataclass(frozen=True, kw_only=True)
class PerceptualConfig(_OneSided):
    """Perceptual losses (Johnson et al. 2016): one style, from one picture."""

    about: ClassVar[About] = PERCEPTUAL

    kind: Literal["perceptual"] = "perceptual"
    """One generator that learns one style, of one or a few pictures in the target folder; no discriminator."""
    direction: Direction = Direction.AtoB
    """The direction of the translation: AtoB gives the pictures of A the style of those in B."""
    generator: GeneratorConfig = field(default_factory=_fast)
    """The architecture of the generator."""
    content: Weight = 1.0
    """Weight of the content loss, the squared difference of features, as a share of their mean square."""
    style: Weight = 3.0
    """Weight of the style loss, the squared difference of Gram matrices, as a share of their mean square."""
    tv: Weight = 0.0
    """Weight of the total variation, the mean squared difference of neighbouring pixels, which smooths."""
    backbone: BackboneConfig = field(default_factory=lambda: BackboneConfig(network="vgg16"))
    """The frozen network whose features are compared."""
    content_layer: str | None = None
    """The layer that content is compared in; none: the usual one of vgg16, vgg19 or squeezenet1_1."""
    style_layers: tuple[str, ...] | None = None
    """List of the layers that style is compared in; none: the usual ones of vgg16, vgg19 or squeezenet1_1."""

    @property
    def layers(self) -> Layers:
        """The layers that are compared. Raises ValueError if those of the network are not known and not chosen."""
        usual = LAYERS.get(self.backbone.network, Layers("", ()))
        layers = Layers(self.content_layer or usual.content, self.style_layers or usual.style)
        if not all(layers):
            lacking = " and ".join(
                name for name, chosen in zip(("content_layer", "style_layers"), layers, strict=True) if not chosen
            )
            known = ", ".join(LAYERS)
            raise ValueError(f"method.{lacking}: say which for {self.backbone.network}; they are known for {known}")
        return layers

    def build(self, channels: Channels = RGB) -> Perceptual:
        """Build the method with random weights, for pictures with these numbers of channels."""
        from cyclegan.methods.perceptual import Perceptual

        return Perceptual(self, channels)
