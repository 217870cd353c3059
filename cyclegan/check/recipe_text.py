"""Suggestions as the YAML of a recipe, with a comment above each key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import yaml

from cyclegan.check.suggestion import Suggestion

WIDE = 110
"""Width from which a value is written in several lines."""


def commented(root: str, suggestions: Iterable[Suggestion]) -> str:
    """Return a recipe in YAML for the data set in `root`."""
    first = Suggestion(key="data.root", value=root, reason="the data set")
    sections = ("data", "method", "training", "speed", "log")
    ordered = sorted([first, *suggestions], key=lambda each: sections.index(each.key.partition(".")[0]))
    return "\n".join(_lines(ordered)) + "\n"


def _lines(suggestions: list[Suggestion]) -> Iterator[str]:
    """Yield lines; keys that begin alike must be neighbours."""
    above: list[str] = []
    reason = ""
    for each in suggestions:
        *names, last = each.key.split(".")
        same = next((i for i, (one, other) in enumerate(zip(names, above, strict=False)) if one != other), None)
        same = min(len(names), len(above)) if same is None else same
        for depth in range(same, len(names)):
            yield f"{'  ' * depth}{names[depth]}:"
        above, indent = names, "  " * len(names)
        if each.reason != reason:
            yield f"{indent}# {each.reason}"
        reason = each.reason
        yield from (f"{indent}{line}" for line in _value(last, each.value))


def _value(name: str, value: object) -> list[str]:
    flow = yaml.safe_dump({name: value}, default_flow_style=True, sort_keys=False, width=10**6).strip()[1:-1]
    if len(flow) <= WIDE:
        return [flow]
    return [f"{name}:", *(f"  - {_flow(each)}" for each in value)] if isinstance(value, list) else [flow]


def _flow(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6).strip()
