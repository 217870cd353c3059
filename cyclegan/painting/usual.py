"""What is usual for a network: the layers of content and style, its pooling, and at how many offsets it looks."""

from __future__ import annotations

from typing import Literal, NamedTuple

from cyclegan.painting.settings import Settings


class Usual(NamedTuple):
    """What is usual for a network."""

    content: tuple[str, ...]
    style: tuple[str, ...]
    pooling: Literal["max", "average"]
    shifts: int
    """A network whose first layer skips pixels leaves a grid, unless it sees the picture at several offsets."""


VGG = Usual(("relu4_2",), tuple(f"relu{block}_1" for block in range(1, 6)), "average", 1)
"""Gatys et al. 2016, where layers are called `conv4_2`, but are read after the ReLU, which works in place."""

SQUEEZENET = Usual(
    ("features.6",),
    tuple(f"features.{place}" for place in (1, 4, 7, 10, 12)),
    "max",
    8,
)
"""Found by looking at paintings: average pooling leaves a net of fine lines."""

RESNET = Usual(("layer2",), ("relu", "layer1", "layer2", "layer3"), "max", 8)
"""Not tried."""

USUAL: dict[str, Usual] = {"vgg": VGG, "squeezenet": SQUEEZENET, "resnet": RESNET}
"""By the beginning of the name; networks of other names need their layers to be given."""


def usual_for(settings: Settings) -> Usual:
    """Return the layers, the pooling and the number of offsets: those of the settings, or else the usual ones.

    Raises ValueError for a network without usual layers, if the settings do not name any.
    """
    known = next((usual for name, usual in USUAL.items() if settings.network.startswith(name)), None)
    known = None if settings.network.endswith("_bn") else known  # their layers have other names
    if known is None and not (settings.content_layers and settings.style_layers):
        raise ValueError(f"{settings.network}: say which layers to compare, by --content_layers and --style_layers")
    base = known or Usual((), (), "max", RESNET.shifts)
    return Usual(
        settings.content_layers or base.content,
        settings.style_layers or base.style,
        base.pooling if settings.pooling == "auto" else settings.pooling,
        settings.shifts or base.shifts,
    )
