"""How the pictures of a directory are translated, apart from the generator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cyclegan.data.format import PictureFormat
from cyclegan.data.write import Output
from cyclegan.inference.finish import Finish
from cyclegan.inference.masks import Masks
from cyclegan.inference.sizes import Sizing
from cyclegan.inference.styles import Styles


@dataclass(frozen=True, kw_only=True)
class Options:
    """How pictures are translated and written."""

    sizing: Sizing = field(default_factory=Sizing)
    """The size at which they are translated, and that of the output."""
    finish: Finish = field(default_factory=Finish)
    """What of the source is kept."""
    masks: Masks | None = None
    """Where they are translated; None for everywhere."""
    output: Output = field(default_factory=Output)
    """How files are written."""
    styles: Styles = field(default_factory=Styles)
    """The styles of a model that has several."""

    def __str__(self) -> str:
        """The options that determine an output, apart from its name, in a line; empty if all are at their default."""
        output = self.output
        parts = [self.sizing, self.finish, self.masks or "", output.quality or "", "strip" if output.strip else ""]
        parts += [self.styles]
        return " ".join(str(part) for part in parts if str(part))

    @property
    def needs_source(self) -> bool:
        """Whether outputs depend on the source in its full size."""
        return self.sizing.detail or bool(self.finish) or self.masks is not None

    def known(self, source: PictureFormat, target: PictureFormat, trained: int | None) -> Options:
        """Return the options for a model of these formats, which was trained at a size, if that is known.

        Raises ValueError for options that do not suit it.
        """
        self.finish.check(source, target, masked=self.masks is not None)
        return replace(self, sizing=self.sizing.known(trained))
