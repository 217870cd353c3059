"""The engine that runs a generator with ONNX Runtime or OpenVINO, on the CPU and without torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.inference.bands.session_runner import SessionRunner
from cyclegan.inference.engine import Name
from cyclegan.inference.engines.arrays import images_of, pixels_of
from cyclegan.inference.engines.session_engine import SessionEngine, session_of
from cyclegan.inference.engines.sessions import Session
from cyclegan.inference.graph.nodes import Code, Graph

if TYPE_CHECKING:
    from torch import Tensor


class LibraryEngine:
    """Runs a generator by a session of ONNX Runtime or OpenVINO; see `Engine`."""

    on_cpu = True

    def __init__(
        self,
        session: SessionEngine,
        digest: str | None = None,
        threads: int = 0,
        *,
        encode_style: Callable[[Pixels], Code] | None = None,
        has_prior: bool = False,
    ) -> None:
        self.session, self.threads, self._encode_style = session, threads, encode_style
        self.digest = digest or session.digest
        """The SHA-256 of the generator, wherever it was loaded from."""
        self.name: Name = session.name
        self.inputs, self.outputs = session.inputs, session.outputs
        self.style_size, self.has_prior = session.style_size, has_prior
        self.precision: str = session.precision
        self.note: Callable[[str], object] = lambda line: None
        """Called with a line for the user."""
        self.expected = 0
        """Number of pixels to translate, if known."""

    @property
    def graph(self) -> Graph | None:
        """The generator as simple operations; None for a model that can only be run as a whole."""
        return self.session.graph

    @property
    def is_finite(self) -> bool:
        """Whether all weights are finite, as far as they are known."""
        nodes = self.graph.nodes.values() if self.graph else ()
        known = (weights for node in nodes for weights in (node.weight, node.bias) if weights is not None)
        return all(bool(np.isfinite(weights).all()) for weights in known)

    def pixels(self, pixels: Pixels, target: PictureFormat, style: Code | None = None) -> Pixels:
        """Translate pictures (N, H, W, C), pixels of the source domain, to those of the target domain.

        Raises ValueError when the translation holds NaN.
        """
        return pixels_of(self.session(images_of(pixels), style), target)

    def translate(self, images: Tensor, style: Code | None = None) -> Tensor:
        """Translate (N, C, H, W) in [-1, 1] to the same size and range, float32 on the CPU."""
        import torch

        return torch.from_numpy(self.session(images.cpu().numpy(), style))

    def encode_style(self, pixels: Pixels) -> Code:
        """Return the style codes (N, style_size) of pictures (N, H, W, C), pixels of the target domain.

        Raises ValueError when what finds styles was not exported.
        """
        if self._encode_style is None:
            raise ValueError("what finds the style of a picture is not beside the model; export it again")
        return self._encode_style(pixels)

    def runner(self, target: PictureFormat, style: Code | None = None) -> SessionRunner:
        """Return what computes bands in one style; the generator has a graph."""
        assert self.graph is not None
        name, precision = self.session.name, self.session.precision

        def session(model: bytes, precisely: bool) -> Session:
            return session_of(name, model, "float32" if precisely else precision, self.threads)

        return SessionRunner(self.graph.bound(style), session, target)

    def settle(self, pixels: Pixels, times: float, style: Code | None = None) -> None:
        """Do nothing: a session is ready for all sizes."""

    def batch_size(self, height: int, width: int) -> int:
        """Return 1: on a CPU, larger batches are not faster."""
        return 1
