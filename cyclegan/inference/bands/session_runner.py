"""Banded inference by ONNX Runtime and OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.inference.bands.plan import Pass
from cyclegan.inference.bands.runner import Moments, Statistics
from cyclegan.inference.engines.arrays import Images, images_of, pixels_of
from cyclegan.inference.engines.onnx_model import part_of
from cyclegan.inference.engines.sessions import Session
from cyclegan.inference.graph.nodes import Graph


class ArrayStore:
    """A layer (1, C, H, W) of a whole picture, stored as (H, C, W), so that a band is one block."""

    def __init__(self, layer: Images) -> None:
        self.layer = layer

    def read(self, rows: slice, columns: slice) -> Images:
        """Return a copy of a part, (1, C, h, w)."""
        return np.ascontiguousarray(self.layer[rows, :, columns].transpose(1, 0, 2)[None])

    def write(self, rows: slice, columns: slice, values: Images) -> None:
        """Store a part (1, C, h, w)."""
        self.layer[rows, :, columns] = values[0].transpose(1, 0, 2)


class SessionRunner:
    """Computes the layers of a pass by a session for its part of the graph, which `session` makes from an ONNX model.

    `session` is called with the model and whether the part must be computed in float32.
    """

    bytes_of_a_value, copies = 4, 3.3  # the libraries do not norm in place, which `Pass.working` assumes

    def __init__(self, graph: Graph, session: Callable[[bytes, bool], Session], target: PictureFormat) -> None:
        self.graph, self.session, self.target = graph, session, target
        self._kept: tuple[tuple[str, ...], Session] | None = None

    def sweeping(self) -> AbstractContextManager[None]:
        """Return a context that does nothing: blocks that are kept would be wasted on memory that libraries pool."""
        return nullcontext()

    def images(self, pixels: Pixels) -> Images:
        """Return the images (1, C, h, W) in [-1, 1] of pixels (h, W, C)."""
        return images_of(pixels[None])

    def run(self, part: Pass, inputs: Sequence[Images], statistics: Statistics) -> list[Images]:
        """Return `part.outputs`, computed from `part.inputs` as if the band was a whole picture."""
        given = dict(zip(part.inputs, inputs, strict=True))
        for name, (mean, factor) in statistics.items():
            given[f"{name}.mean"] = mean.astype(np.float32).reshape(1, -1, 1, 1)
            given[f"{name}.rstd"] = factor.astype(np.float32).reshape(1, -1, 1, 1)
        return self._session(part)(given)

    def _session(self, part: Pass) -> Session:
        """Return the session of a pass; those of other passes are dropped, because each keeps memory."""
        names = tuple(node.name for node in part.nodes)
        if self._kept is None or self._kept[0] != names:
            self._kept = None
            inputs = {name: self.graph.nodes[name].channels for name in part.inputs}
            model = part_of(part.nodes, inputs, part.outputs, part.fixed)
            self._kept = names, self.session(model, any(node.precise for node in part.nodes))
        return self._kept[1]

    def cut(self, values: Images, rows: slice, columns: slice) -> Images:
        """Return a part of a layer, which shares its memory."""
        return values[:, :, rows, columns]

    def copied(self, rows: Images) -> Images:
        """Return a copy of rows."""
        return rows.copy()

    def joined(self, above: Images, below: Images) -> Images:
        """Return rows one above the other."""
        return np.concatenate([above, below], axis=2)

    def moments(self, rows: Images) -> Moments:
        """Return the mean and variance of each channel."""
        mean, variance = np.empty(rows.shape[1]), np.empty(rows.shape[1])
        for i, channel in enumerate(rows[0]):  # one at a time, because it is converted to float64
            values: npt.NDArray[np.float64] = channel.astype(np.float64)
            mean[i] = values.mean()
            values -= mean[i]
            variance[i] = np.square(values, out=values).mean()
        return Moments(mean, variance, rows.shape[2] * rows.shape[3])

    def pixels(self, rows: Images) -> Pixels:
        """Return translations (1, C, h, W) in [-1, 1] as pixels (h, W, C). Raises ValueError for NaN."""
        pixels: Pixels = pixels_of(rows, self.target)[0]
        return pixels

    def store(self, like: Images, height: int, width: int, array: Any) -> ArrayStore:
        """Return a store for a layer of this size like this part."""
        return ArrayStore(array((height, like.shape[1], width), np.float32))
