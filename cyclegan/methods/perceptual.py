"""Perceptual losses: one feed-forward network that gives pictures one style (Johnson et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from cyclegan.losses.style import content_loss, gram, gram_loss, total_variation
from cyclegan.methods.base import Method, Player
from cyclegan.methods.config import PerceptualConfig
from cyclegan.methods.pool import Gather
from cyclegan.methods.running_mean import RunningMean
from cyclegan.networks.backbones import Backbone
from cyclegan.networks.base import Generator
from cyclegan.types import RGB, Batch, Channels, Direction, Images, Losses

LEAST = 1e-8
"""Smallest mean square that a loss is divided by."""


class Perceptual(Method):
    """One generator, trained against the features of a frozen network, without a discriminator.

    The source domain holds contents, the target domain the picture or pictures of one style. The target of the style
    loss is the mean of the Gram matrices of all crops of them that training has seen. For a squared difference it has
    the same gradient as the crops in turn, but without their noise.

    Each loss is divided by the mean square of its target, also a mean over training, so that a weight means the same
    for every network and layer: 1 is the loss of features that are all 0. The paper's losses (eq. 2, and eq. 4 with
    matrices divided by C H W, see `gram_loss`) are not divided. So a weight `content` is the paper's weight times the
    mean square of the content layer; and `style`, over the number of style layers, is the paper's weight times the mean
    square of the Gram matrix of a layer (not divided by C), which differs between layers by orders of magnitude. The
    paper's weights, such as 1 and 5 in the authors' code, cannot be taken over.
    Raises ValueError for pictures that do not have three channels, and for a network whose layers are not chosen.
    """

    def __init__(self, config: PerceptualConfig, channels: Channels = RGB) -> None:
        super().__init__()
        if channels != RGB:
            found = f"A and B have {channels.a} and {channels.b} channels; set both to 3 if they are grey pictures"
            raise ValueError(f"data.a.channels, data.b.channels: the backbone looks at three channels, but {found}")
        self.config, self.layers = config, config.layers
        self.source, self.target = config.direction.source, config.direction.target
        self.generator = config.generator.build(channels.of(self.source), channels.of(self.target))
        self.targets = RunningMean()
        self.backbone: Backbone | None = None

    @property
    def players(self) -> tuple[Player, ...]:
        """The generator, the only player."""
        return (Player("generator", {"generator": self.generator}, self.generator_loss),)

    def generators(self) -> dict[Direction, Generator]:
        """Return the generator, by the direction of the config."""
        return {self.config.direction: self.generator}

    def samples(self, direction: Direction, batch: Batch, generators: Mapping[Direction, Generator]) -> Images:
        """Return `real`, `fake` and, if it has the same size, `style`: a picture of the target domain for each."""
        shown, styles = super().samples(direction, batch, generators), batch.of(direction.target)
        if len(styles) and styles.shape[1:] == shown["real"].shape[1:]:
            shown["style"] = styles[torch.arange(len(shown["real"]), device=styles.device) % len(styles)]
        return shown

    def load_backbone(self) -> None:
        """Load the network whose features are compared.

        Raises what `load_backbone` raises, and ValueError for layers that it does not have.
        """
        self.backbone = self.config.backbone.build()
        try:
            self.backbone(torch.zeros(1, 3, 64, 64), [self.layers.content, *self.layers.style])
        except ValueError as error:
            raise ValueError(f"method.content_layer, method.style_layers: {error}") from None

    def share(self, gather: Gather, random: torch.Generator | None) -> None:
        """Make the targets those of the pictures of all processes."""
        super().share(gather, random)
        self.targets.gather = gather

    def forward(self, batch: Batch) -> Images:
        """Return `fake`, the translation of the source images, and what the losses compare it with.

        - `content_target`: the content layer of the source images;
        - `content_power`: the mean square of the content layer in training, a scalar;
        - `style_0`, `style_1`, ...: the mean Gram matrix (1, C, C) of each style layer.
        """
        source = batch.of(self.source)
        with torch.no_grad():
            [content] = self._features(source, [self.layers.content])
            grams = [_gram(layer) for layer in self._features(batch.of(self.target), self.layers.style)]
            powers = content.square().mean(dim=(1, 2, 3))
            vectors = torch.cat([powers[:, None], *(each.flatten(1) for each in grams)], dim=1)
        power, *means = self.targets(vectors).split([1, *(each[0].numel() for each in grams)])
        styles = {f"style_{number}": mean.view(1, *grams[number].shape[1:]) for number, mean in enumerate(means)}
        return {"fake": self.generator(source), "content_target": content, "content_power": power[0], **styles}

    def generator_loss(self, batch: Batch, images: Images) -> Losses:
        """Return the content, style and total variation losses (section 3.2)."""
        config, layers, fake = self.config, self.layers, images["fake"]
        content, *styles = self._features(fake, [layers.content, *layers.style])
        targets = [images[f"style_{number}"] for number in range(len(layers.style))]
        distances = [
            gram_loss(_gram(layer), target) / target.square().mean().clamp(min=LEAST)
            for layer, target in zip(styles, targets, strict=True)
        ]
        distance = content_loss(content, images["content_target"]) / images["content_power"].clamp(min=LEAST)
        return {
            "content": config.content * distance,
            "style": config.style * torch.stack(distances).mean(),
            "tv": config.tv * total_variation(_precise(fake)),
        }

    def _features(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """Return layers of the backbone, in float32 or higher precision."""
        assert self.backbone is not None, "load_backbone has not been called"
        return [_precise(layer) for layer in self.backbone(images, layers)]


def _gram(layer: Tensor) -> Tensor:
    """Return the Gram matrices of a layer in its own precision, also under autocast."""
    with torch.autocast(layer.device.type, enabled=False):
        return gram(layer)


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
