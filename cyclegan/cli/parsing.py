"""The command line to a dataclass, by tyro; a mistake becomes one line."""

from __future__ import annotations

import codecs
import contextlib
import difflib
import io
import re
import sys
import textwrap
import types
from collections.abc import Callable
from enum import EnumMeta
from pathlib import Path
from typing import Any, Literal, TextIO, Union, get_args, get_origin

import tyro
import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from cyclegan.util.text import key_of, mistake, quoted
from cyclegan.util.yaml import parse_yaml

VALUES = ConstructorRegistry()
"""How a word of the command line becomes a value, and what `--help` calls it."""

NONE = ("none", "null", "None")
"""Words for the null of YAML."""


class _Page(io.TextIOWrapper):
    """A page in memory that has the encoding and, for tyro, the colours of an output."""

    def __init__(self, output: TextIO) -> None:
        encoding = codecs.lookup(getattr(output, "encoding", None) or "utf-8").name
        super().__init__(io.BytesIO(), encoding, errors="backslashreplace")
        self._coloured = output.isatty()

    def isatty(self) -> bool:
        """Whether the output is a terminal."""
        return self._coloured


def parse_words(kind: type[Any], name: str, arguments: list[str], default: Any = tyro.MISSING_NONPROP) -> Any:
    """Return an instance of the command `kind`; `--help` prints and exits. Raises ValueError in one line."""
    page, told = _Page(sys.stdout), io.StringIO()
    try:
        with contextlib.redirect_stdout(page), contextlib.redirect_stderr(told):
            return tyro.cli(
                kind,
                prog=f"cyclegan {name}",
                args=arguments,
                default=default,
                use_underscores=True,
                registry=VALUES,
                config=(
                    tyro.conf.AvoidSubcommands,
                    tyro.conf.PositionalMetavarFromFieldName,
                ),
            )
    except SystemExit as done:
        if done.code:
            raise ValueError(_one_line(told.getvalue(), name, kind)) from None
        page.seek(0)
        print(_wrapped(page.read()), end="")
        raise


def _one_line(told: str, name: str, kind: type[Any]) -> str:
    """Shorten tyro's message, a title and several parts, to the first part and the closest option, if there is one."""
    lines = [line.strip("│| ") for line in told.splitlines()[1:]]
    text = " ".join("\n" if re.search("[─-]{3,}", line) else line for line in lines)  # rules between the parts
    what, *more = (words for part in text.split("\n") if (words := " ".join(part.split())))
    if missing := re.findall(r"(?:^Missing from [^:]*: |\(required\) )([A-Z_]+) ", what):
        return f"{name}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; {_usage(kind, name)}"
    what = what.removeprefix("Error parsing ").split(". Got errors:")[0]
    if re.match(r"Unrecognized options: [^-]", what):
        what += "; give all paths in one place"
    near = [word for part in more if part.startswith("Perhaps") for word in part.split() if word.startswith("--")]
    return f"{name}: {what}{f'; did you mean {near[0]}?' if near else ''} (see cyclegan {name} --help)"


def _wrapped(page: str) -> str:
    """Wrap usage and description to 80 columns, as tyro does not; a page with colours stays as it is."""
    if "\x1b" in page:
        return page
    head, boxes = re.split(r"^(?=[╭ ])", page, maxsplit=1, flags=re.M)
    usage, *lines = head.splitlines()
    usage = textwrap.fill(usage, 80, subsequent_indent=" " * len("usage: "), break_on_hyphens=False)
    lines = [usage, *(textwrap.fill(line, 80) for line in lines)]
    return "\n".join([*lines, boxes])


def _usage(kind: type[Any], name: str) -> str:
    page = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(page):
        parse_words(kind, name, ["--help"])
    return " ".join(page.getvalue().partition("\n\n")[0].split()).replace("[-h] ", "")


