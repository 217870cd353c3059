"""The recipe on the command line: its groups of options, and kinds, which decide what options there are."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import itertools
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass, make_dataclass, replace
from functools import partial
from typing import Annotated, Any, NamedTuple, NoReturn, get_args, get_type_hints

import tyro

from cyclegan.cli.parsing import parse_words
from cyclegan.util.text import quoted

WORDS = {
    "epochs": "training.lr_schedule.constant",
    "generator": "method.generator.kind",
    "discriminator": "method.discriminator.kind",
    **dict.fromkeys(("image_size", "resolution"), "data.size"),
}
"""Words that no option ends with, and the options that people look for by them."""


class Group(NamedTuple):
    """A part of a recipe that is a config itself."""

    key: str
    """Its dotted key, `method.generator`."""
    config: Any
    kinds: dict[str, Any]
    """The configs that may be there, by kind; empty for a config without a kind."""


def with_kinds(config: Any, arguments: list[str], key: str = "") -> Any:
    """Return the config with the kinds that the arguments name, each with its own defaults.

    Raises ValueError for a kind that does not exist.
    """
    for name, part, kinds in _parts(config):
        option = f"{key}{name}"
        word = _value(f"--{option}.kind", arguments)
        if word is not None and kinds and word != part.kind:
            if word not in kinds:
                near = difflib.get_close_matches(word, kinds, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(f"--{option}.kind: expected one of {', '.join(kinds)}, not {quoted(word)}{hint}")
            part = kinds[word]()
        config = replace(config, **{name: with_kinds(part, arguments, f"{option}.")})
    return config


def keys(recipe: Any) -> list[str]:
    """Return the dotted keys of all values of a recipe, for the kinds that it has."""
    return [f"{key}.{field.name}" for key, group in _groups(recipe).items() for field in fields(group.config)]


def meant(recipe: Any, word: str) -> str | None:
    """Return the option of a recipe that ends like an unknown one: `--training.batch_size` for `--batch-size`."""
    name = word.removeprefix("--").replace("-", "_")
    same = [key for key in keys(recipe) if key.rpartition(".")[2] == name or key in (f"{name}.kind", f"{name}.root")]
    return next((f"--{key}" for key in (WORDS.get(name), *same) if key), None)


def show_help(command: type[Any], recipe: Any, arguments: list[str]) -> NoReturn:
    """Print the options of one group of the recipe, `--help GROUP`, or those of the command and all groups; exit.

    The defaults are the recipe's. Raises ValueError for a group that does not exist.
    """
    known = _groups(recipe)
    asked = [word for help_, word in itertools.pairwise(arguments) if help_ in ("-h", "--help")]
    group = next((word for word in asked if not word.startswith("-") and not word.endswith((".yaml", ".yml"))), None)
    if group is not None and group not in known:
        raise ValueError(f"train --help: no group {quoted(group)}; the groups are {', '.join(known)}")
    shown = [each for key, each in known.items() if group is None or key.startswith(f"{group}.")]
    with suppress(SystemExit):
        parse_words(command if group is None else _page(known[group]), "train", ["--help"])
    if shown:
        print("Options that override the recipe; cyclegan train --help GROUP lists a group's:")
    for each in shown:
        print(f"  {each.key:<22}{(type(each.config).__doc__ or '').splitlines()[0]}")
    sys.exit(0)


def _page(group: Group) -> type[Any]:
    """Return a dataclass whose help page has the options of a group, without those of the groups in it."""
    config, sentences = group.config, field_docstrings(type(group.config))
    hints = get_type_hints(type(config), include_extras=True)
    inner = {name for name, *_ in _parts(config)}
    options = []
    for field in fields(config):
        if field.name not in inner:
            option = tyro.conf.arg(name=f"{group.key}.{field.name}", help=sentences[field.name])
            if field.name == "kind":
                text = sentences["kind"] + " Another kind has its own defaults." * (len(group.kinds) > 1)
                option = tyro.conf.arg(name=f"{group.key}.kind", help=text, metavar="{" + ",".join(group.kinds) + "}")
            default = dataclasses.field(default_factory=partial(getattr, config, field.name))
            options.append((field.name, Annotated[hints[field.name], option], default))
    page = make_dataclass("Page", options, kw_only=True)
    page.__doc__ = inspect.getdoc(type(config))
    return page


def field_docstrings(config: type[Any]) -> dict[str, str]:
    """Return the sentence below each field of a dataclass, with those of its parents."""
    found: dict[str, str] = {}
    for kind in reversed(config.__mro__[:-1]):
        [tree] = ast.parse(inspect.getsource(kind)).body
        assert isinstance(tree, ast.ClassDef)
        for line, after in itertools.pairwise(tree.body):
            match line, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = inspect.cleandoc(text)
    return found


def _groups(config: Any, above: str = "") -> dict[str, Group]:
    """Return each part of a config that is a config itself, by its dotted key, outer ones first."""
    groups: dict[str, Group] = {}
    for name, part, kinds in _parts(config):
        key = f"{above}{name}"
        groups |= {key: Group(key, part, kinds), **_groups(part, f"{key}.")}
    return groups


def _parts(config: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield the fields that hold a config: name, config, and the configs that may be there, by kind."""
    hints = get_type_hints(type(config))
    for field in fields(config):
        if is_dataclass(part := getattr(config, field.name)):
            members: list[Any] = [member for member in get_args(hints[field.name]) if is_dataclass(member)]
            if not members and hasattr(part, "kind"):
                members = [type(part)]
            yield field.name, part, {member.kind: member for member in members}


def _value(option: str, arguments: list[str]) -> str | None:
    """Return the last value of an option, given as `--option value` or `--option=value`."""
    values = [word.partition("=")[2] for word in arguments if word.startswith(f"{option}=")]
    values += [value for word, value in itertools.pairwise(arguments) if word == option]
    return values[-1] if values else None
