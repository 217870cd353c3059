"""AdaIN: the style of any picture, by the moments of its features (Huang and Belongie 2017)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from cyclegan.losses.style import content_loss, moments_loss, total_variation
from cyclegan.methods.base import Method, Player
from cyclegan.methods.config import AdainConfig
from cyclegan.networks.adain import AdainGenerator
from cyclegan.networks.base import Generator
from cyclegan.networks.pretrained import read_weights
from cyclegan.types import RGB, Batch, Channels, Direction, Images, Losses


class Adain(Method):
    """One generator, whose decoder learns to show the features of contents with the moments of styles.

    The source domain has the contents, the target domain the styles. There is no discriminator.
    Raises ValueError for pictures that do not have three channels.
    """

    saves_backbone = True

    def __init__(self, config: AdainConfig, channels: Channels = RGB) -> None:
        super().__init__()
        self.config = config
        self.source, self.target = config.direction.source, config.direction.target
        self.generator: AdainGenerator = config.generator.build(channels.of(self.source), channels.of(self.target))

    @property
    def players(self) -> tuple[Player, ...]:
        """The generator, of which only the decoder has parameters."""
        return (Player("generator", {"generator": self.generator}, self.generator_loss),)

    def generators(self) -> dict[Direction, Generator]:
        """Return the generator, by the direction of the config."""
        return {self.config.direction: self.generator}

    def load_backbone(self) -> None:
        """Load the weights of the encoder, which the losses also compare with."""
        name, file = self.config.generator.encoder, self.config.weights
        weights = read_weights(name, file, "--method.weights")
        try:
            self.generator.load_encoder(weights.state)
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file}: not the weights of {name}: {' '.join(str(error).split())}") from None

    def samples(self, direction: Direction, batch: Batch, generators: Mapping[Direction, Generator]) -> Images:
        """Return `real`, `fake`, the picture `style` that it took the style of, half of that style, and none of it.

        Contents without a picture of the target domain get no style.
        """
        real, styles, network = batch.of(direction.source), batch.of(direction.target), generators[direction]
        assert isinstance(network, AdainGenerator)
        if not len(styles):
            return {"real": real, "fake": network(real)}
        style = styles[torch.arange(len(real), device=styles.device) % len(styles)]
        code = network.encode_style(style)
        return {
            "real": real,
            "fake": network(real, code),
            "style": style,
            "half": network(real, network.weaken(code, 0.5)),
            "reconstruction": network(real),
        }

    def forward(self, batch: Batch) -> Images:
        """Return `fake`, the contents in the styles, `content_target`, the features that it should have (eq. 11), and
        `style_1`, `style_2`, ..., the layers of the styles.
        """
        generator, contents = self.generator, batch.of(self.source)
        with torch.no_grad():
            *_, content = generator.layers(contents)
            styles = generator.layers(batch.of(self.target))
            target = generator.adapt(content, generator.code_of(styles[-1]))
        height, width = contents.shape[2:]
        fake = generator.decode(target)[:, :, :height, :width]
        layers = {f"style_{number}": layer for number, layer in enumerate(styles, start=1)}
        return {"fake": fake, "content_target": target, **layers}

    def generator_loss(self, batch: Batch, images: Images) -> Losses:
        """Return the losses of content and style (eq. 12 and 13), and the total variation, which the paper has not."""
        made = [_precise(layer) for layer in self.generator.layers(images["fake"])]
        wanted = [_precise(images[f"style_{number}"]) for number in range(1, len(made) + 1)]
        styles = [moments_loss(own, other) for own, other in zip(made, wanted, strict=True)]
        return {
            "content": self.config.content * content_loss(made[-1], _precise(images["content_target"])),
            "style": self.config.style * torch.stack(styles).sum(),
            "tv": self.config.tv * total_variation(_precise(images["fake"])),
        }


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
