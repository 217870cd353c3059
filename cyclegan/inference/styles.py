"""The style that each picture of a folder is translated in: that of pictures, one chosen for each, or a random one."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan.data.files import UnreadableImage, find_images
from cyclegan.inference.graph.nodes import Code
from cyclegan.util.text import reason, shown

if TYPE_CHECKING:
    from cyclegan.inference.translator import Translator

KEPT = 64
"""How many style codes of pictures are kept, so that each picture is read once for several translations."""


@dataclass(frozen=True, kw_only=True)
class Styles:
    """Which styles are used. Raises ValueError for values that are not possible together."""

    pictures: tuple[Path, ...] = ()
    """Pictures whose styles are mixed, or one folder, from which each source gets a picture; none: random styles."""
    weights: tuple[float, ...] = ()
    """The share of each picture; none: all have the same."""
    strength: float = 1.0
    """1: the whole style; 0: none of it."""
    seed: int = 0
    """The seed of random styles, and of the choice from a folder."""
    variant: int = 0
    """The number of the style, if each picture is translated in several."""

    def __post_init__(self) -> None:
        if missing := next((path for path in self.pictures if not path.exists()), None):
            raise FileNotFoundError(f"--style: {shown(missing)}: no such picture or directory")
        if len(self.pictures) > 1 and any(path.is_dir() for path in self.pictures):
            raise ValueError("--style: give one directory or several pictures, not both")
        if self.weights and len(self.weights) != len(self.pictures):
            raise ValueError(f"--style_weights: {len(self.pictures)} style pictures, but {len(self.weights)} weights")
        if self.weights and (min(self.weights) < 0 or not 0 < sum(self.weights) < float("inf")):
            raise ValueError("--style_weights: must be at least 0, and one of them more")
        if not 0 <= self.strength < float("inf"):
            raise ValueError(f"--style_strength: must be at least 0, not {self.strength:g}")

    @property
    def is_default(self) -> bool:
        """Whether nothing was chosen."""
        return self == Styles()

    @property
    def folder(self) -> Path | None:
        """The directory from which each source gets a picture."""
        return self.pictures[0] if len(self.pictures) == 1 and self.pictures[0].is_dir() else None

    def __str__(self) -> str:
        """What determines the styles, in a line; empty for what was not chosen."""
        if self.is_default:
            return ""
        parts = [f"style {_digest(self.pictures)}"] if self.pictures else ["style"]
        parts += [f"by {' '.join(f'{weight:g}' for weight in self.weights)}"] if self.weights else []
        parts += [f"strength {self.strength:g}"] if self.strength != 1 else []
        parts += [f"seed {self.seed}", f"variant {self.variant}"] if self.folder or not self.pictures else []
        return " ".join(parts)


class Stylist:
    """Finds the style code of each picture for a translator.

    Raises ValueError when the model takes no style, or not this kind of style, and UnreadableImage for a style picture
    that cannot be read; each message names the option.
    """

    def __init__(self, translator: Translator, styles: Styles) -> None:
        self.translator, self.styles = translator, styles
        engine = translator.engine
        if not engine.style_size and not styles.is_default:
            raise ValueError("--style, --styles, --style_strength, --seed: this model has one style and takes no other")
        self.names = _names(styles.folder) if styles.folder else []
        if engine.style_size and not (styles.pictures or engine.has_prior):
            raise ValueError("--style: this model takes its style from a picture; give one, or a directory of them")
        self._encoded = lru_cache(KEPT)(self._encode)
        if engine.style_size and not styles.folder:
            self.of("")  # so that a mistake is told before the first picture is read

    def of(self, name: str) -> Code | None:
        """Return the style code (1, S) of a source by its name below its folder; None for a model without styles."""
        styles = self.styles
        if not self.translator.engine.style_size:
            return None
        if styles.folder:
            key = zlib.crc32(f"{styles.seed} {styles.variant} {name}".encode("utf-8", "surrogateescape"))
            return self._encoded((styles.folder / self.names[key % len(self.names)],))
        if styles.pictures:
            return self._encoded(styles.pictures)
        return self.translator.random_style(styles.seed, styles.variant, strength=styles.strength)

    def _encode(self, pictures: tuple[Path, ...]) -> Code:
        try:
            weights, strength = self.styles.weights, self.styles.strength
            return self.translator.style_of(*pictures, weights=weights, strength=strength)
        except UnreadableImage as error:
            raise UnreadableImage(f"--style: {error}") from None
        except ValueError as error:
            raise ValueError(f"--style: {reason(error)}") from None


def _names(folder: Path) -> list[str]:
    """Return the names of the pictures in a directory. Raises FileNotFoundError when there are none."""
    try:
        return find_images(folder).names
    except FileNotFoundError as error:
        raise FileNotFoundError(f"--style: {error}") from None


def _digest(pictures: tuple[Path, ...]) -> str:
    """Return a digest of the contents of style pictures, or of the names and sizes of those in a directory."""
    whole = hashlib.sha256()
    for path in pictures:
        if path.is_dir():
            for name in _names(path):
                whole.update(f"{name} {(path / name).stat().st_size}\n".encode("utf-8", "surrogateescape"))
        else:
            whole.update(path.read_bytes())
    return whole.hexdigest()[:12]
