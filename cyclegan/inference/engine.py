"""What a translator needs of the library that runs a generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.inference.bands.runner import Runner
from cyclegan.inference.graph.nodes import Code, Graph

if TYPE_CHECKING:
    from torch import Tensor

Name = Literal["torch", "onnxruntime", "openvino"]
"""The libraries that run generators."""


@runtime_checkable
class Engine(Protocol):
    """Runs one generator. Not thread-safe; a `Translator` calls it from one thread at a time.

    A `style` is a code for each picture, (N, style_size), or one for all, (1, style_size); None: the code of zeros.
    """

    name: Name
    inputs: int
    """The number of channels of the pictures that it translates."""
    outputs: int
    """The number of channels of the translations."""
    style_size: int
    """The length of a style code; 0 for a generator without styles."""
    has_prior: bool
    """Whether styles may be drawn from N(0, 1)."""
    precision: str
    """The precision that was asked for, or "auto"."""
    note: Callable[[str], object]
    """Called with a line for the user."""
    expected: int
    """Number of pixels to translate, if known; set by the caller."""

    @property
    def graph(self) -> Graph | None:
        """The generator as simple operations; None if it is not known."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the generator, wherever it was loaded from."""

    @property
    def is_finite(self) -> bool:
        """Whether all weights are finite."""

    @property
    def on_cpu(self) -> bool:
        """Whether it computes on the CPU, in the memory of this process."""

    def pixels(self, pixels: Pixels, target: PictureFormat, style: Code | None = None) -> Pixels:
        """Translate pictures (N, H, W, C), `Pixels` of the source domain, to those of the target domain.

        Raises ValueError when the translation holds NaN.
        """

    def translate(self, images: Tensor, style: Code | None = None) -> Tensor:
        """Translate (N, C, H, W) in [-1, 1] to the same size and range, float32."""

    def runner(self, target: PictureFormat, style: Code | None = None) -> Runner[Any]:
        """Return what computes bands in one style, (1, style_size); only for engines that have a graph."""

    def settle(self, pixels: Pixels, times: float, style: Code | None = None) -> None:
        """Prepare for `times` more batches like these pictures (N, H, W, C), if that saves time: compile."""

    def encode_style(self, pixels: Pixels) -> Code:
        """Return the style codes (N, style_size) of pictures (N, H, W, C), pixels of the target domain.

        Raises ValueError when the engine cannot find styles.
        """

    def batch_size(self, height: int, width: int) -> int:
        """Return a good batch size for pictures of this size."""
