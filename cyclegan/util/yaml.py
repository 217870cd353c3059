"""Plain data from files that anyone may have written: nothing is run, and nothing grows out of hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import yaml

LARGEST = 10_000
"""Values in a recipe, with every alias written out; the reference has about a hundred."""

DEEPEST = 50


def parse_yaml(text: str) -> Any:
    """The plain data in a YAML text.

    Raises yaml.YAMLError or ValueError, and for odd scalars whatever PyYAML's constructors stumble over. Beyond
    `yaml.safe_load`, a key that is given twice and aliases that multiply without end are refused.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        refuse_endless(node, _parts_of_node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def refuse_endless(data: Any, parts: Callable[[Any], Iterable[Any]] | None = None) -> None:
    """Raise ValueError for data that holds itself, or that is small only because it shares its parts.

    Such data costs nothing to hold, and all memory to print or copy ("billion laughs").
    """
    sizes: dict[int, int] = {}

    def size(whole: Any, depth: int) -> int:
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} levels deep")
        if id(whole) not in sizes:
            sizes[id(whole)] = LARGEST + 1  # until it is known: what holds itself has no end
            sizes[id(whole)] = 1 + sum(size(part, depth + 1) for part in (parts or _parts)(whole))
        return sizes[id(whole)]

    if size(data, 0) > LARGEST:
        raise ValueError(f"more than {LARGEST:,} values, or one that holds itself")


def _parts(data: Any) -> Iterable[Any]:
    match data:
        case dict():
            return [*data.keys(), *data.values()]
        case list() | tuple():
            return data
    return ()


def _parts_of_node(node: yaml.Node) -> Iterable[yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return node.value if isinstance(node, yaml.SequenceNode) else ()
    names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
    for name, times in names.items():
        if times > 1:
            raise ValueError(f"{name!r} is given twice, in the block that begins in line {node.start_mark.line + 1}")
    return [part for pair in node.value for part in pair]
