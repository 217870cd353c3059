"""Translating a picture band by band, or tile by tile, exactly as at once (see `plan`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from typing import Generic, NamedTuple

import numpy as np

from cyclegan.data.fit import Size
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

    def run(self, passes: Sequence[Pass], tiles: Sequence[Size]) -> None:
        """Compute all passes, each in tiles of so many rows and columns of the picture; the last one fills `out`.

        Passes that may not be cut in columns have tiles as wide as the picture.

        Raises ValueError when the translation holds NaN.
        """
        work = [sum(node.multiplications + node.values for node in each.nodes) for each in passes]
        for i, each in enumerate(passes):
            with self.runner.sweeping():
                for share in self._sweep(each, tiles[i]):
                    self.report((sum(work[:i]) + share * work[i]) / sum(work))
            for name in each.dead:
                del self.stores[name]

    def _sweep(self, part: Pass, tile: Size) -> Iterator[float]:
        """Compute one pass from the top left to the bottom right; yields the share that is done after each tile."""
        bands = spans(self.height, tile[0], part)
        strips = spans(self.width, tile[1] if part.columns_free else self.width, part)
        above: dict[str, Rows] = {}
        new: dict[str, Store[Rows]] = {}
        moments: dict[str, Moments] = {}
        statistics = self._known(part)
        for rows, columns in product(bands, strips):
            inputs = [self._input(name, rows, columns, above) for name in part.inputs]
            self._keep_above(part, inputs, rows, above)
            made = dict(zip(part.outputs, self.runner.run(part, inputs, statistics), strict=True))
            for name, values in made.items():
                size = self.graph.nodes[name].size
                own = self.runner.cut(values, rows.inside(size), columns.inside(size))
                if name in part.stored:
                    self._store(part, name, own, rows, columns, new)
                if name in part.measured:
                    seen = self.runner.moments(own)
                    moments[name] = moments[name].joined(seen) if name in moments else seen
                if name == self.graph.output.name:
                    self._write(own, rows.begin, columns.begin)
            yield (rows.begin + (rows.end - rows.begin) * columns.end / self.width) / self.height
        self.statistics |= moments
        for heir, forerunner in part.heirs.items():
            new[heir] = self.stores.pop(forerunner)
        self.stores |= new

    def _known(self, part: Pass) -> Statistics:
        """Return the statistics of the norms in a pass, by the name of the norm."""
        norms = [self.graph.nodes[name] for name in part.fixed]
        return {norm.name: self.statistics[norm.inputs[0]].of_norm(norm) for norm in norms}

    def _input(self, name: str, rows: Span, columns: Span, above: dict[str, Rows]) -> Rows:
        """Return an input of a tile with its margins: of the images, or of a store, perhaps partly overwritten."""
        if name == INPUT:
            (height, width), (down, across) = self.source.shape[:2], (rows.outer(1), columns.outer(1))
            inside = down.stop <= height
            pixels = self.source[down] if inside else self.source[mirrored(height, self.height)[down]]
            return self.runner.images(pixels[:, mirrored(width, self.width)[across]] if columns.cuts(width) else pixels)
        size = self.graph.nodes[name].size
        if name not in above:
            return self.stores[name].read(rows.outer(size), columns.outer(size))
        below = slice(rows.own(size).start, rows.outer(size).stop)
        return self.runner.joined(above[name], self.stores[name].read(below, columns.outer(size)))

    def _keep_above(self, part: Pass, inputs: list[Rows], rows: Span, above: dict[str, Rows]) -> None:
        """Copy the rows that the next band needs of inputs that this band overwrites; bands are whole then."""
        for name, values in zip(part.inputs, inputs, strict=True):
            if name in part.heirs.values():
                size = self.graph.nodes[name].size
                last = slice(int((max(0, rows.end - part.margin) - rows.first) * size), rows.inside(size).stop)
                above[name] = self.runner.copied(self.runner.cut(values, last, slice(None)))

    def _store(
        self, part: Pass, name: str, values: Rows, rows: Span, columns: Span, new: dict[str, Store[Rows]]
    ) -> None:
        size = self.graph.nodes[name].size
        if name not in new and name not in part.heirs:
            new[name] = self.runner.store(values, int(self.height * size), int(self.width * size), self.array)
        store = self.stores[part.heirs[name]] if name in part.heirs else new[name]
        store.write(rows.own(size), columns.own(size), values)

    def _write(self, values: Rows, top: int, left: int) -> None:
        """Write a part of the translation, without the padding."""
        height, width = self.source.shape[:2]
        pixels = self.runner.pixels(values)[: max(0, height - top), : max(0, width - left)]
        self.out[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels


class Span(NamedTuple):
    """The rows of a band, or the columns of a tile, in pixels of the images, and with the margins from `first` on."""

    first: int
    begin: int
    end: int
    last: int

    def own(self, size: Fraction) -> slice:
        """Return the rows in a layer of the relative `size`."""
        return slice(int(self.begin * size), int(self.end * size))

    def outer(self, size: Fraction | int) -> slice:
        """Return the rows with their margins in a layer of the relative `size`."""
        return slice(int(self.first * size), int(self.last * size))

    def inside(self, size: Fraction) -> slice:
        """Return where the rows are among those with margins."""
        return slice(int((self.begin - self.first) * size), int((self.end - self.first) * size))

    def cuts(self, length: int) -> bool:
        """Return whether it has not exactly all of `length` rows."""
        return (self.first, self.last) != (0, length)


def spans(length: int, step: int, part: Pass) -> list[Span]:
    """Return the bands of `length` rows, of about `step` rows each."""
    step = max(part.unit, step // part.unit * part.unit)
    ends = [(begin, min(begin + step, length)) for begin in range(0, length, step)]
    return [Span(max(0, begin - part.margin), begin, end, min(length, end + part.margin)) for begin, end in ends]
