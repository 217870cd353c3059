"""How a picture is stylized: every number in one frozen dataclass. It imports no torch, so that `--help` is fast."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Literal, get_args

Start = Literal["content", "noise"]
"""What a painting starts from, unless it is another picture."""

Colour = Literal["style", "luminance", "histogram", "covariance"]
"""Where the colours come from: the style, or in one of three ways the content."""

Descent = Literal["lbfgs", "adam"]
"""How the picture is optimised."""

Pooling = Literal["auto", "max", "average"]

LARGEST_SCALE = 8.0
"""The largest `style_scale`."""

MOST_ITERATIONS = 10**6
MOST_SHIFTS = 16


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How pictures are stylized (Gatys et al. 2016). Raises ValueError, which names the option, for impossible values.

    Losses are relative, so that weights mean the same for every network, layer, size and picture: each is 1 for a
    picture without content, without the style, or as rough as the style.
    """

    network: str = "vgg19"
    """Name of the network that compares pictures: a classifier of torchvision, or vgg19_normalised."""
    weights: Path | None = None
    """File with its weights (.pth or .safetensors). Without one, they are downloaded once."""
    pooling: Pooling = "auto"
    """How it halves the size; with `average`, gradients reach all pixels (Gatys et al. 2016, section 2)."""
    normalise: bool = False
    """Scale a VGG so that all of its channels have the same mean activation over content and styles."""
    content_layers: tuple[str, ...] = ()
    """Layers whose features the picture shares with the content; empty: what is usual for the network."""
    style_layers: tuple[str, ...] = ()
    """Layers whose Gram matrices the picture shares with the style; empty: what is usual for the network."""

    content_weight: float = 1.0
    """Weight of the content loss; 0 gives a texture."""
    style_weight: float = 10.0
    """Weight of the style loss, relative to the content loss; larger is stronger."""
    tv_weight: float = 0.1
    """Weight of the total variation; larger is smoother."""
    photo_weight: float = 0.0
    """Weight of the matting Laplacian, which keeps edges as straight as in a photograph (Luan et al. 2017)."""
    style_weights: tuple[float, ...] = ()
    """The share of each style; empty: all have the same."""
    style_scale: float = 1.0
    """Size of the strokes: of the style picture, relative to the painting."""

    init: Start | Path = "content"
    """What to start from: the content, noise, or a picture."""
    colour: Colour = "style"
    """Colours: of the style; or of the content, by its chroma, or by a style that gets its colours before."""

    size: int | None = None
    """Length of the shorter side of the painting, in pixels; None: that of the content."""
    iterations: int = 200
    """Number of steps at all sizes together; most of them are done at small sizes."""
    levels: int | None = None
    """Largest number of sizes, each twice the one before; None: from about 100 pixels on, 1: full size only."""
    seconds: float | None = None
    """Time for a picture, divided between the sizes; it has fewer iterations when they do not fit."""
    optimizer: Descent = "lbfgs"
    """L-BFGS, or Adam, which needs more iterations and less memory."""
    lr: float = 0.015
    """Step size of Adam, where black is -1 and white 1."""
    shifts: int | None = None
    """Number of offsets at which the network sees the picture in turn, which leaves no grid; None: what is usual."""
    seed: int = 0
    """Seed of the noise."""

    def __post_init__(self) -> None:
        for name in ("content_weight", "style_weight", "tv_weight", "photo_weight"):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"--{name}: must be at least 0, not {getattr(self, name):g}")
        if self.style_weights and not (min(self.style_weights) >= 0 and 0 < sum(self.style_weights) < inf):
            raise ValueError("--style_weights: must be at least 0, and one of them more")
        if not 0 < self.style_scale <= LARGEST_SCALE:
            raise ValueError(f"--style_scale: must be above 0 and at most {LARGEST_SCALE:g}, not {self.style_scale:g}")
        if not 0 < self.lr <= 1:
            raise ValueError(f"--lr: must be above 0 and at most 1, not {self.lr:g}")
        if self.seconds is not None and not 0 < self.seconds < inf:
            raise ValueError(f"--seconds: must be above 0, not {self.seconds:g}")
        limits = {"size": inf, "levels": inf, "iterations": MOST_ITERATIONS, "shifts": MOST_SHIFTS}
        for name, most in limits.items():
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                bounds = f"1 to {most:,}" if most < inf else "at least 1"
                raise ValueError(f"--{name}: must be {bounds}, not {value:,}")
        for name, words in (("optimizer", Descent), ("colour", Colour), ("pooling", Pooling)):
            if getattr(self, name) not in get_args(words):
                raise ValueError(f"--{name}: expected {', '.join(get_args(words))}, not {getattr(self, name)}")

    def __str__(self) -> str:
        """What differs from the defaults and determines a painting, in a line: `style_weight 3 init noise`."""
        usual, words = Settings(), list[str]()
        for each in fields(self):
            value = getattr(self, each.name)
            if value == getattr(usual, each.name) or each.name in ("network", "weights"):
                continue
            words.append(f"{each.name} {' '.join(map(str, value)) if isinstance(value, tuple) else value}")
        return " ".join(words)

    def weights_of(self, styles: int) -> tuple[float, ...]:
        """Return the weight of each of some styles. Raises ValueError if there are more or fewer weights."""
        if self.style_weights and len(self.style_weights) != styles:
            raise ValueError(f"--style_weights: {styles} styles, but {len(self.style_weights)} weights")
        return self.style_weights or (1.0,) * styles
