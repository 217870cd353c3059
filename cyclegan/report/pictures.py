"""The test pictures of a run, their translations, and the patches that its discriminator classifies as fake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.config import DataConfig
from cyclegan.data.convert import image_of, tensor_of, to_image, to_tensor
from cyclegan.data.files import UnreadableImage
from cyclegan.data.fit import Fit
from cyclegan.data.overlay import overlaid
from cyclegan.data.sources import Source, sources, unseen_split
from cyclegan.inference.styles_in_turn import StylesInTurn
from cyclegan.inference.translator import Translator
from cyclegan.inference.weights import fill, weights_of
from cyclegan.networks.base import Critic
from cyclegan.types import Direction


class Scorer(NamedTuple):
    """A critic with its weights, and the score that separates real from fake."""

    network: Critic
    boundary: float


class Translated(NamedTuple):
    """The RGB views of a test picture and its translation."""

    path: Path
    real: Image.Image
    fake: Image.Image
    style: Image.Image | None
    """The RGB view of the picture whose style the translation has, if it has one."""
    patches: Tensor | None
    """(H', W') scores minus the critic's boundary: below 0 is fake. None without a critic."""

    @property
    def score(self) -> float:
        """The mean score of the patches."""
        assert self.patches is not None
        return float(self.patches.mean())


def unseen_source(data: DataConfig, direction: Direction) -> Source:
    """The source of the test pictures of a direction."""
    return sources(data, unseen_split(data))[direction.source]


def find_tests(data: DataConfig, direction: Direction) -> Sequence[Path]:
    """The test pictures of a direction, sorted; none if their folder does not exist any more."""
    try:
        return unseen_source(data, direction).find()
    except OSError:
        return []


def translated(
    source: Source, paths: Sequence[Path], fit: Fit, translator: Translator, critic: Scorer | None
) -> Iterator[Translated | None]:
    """Translate each picture of a source in turn; None for one that cannot be read."""
    for path in paths:
        try:
            batch = tensor_of(source.read(path, fit))
        except UnreadableImage:
            yield None
            continue
        fake = translator.translate_batch(batch)
        real, seen = image_of(batch[0], source.format), image_of(fake[0].cpu(), translator.target)
        yield Translated(path, real, seen, _style(translator), _scored(fake, batch, critic, translator))


def _style(translator: Translator) -> Image.Image | None:
    """The picture whose style the last translation has."""
    styles = translator.default_style
    pictures = styles.pictures(1) if isinstance(styles, StylesInTurn) and translator.engine.style_size else None
    return image_of(pictures[0][0], translator.target) if pictures else None


@torch.inference_mode()
def _scored(fake: Tensor, source: Tensor, critic: Scorer | None, translator: Translator) -> Tensor | None:
    if critic is None:
        return None
    with translator.torch.arithmetic:
        scores = critic.network.patches(fake, source.to(fake.device))
    return scores[0, 0].float().cpu() - critic.boundary


def critic_of(checkpoint: Checkpoint, direction: Direction, device: torch.device) -> Scorer | None:
    """The critic that scored the translations of a direction in training; None if the method has none.

    Raises ValueError for weights that do not match the recipe.
    """
    with torch.device("meta"):
        method = checkpoint.recipe.build()
    critic = method.critics().get(direction)
    if critic is None:
        return None
    fill(critic, weights_of(critic, method, checkpoint.method))
    return Scorer(critic.to(device).eval(), method.boundary)


def patch_map(fake: Image.Image, patches: Tensor, limit: float) -> Image.Image:
    """The picture under its patch scores; the colour is fullest from `limit` on."""
    return to_image(overlaid(to_tensor(fake)[None], (patches / limit).clamp(-1, 1)[None, None])[0])