@VALUES.primitive_rule
def _plain(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Numbers, texts and paths."""
    known: dict[Any, tuple[str, str]] = {
        int: ("N", "a whole number"),
        float: ("X", "a number"),
        str: ("TEXT", "a text"),
        Path: ("PATH", "a path"),
    }
    if info.type not in known:
        return None
    metavar, what = known[info.type]
    return _spec(metavar, lambda word: _converted(info.type, word, what), lambda value: isinstance(value, info.type))


@VALUES.primitive_rule
def _choice(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """One of a few words, of a Literal or a StrEnum."""
    if get_origin(info.type) is Literal:
        words = {str(word): word for word in get_args(info.type)}
    elif isinstance(info.type, EnumMeta):
        words = {str(word): word for word in info.type}
    else:
        return None
    return _spec("{" + ",".join(words) + "}", lambda word: _chosen(words, word), lambda value: value in words)


@VALUES.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """A value or none; the placeholder is the value's."""
    members = get_args(info.type)
    if info.type_origin not in (Union, types.UnionType) or type(None) not in members or len(members) != 2:
        return None
    [member] = (member for member in members if member is not type(None))
    inner = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(member, info.markers))
    assert isinstance(inner, PrimitiveConstructorSpec)
    return _spec(
        inner.metavar,
        lambda word: None if word in NONE else inner.instance_from_str([word]),
        lambda value: value is None or bool(inner.is_instance(value)),
    )


@VALUES.primitive_rule
def _yaml(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Mappings and lists of a recipe, in YAML's flow style: `[{HorizontalFlip: {p: 0.5}}]`."""
    parts = get_args(info.type)
    if info.type_origin is not dict and (Ellipsis not in parts or Path in parts):
        return None
    adapter = TypeAdapter(info.type, config=ConfigDict(extra="forbid"))
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="YAML",
        instance_from_str=lambda words: _validated(adapter, words[0]),
        is_instance=lambda value: isinstance(value, dict | tuple),
        str_from_instance=lambda value: [_flow(adapter.dump_python(value, mode="json"))],
    )


def _validated(adapter: TypeAdapter[Any], text: str) -> Any:
    try:
        return adapter.validate_python(parse_yaml(text))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(mistake(key_of(first["loc"]) or "the value", first)) from None


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6).strip()


def _spec(
    metavar: str, read: Callable[[str], Any], is_instance: Callable[[Any], bool]
) -> PrimitiveConstructorSpec[Any]:
    def written(value: Any) -> list[str]:
        return ["none" if value is None else str(value)]

    return PrimitiveConstructorSpec(1, metavar, lambda words: read(words[0]), is_instance, written)


def _numbers(words: list[str]) -> tuple[float, ...]:
    return tuple(float(_converted(float, word, "a number")) for word in words)


NUMBERS: PrimitiveConstructorSpec[Any] = PrimitiveConstructorSpec(
    nargs="*",
    metavar="X",
    instance_from_str=_numbers,
    is_instance=lambda value: isinstance(value, tuple),
    str_from_instance=lambda value: [f"{each:g}" for each in value],
)
"""An annotation for several numbers, one word each: `--style_weights 1 0.5`."""

WORDS: PrimitiveConstructorSpec[Any] = PrimitiveConstructorSpec(
    nargs="*",
    metavar="TEXT",
    instance_from_str=lambda words: tuple(words),
    is_instance=lambda value: isinstance(value, tuple),
    str_from_instance=lambda value: [*value],
)
"""An annotation for several words."""


def _converted(kind: Callable[[str], Any], word: str, what: str) -> Any:
    try:
        return kind(word)
    except ValueError:
        raise ValueError(f"expected {what}, not {quoted(word)}") from None


def _chosen(words: dict[str, Any], word: str) -> Any:
    if word in words:
        return words[word]
    *before, last = words
    near = [known for known in words if known.lower() == word.lower()] or difflib.get_close_matches(word, words, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"expected {', '.join(before)} or {last}, not {quoted(word)}{hint}")
