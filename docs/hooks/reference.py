"""Write the reference of recipe keys and of commands from the code, where a page has a marker for it."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import annotated_types
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from pydantic.fields import FieldInfo

from cyclegan.cli import COMMANDS, parse
from cyclegan.cli.overrides import field_docstrings
from cyclegan.methods import MethodConfig
from cyclegan.recipe import PlayerConfig, Recipe

KEYS = "<!-- Every recipe key stands here on the site. -->"
METHODS = [config.kind for config in get_args(get_args(MethodConfig)[0])]
HELP = "<!-- The help of every command stands here on the site. -->"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with its markers replaced."""
    if KEYS in markdown:
        markdown = markdown.replace(KEYS, "\n".join(recipe_keys()))
    if HELP in markdown:
        markdown = markdown.replace(HELP, "\n".join(command_help()))
    return markdown


def recipe_keys() -> Iterator[str]:
    """Yield Markdown lines: a section for each config, a definition for each of its keys."""
    top = [field.name for field in fields(Recipe)]
    waiting = [(name, part) for name, hint in get_type_hints(Recipe).items() if name in top for part in _configs(hint)]
    written: set[str] = set()
    while waiting:
        place, config = waiting.pop(0)
        anchor = _anchor(place, config)
        if anchor in written:
            continue
        written.add(anchor)
        yield from ("", f"## {_title(place, config)} {{ #{anchor} }}", "", inspect.getdoc(config) or "")
        hints, help_texts = get_type_hints(config, include_extras=True), field_docstrings(config)
        for field in fields(config):
            key, hint = f"{place}.{field.name}", hints[field.name]
            inner = [(key, part) for part in _configs(hint)]
            waiting += inner
            yield from _key(key, anchor, field, hint, help_texts[field.name], inner)
        waiting.sort(key=lambda each: (top.index(each[0].split(".")[0]), each[0].count(".")))
    yield ""


def command_help() -> Iterator[str]:
    """Yield Markdown lines: a section for each command with what `--help` prints, 80 columns wide."""
    for name, command in COMMANDS.items():
        yield from ("", f"## {name}", "", inspect.getdoc(command) or "", "")
        yield f'!!! note "cyclegan {name} --help"'
        yield from ("", "    ```text", *(f"    {line}" for line in _help(name).splitlines()), "    ```", "")


def _help(name: str) -> str:
    output, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
            parse(name, ["--help"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return output.getvalue().rstrip()


def _kind(config: type[Any]) -> str | None:
    return next((str(field.default) for field in fields(config) if field.name == "kind"), None)


def _title(place: str, config: type[Any]) -> str:
    kind = _kind(config)
    return f"{place}: kind `{kind}`" if kind else f"{place}.NAME" if config is PlayerConfig else place


def _anchor(place: str, config: type[Any]) -> str:
    """Return the anchor of a section: its kind; where a method has that kind too, also its place."""
    kind = _kind(config)
    return f"{place}.{kind}" if kind in METHODS and place != "method" else kind or place


def _key(
    key: str, anchor: str, field: Field[Any], hint: Any, text: str, inner: list[tuple[str, type[Any]]]
) -> Iterator[str]:
    """Yield one key: its name, what it takes, its default, its sentence."""
    if field.name == "kind":
        yield from ("", f"`{key}: {field.default}`", "", f":   {text}")
        return
    own = "" if len(inner) == 1 else f"{{ #{key if key.startswith(anchor) else f'{anchor}.{field.name}'} }}"
    links = " or ".join(f"[{_kind(part) or place}](#{_anchor(place, part)})" for place, part in inner)
    what = f"a section, see {links}" if len(inner) == 1 else f"a section of kind {links}" if inner else _words(hint)
    plain = _plain(default_of(field))
    short = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=10**6).removesuffix("\n")
    default = "" if plain == {} else f"; default `{short.removesuffix('...').strip()}`"
    yield from ("", f"`{key}`{own}", "", f":   *{what}{default}*<br>", *(f"    {line}" for line in text.splitlines()))


def default_of(field: Field[Any]) -> Any:
    """Return the value that a key has when a recipe does not give it."""
    return field.default_factory() if callable(field.default_factory) else field.default


def _configs(hint: Any) -> Iterator[type[Any]]:
    """Yield the dataclasses that a value of this type may be made of."""
    if is_dataclass(hint) and isinstance(hint, type):
        yield hint
    for part in get_args(hint):
        yield from _configs(part)


def _words(hint: Any) -> str:
    """Return in words what a key takes."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [limit for extra in parts[1:] if isinstance(extra, FieldInfo) for limit in extra.metadata]
        if any("images" in str(getattr(limit, "pattern", "")) for limit in limits):
            return "a length such as `100 epochs` or `50000 images`"
        return _words(parts[0]) + _bounds(limits, whole=parts[0] is int)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in parts)
    if origin in (Union, UnionType):
        words = [_words(part) for part in parts if part is not NoneType]
        return " or ".join(words) + (", or null" if NoneType in parts else "")
    if origin is tuple:
        return "a list" if parts[-1] is Ellipsis else f"{len(parts)} numbers"
    if isinstance(hint, type) and issubclass(hint, str) and hint is not str:
        return ", ".join(f"`{word}`" for word in hint)  # type: ignore[attr-defined]  # a StrEnum
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    return names.get(hint, "a section")


def _bounds(limits: list[Any], whole: bool) -> str:
    """Return `, 1 to 5` or the like."""
    low: str | None = None
    high: str | None = None
    for limit in limits:
        match limit:
            case annotated_types.Ge(ge=value):
                low = f"at least {value}"
            case annotated_types.Gt(gt=value):
                low = f"at least {value + 1}" if whole else f"above {value}"  # type: ignore[operator]
            case annotated_types.Le(le=value) if value < 2**15:  # type: ignore[operator]
                high = f"at most {value}"
            case annotated_types.Lt(lt=value):
                high = f"below {value}"
    return "".join(f", {bound}" for bound in (low, high) if bound)


def _plain(value: Any) -> Any:
    """Return what YAML writes for a value; of a config, its kind and what differs from the defaults of that kind."""
    if is_dataclass(value) and not isinstance(value, type):
        usual = type(value)()
        changed = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        return {n: v for n, v in changed.items() if n == "kind" or v != _plain(getattr(usual, n))}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value.as_posix() if isinstance(value, Path) else str(value) if isinstance(value, str) else value
