"""Parse untrusted YAML safely: no code is run, and aliases cannot exhaust the memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import yaml

from cyclegan.util.text import reason

LARGEST = 10_000
"""Most values in a recipe after its aliases are expanded; the reference has about a hundred."""

DEEPEST = 50
"""Most levels of nesting."""


def parse_yaml(text: str | bytes) -> Any:
    """Parse a YAML text into plain data, like `yaml.safe_load`, but reject duplicate keys and huge expansions.

    Raises ValueError with one line that says where the text is not valid.
    """
    try:
        return _parsed(text.decode() if isinstance(text, bytes) else text)
    except Exception as error:  # PyYAML's constructors raise almost anything on odd scalars
        where = reason(error).replace('in "<unicode string>", ', "in ")
        raise ValueError(f"not valid YAML: {where}") from None


def _parsed(text: str) -> Any:
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
    """Raise ValueError for data that contains itself, nests too deeply, or is too large when its aliases are expanded.

    Such data needs little memory until it is printed or copied ("billion laughs"). `parts` returns the parts of a
    value.
    """
    sizes: dict[int, int] = {}

    def size(whole: Any, depth: int) -> int:
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} levels deep")
        if id(whole) not in sizes:
            sizes[id(whole)] = LARGEST + 1  # until the size is known: data that contains itself is too large
            sizes[id(whole)] = 1 + sum(size(part, depth + 1) for part in (parts or _parts)(whole))
        return sizes[id(whole)]

    if size(data, 0) > LARGEST:
        raise ValueError(f"more than {LARGEST:,} values, or a value that contains itself")


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
            raise ValueError(f"{name!r} appears twice in the block that begins in line {node.start_mark.line + 1}")
    return [part for pair in node.value for part in pair]
