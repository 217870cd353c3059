"""The plan of a banded translation: which layers are stored, which are computed again, and how far bands overlap.

Instance norm needs the statistics of a whole layer before a pixel of the next can be computed. So a picture is swept
several times from top to bottom. Each pass computes some layers in bands from stored ones, and measures the input of a
norm. A layer is stored if it has few values for the work that they cost; the others are computed again in later passes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cyclegan.inference.graph.nodes import INPUT, NORMS, Graph, Node

DEAR = 1500.0
"""Multiplications for each value from which a layer is stored instead of computed again; in narrow networks `SHARE`.

A ResNet stores the 16 values a pixel of its residual blocks, which cost 2300 and more, and computes the layers of full
and half size again, which cost 150 to 900: 12 % more arithmetic in all."""

SHARE = 0.6
"""The same as a share of the multiplications for each value of the network's dearest convolution."""

IN_PLACE = (*NORMS, "affine", "relu", "leaky_relu", "add")
"""Operations that write their result over an input that nothing reads afterwards."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One sweep over a picture."""

    nodes: tuple[Node, ...]
    """The layers that it computes in each band, in order."""
    inputs: tuple[str, ...]
    """The stored layers, and perhaps the images, that it reads."""
    stored: tuple[str, ...]
    """The layers that it stores."""
    measured: tuple[str, ...]
    """The layers whose statistics it measures for a norm."""
    heirs: Mapping[str, str]
    """For a layer that it stores, the input whose memory the layer takes over, because no later pass reads it."""
    dead: tuple[str, ...]
    """The other inputs that no later pass reads."""
    reach: Mapping[str, int]
    """How many rows of each layer, at the top and the bottom of a band, depend on rows outside the band; the same for
    the columns of a tile."""

    @property
    def unit(self) -> int:
        """Bands and tiles begin and end at multiples of this number of rows and columns of the images."""
        return math.lcm(*(node.size.denominator for node in self.nodes))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The layers that leave a band: stored, measured, or the translation."""
        names = dict.fromkeys((*self.stored, *self.measured))
        return tuple(names) or (self.nodes[-1].name,)

    @property
    def margin(self) -> int:
        """The rows of the images that a band needs above and below those that it computes, and columns beside."""
        sizes = {node.name: node.size for node in self.nodes}
        rows = max(math.ceil(self.reach[name] / sizes[name]) for name in self.outputs)
        return -(-rows // self.unit) * self.unit

    @property
    def columns_free(self) -> bool:
        """Whether bands may be cut into tiles: not if they overwrite what the next tile needs."""
        return not self.heirs

    @property
    def fixed(self) -> tuple[str, ...]:
        """The names of the norms that it applies with known statistics."""
        return tuple(node.name for node in self.nodes if node.is_norm)

    def working(self, sizes: Mapping[str, Node]) -> float:
        """Return the most values, for each pixel of the images, that a band holds at a time beside stored layers."""
        alive = {name: sizes[name].values for name in (INPUT, *self.heirs.values()) if name in self.inputs}
        last = {name: i for i, node in enumerate(self.nodes) for name in node.inputs}
        most = 0.0
        for i, node in enumerate(self.nodes):
            padded = sum(sizes[name].values for name in node.inputs) if node.reflect else 0.0
            free = [name for name in node.inputs if last[name] == i and name not in (*self.outputs, *self.inputs)]
            own = 0.0 if free and node.op in IN_PLACE else node.values
            most = max(most, sum(alive.values()) + own + padded)
            alive[node.name] = node.values
            for name in free:
                alive.pop(name, None)
        copied = sum(sizes[name].values for name in self.outputs) if self.columns_free else 0.0  # cut from a tile
        return max(most, sum(alive.values()) + copied)


def plan_of(graph: Graph) -> list[Pass]:
    """Return the passes that compute a graph.

    Raises ValueError for a graph with fewer than two convolutions.
    """
    parts: list[tuple[list[Node], list[str], list[str]]] = []
    stored = {INPUT}
    barriers = [*_barriers(graph)]
    dear = min(DEAR, SHARE * max(node.multiplications / node.values for node in barriers))
    for node in barriers:
        nodes = _from_stored(graph, node, stored)
        worth = sum(each.multiplications for each in nodes) >= dear * node.values
        joins = [each.name for each in nodes if each is not node and _joins(graph, each, nodes, stored)]
        measures = any(user.is_norm for user in graph.users(node.name))
        if not (worth or measures):
            continue
        keeps = [*joins, *([node.name] if worth else [])]
        parts.append((nodes, keeps, [node.name] if measures else []))
        stored |= {*keeps}
    parts.append((_from_stored(graph, graph.output, stored), [], []))
    return [_pass(part, parts[i + 1 :], graph) for i, part in enumerate(parts)]


def whole(graph: Graph) -> float:
    """Return the most values, for each pixel of the images, that a translation at once holds at a time."""
    return _pass(([*graph.nodes.values()][1:], [], []), [], graph).working(graph.nodes)


def stored_values(passes: Sequence[Pass], graph: Graph) -> float:
    """Return the most values that are stored at a time, for each pixel of the images."""
    alive, most = dict[str, float](), 0.0
    for each in passes:
        for name in each.stored:
            alive[name] = graph.nodes[name].values
            alive.pop(each.heirs.get(name, ""), None)
        most = max(most, sum(alive.values()))
        for name in each.dead:
            alive.pop(name, None)
    return most


def _barriers(graph: Graph) -> Iterator[Node]:
    """Yield the layers after which a pass may end: inputs of norms, and convolutions but the last."""
    convolutions = [name for name, node in graph.nodes.items() if node.multiplications]
    for name, node in graph.nodes.items():
        before_norm = any(user.is_norm for user in graph.users(name))
        if before_norm or (node.multiplications and name != convolutions[-1]):
            yield node


def _from_stored(graph: Graph, node: Node, stored: Collection[str]) -> list[Node]:
    """Return the nodes that compute `node` from stored layers, in order; `node` itself is the last."""
    wanted, found = [node.name], set[str]()
    while wanted:
        name = wanted.pop()
        if name not in found and name not in stored:
            found.add(name)
            wanted += graph.nodes[name].inputs
    return [each for name, each in graph.nodes.items() if name in found]


def _joins(graph: Graph, node: Node, nodes: Sequence[Node], stored: Collection[str]) -> bool:
    """Return whether a node of a pass joins stored layers and is read later too: stored, it replaces them."""
    later = any(user not in nodes for user in graph.users(node.name))
    return later and len(_sources(_from_stored(graph, node, stored))) > 1


def _sources(nodes: Sequence[Node]) -> list[str]:
    """Return the stored layers that nodes read."""
    inside = {node.name for node in nodes}
    return list(dict.fromkeys(name for node in nodes for name in node.inputs if name not in inside))


def _pass(
    part: tuple[list[Node], list[str], list[str]],
    later: Sequence[tuple[list[Node], list[str], list[str]]],
    graph: Graph,
) -> Pass:
    nodes, stored, measured = part
    inputs = _sources(nodes)
    still = {name for each in later for name in _sources(each[0])}
    dying = [name for name in inputs if name not in still and name != INPUT]
    heirs: dict[str, str] = {}
    for name in stored:
        alike = [each for each in dying if each not in heirs.values() and _alike(graph.nodes[each], graph.nodes[name])]
        if alike:
            heirs[name] = alike[0]
    return Pass(
        nodes=tuple(nodes),
        inputs=tuple(inputs),
        stored=tuple(stored),
        measured=tuple(measured),
        heirs=heirs,
        dead=tuple(name for name in dying if name not in heirs.values()),
        reach=_reaches(nodes),
    )


def _alike(one: Node, other: Node) -> bool:
    return (one.channels, one.size) == (other.channels, other.size)


def _reaches(nodes: Sequence[Node]) -> dict[str, int]:
    """Return, for each layer, how many rows at an edge of a band depend on rows outside it."""
    reach: dict[str, int] = {}
    for node in nodes:
        before = max(reach.get(name, 0) for name in node.inputs)
        reach[node.name] = _reach(node, before)
    return reach


def _reach(node: Node, before: int) -> int:
    """Return the reach of a layer whose inputs have the reach `before`."""
    k, s, p = node.kernel, node.stride, node.padding
    match node.op:
        case "conv" | "max_pool":  # output row i reads input rows s i - p to s i - p + k - 1
            return max(math.ceil((before + p) / s), math.ceil((before + k - s - p) / s))
        case "conv_transpose":  # output row j reads input rows (j + p - k + 1) / s to (j + p) / s
            return max(s * (before - 1) - p + k, s * before + p)
        case "blur_down":  # 2 i - 1 to 2 i + 1
            return math.ceil((before + 1) / 2)
        case "blur_up":
            return 2 * before + 1
        case "nearest_up":
            return 2 * before
    return before
