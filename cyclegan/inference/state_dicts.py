"""Finding the state dicts of generators in files that other programs wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cyclegan.types import Direction
from cyclegan.util.text import one_line, quoted

GENERATOR = r"(?:net_?)?(?:G|gen(?:erator)?)(?:_?(?P<way>A|B|AB|BA|A_?(?:to|2)_?B|B_?(?:to|2)_?A))?"
"""Names of generators: `G_A` and `net_G` in the reference and CUT, `netG_A2B`, `G_AB` or `genA2B` elsewhere."""

NAME = re.compile(GENERATOR, re.IGNORECASE)

WRAPPERS = ("state_dict", "model_state_dict", "models", "model", "networks", "net", "params_ema", "params", "weights")
"""Common keys of the weights in a checkpoint that also holds optimizers and other state."""

DEEPEST = 5
"""Maximum depth of nested dicts; in a forged file, a dict may contain itself."""

WRAPPED = re.compile(r"(?:^|(?<=\.))(?:module|_orig_mod)\.")
"""The prefixes that `DataParallel` and `torch.compile` add to names."""

State = dict[str, Tensor]


def generators_in(content: object, deep: int = 0) -> dict[Direction | None, State]:
    """Return the state dicts of the generators in a file by direction; None is one whose key does not name it.

    Raises ValueError, without the file's name, when there is no generator, or two of one direction.
    """
    if not isinstance(content, Mapping) or not content:
        raise ValueError("not a state dict of tensors; is it a `*_net_G*.pth` of the reference?")
    if deep < DEEPEST:
        named = {key: value for key, value in content.items() if _is_generator(key) and isinstance(value, Mapping)}
        if named:
            return _by_direction({key: _only(value, deep + 1) for key, value in named.items()})
        for key in WRAPPERS:
            if isinstance(content.get(key), Mapping) and content[key]:
                return generators_in(content[key], deep + 1)
    if not any(isinstance(name, str) and "." in name and isinstance(content[name], Tensor) for name in content):
        raise ValueError(f"holds no generator, only {_listed(content)}")
    state = _state(content)
    parts = {name.partition(".")[0] for name in state}
    own = {part: _below(part, state) for part in sorted(parts) if _is_generator(part)}
    return _by_direction(own) if own else {None: state}


def direction_of(name: str) -> Direction | None:
    """Return the direction in a file name that ends in a generator's name: BtoA for `latest_net_G_B`."""
    return _way(re.search(rf"(?:^|[_.-]){GENERATOR}$", name, re.IGNORECASE))


def _only(content: object, deep: int) -> State:
    """Return the single state dict in what is stored as a generator."""
    found = generators_in(content, deep)
    if len(found) > 1:
        raise ValueError("holds generators within a generator")
    return next(iter(found.values()))


def _by_direction(named: Mapping[str, State]) -> dict[Direction | None, State]:
    found: dict[Direction | None, State] = {}
    keys: dict[Direction, str] = {}
    for key, state in named.items():
        direction = _way(NAME.fullmatch(key))
        way = direction or Direction.AtoB
        if way in keys:
            raise ValueError(f"holds {quoted(keys[way])} and {quoted(key)}, both of which may translate {way}")
        keys[way], found[direction] = key, state
    return found


def _way(match: re.Match[str] | None) -> Direction | None:
    if match is None or match["way"] is None:
        return None
    return Direction.AtoB if match["way"][0] in "Aa" else Direction.BtoA


def _is_generator(key: object) -> bool:
    return isinstance(key, str) and NAME.fullmatch(key) is not None


def _state(content: Mapping[Any, Any]) -> State:
    """Return the weights by name, without the prefixes that wrappers add."""
    state: State = {}
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError(f"not a state dict of tensors: {quoted(name)} is a {type(value).__name__}")
        state[WRAPPED.sub("", name)] = value
    if len(state) < len(content):
        raise ValueError("holds some weights twice, with and without `module.` or `_orig_mod.` in their names")
    return state


def _below(part: str, state: State) -> State:
    """Return the part of a state dict below one network's name."""
    return {name.removeprefix(f"{part}."): value for name, value in state.items() if name.startswith(f"{part}.")}


def _listed(content: Mapping[Any, Any]) -> str:
    words = [key if isinstance(key, str) else quoted(key) for key in [*content][:12]]
    return one_line(", ".join(words) + (", ..." if len(content) > len(words) else ""))
