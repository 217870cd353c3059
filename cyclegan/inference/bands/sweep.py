"""Translating a picture band by band, exactly as at once (see `plan`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic

import numpy as np

from cyclegan.data.picture import Pixels
from cyclegan.inference.bands.plan import Pass
from cyclegan.inference.bands.runner import Moments, Rows, Runner, Statistics, Store
from cyclegan.inference.graph.nodes import INPUT, Graph, mirrored


class Sweep(Generic[Rows]):
    """Keeps the stored layers and the statistics of one picture.

    `source` is (H, W, C) of the source domain, perhaps a memory-mapped file; `out` gets the translation, (H, W, C).
    `array` makes the arrays that layers are stored in, from a shape and a type. `report` gets the share of the work
    that is done, after each band.
    """

    def __init__(
        self,
        graph: Graph,
        runner: Runner[Rows],
        source: Pixels,
        out: Pixels,
        *,
        array: Callable[..., object] = np.empty,
        report: Callable[[float], object] = lambda share: None,
    ) -> None:
        self.graph, self.runner, self.source, self.out = graph, runner, source, out
        self.array, self.report = array, report
        self.height, self.width = (graph.padded(side) for side in source.shape[:2])
        self.stores: dict[str, Store[Rows]] = {}
        self.statistics: dict[str, Moments] = {}

    def run(self, passes: Sequence[Pass], rows: Sequence[int]) -> None:
        """Compute all passes, each in bands of so many rows of the picture; the last one fills `out`.

        Raises ValueError when the translation holds NaN.
        """
        work = [sum(node.multiplications + node.values for node in each.nodes) for each in passes]
        for i, each in enumerate(passes):
            for share in self._sweep(each, rows[i]):
                self.report((sum(work[:i]) + share * work[i]) / sum(work))
            for name in each.dead:
                del self.stores[name]

    def _sweep(self, part: Pass, band: int) -> Iterator[float]:
        """Compute one pass from the top to the bottom; yields the share that is done after each band."""
        step = max(part.unit, band // part.unit * part.unit)
        above: dict[str, Rows] = {}
        new: dict[str, Store[Rows]] = {}
        moments: dict[str, Moments] = {}
        statistics = self._known(part)
        for begin in range(0, self.height, step):
            end = min(begin + step, self.height)
            top, bottom = max(0, begin - part.margin), min(self.height, end + part.margin)
            inputs = [self._input(name, top, begin, bottom, above) for name in part.inputs]
            self._keep_above(part, inputs, top, end, above)
            made = dict(zip(part.outputs, self.runner.run(part, inputs, statistics), strict=True))
            for name, rows in made.items():
                size = self.graph.nodes[name].size
                own = self.runner.cut(rows, int((begin - top) * size), int((end - top) * size))
                if name in part.stored:
                    self._store(part, name, own, int(begin * size), new)
                if name in part.measured:
                    seen = self.runner.moments(own)
                    moments[name] = moments[name].joined(seen) if name in moments else seen
                if name == self.graph.output.name:
                    self._write(own, begin)
            yield end / self.height
        self.statistics |= moments
        for heir, forerunner in part.heirs.items():
            new[heir] = self.stores.pop(forerunner)
        self.stores |= new

    def _known(self, part: Pass) -> Statistics:
        """Return the statistics of the norms in a pass, by the name of the norm."""
        layers = {name: self.graph.nodes[name].inputs[0] for name in part.fixed}
        return {name: (self.statistics[layer].mean, self.statistics[layer].variance) for name, layer in layers.items()}

    def _input(self, name: str, top: int, begin: int, bottom: int, above: dict[str, Rows]) -> Rows:
        """Return the rows of an input for a band: those of the images, or of a store, perhaps partly overwritten."""
        if name == INPUT:
            rows = mirrored(self.source.shape[0], self.height)[top:bottom]
            inside = bottom <= self.source.shape[0]
            pixels = self.source[top:bottom] if inside else self.source[rows]
            if self.width != self.source.shape[1]:
                pixels = pixels[:, mirrored(self.source.shape[1], self.width)]
            return self.runner.images(pixels)
        size = self.graph.nodes[name].size
        if name not in above:
            return self.stores[name].read(int(top * size), int(bottom * size))
        return self.runner.joined(above[name], self.stores[name].read(int(begin * size), int(bottom * size)))

    def _keep_above(self, part: Pass, inputs: list[Rows], top: int, end: int, above: dict[str, Rows]) -> None:
        """Copy the rows that the next band needs of inputs that this band overwrites."""
        for name, rows in zip(part.inputs, inputs, strict=True):
            if name in part.heirs.values():
                size = self.graph.nodes[name].size
                first = max(0, end - part.margin)
                kept = self.runner.cut(rows, int((first - top) * size), int((end - top) * size))
                above[name] = self.runner.copied(kept)

    def _store(self, part: Pass, name: str, rows: Rows, begin: int, new: dict[str, Store[Rows]]) -> None:
        if name in part.heirs:
            self.stores[part.heirs[name]].write(begin, rows)
            return
        if name not in new:
            new[name] = self.runner.store(rows, int(self.height * self.graph.nodes[name].size), self.array)
        new[name].write(begin, rows)

    def _write(self, rows: Rows, begin: int) -> None:
        """Write rows of the translation, without the padding."""
        height, width = self.source.shape[:2]
        pixels = self.runner.pixels(rows)[: max(0, height - begin), :width]
        self.out[begin : begin + len(pixels)] = pixels
