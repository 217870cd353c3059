"""The end of a generator that is computed in float32 where the rest is in bf16 or int8."""

from __future__ import annotations

from typing import NamedTuple

from cyclegan.inference.graph.nodes import Graph, Node

EXACT = ("concat", "scale", "add", "relu", "leaky_relu", "tanh", "atanh", "affine")
"""Operations that cost little, so that those before a precise convolution are computed in float32 as well."""


class Split(NamedTuple):
    """A generator in two parts."""

    body: tuple[Node, ...]
    """What may be rounded."""
    cuts: dict[str, int]
    """The nodes of the body, or the images, that the end needs, and their numbers of channels."""
    end: tuple[Node, ...]
    """The precise nodes, what follows them, and what leads to them without another convolution or norm."""


def split_precise(graph: Graph) -> Split:
    """Return the part of a generator that may be rounded, and its precise end; the end is empty if nothing is precise.

    A translation that passes the images on, as with `skip`, does not round them.
    """
    end: set[str] = set()
    for node in graph.nodes.values():
        if node.precise or any(name in end for name in node.inputs):
            end.add(node.name)
    for node in reversed(graph.nodes.values()):
        if node.op in EXACT and node.name not in end:
            users = [user.name for user in graph.users(node.name)]
            if users and all(name in end for name in users):
                end.add(node.name)
    last = tuple(node for node in graph.nodes.values() if node.name in end)
    body = tuple(node for node in graph.nodes.values() if node.name not in end and node.op != "input")
    needed = {name for node in last for name in node.inputs if name not in end}
    return Split(body, {name: node.channels for name, node in graph.nodes.items() if name in needed}, last)
