"""Whatever a recipe or a command line says, the answer is a valid recipe or one readable line."""

from __future__ import annotations

import contextlib
import copy
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import albumentations as A
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cyclegan.cli import COMMANDS, main, parse
from cyclegan.cli.others import Demo, Fetch
from cyclegan.data.fetch import DATA_SETS
from cyclegan.recipe import Recipe, check_transforms, read_recipe, write_recipe

RECIPES = sorted((Path(__file__).parents[1] / "experiments").glob("*.yaml"))
PLAIN: list[Any] = [Recipe().to_dict(), *(yaml.safe_load(path.read_text(encoding="utf-8")) for path in RECIPES)]
TEXTS = [yaml.safe_dump(Recipe().to_dict(), sort_keys=False).encode(), *(path.read_bytes() for path in RECIPES)]

VALIDATED, REFUSED, HELPED = "validated", "refused", "helped"

KeyPath = tuple[Any, ...]
"""The way to a value in plain data: keys and indices."""

quick = settings(
    max_examples=100, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


# Properties: each runs one example, fails unless the promise holds, and says how it ended.


def recipe_outcome(path: Path, touched: list[KeyPath] | None = None) -> str:
    """Read and validate a recipe: nothing else than a ValueError of one line that names the file, and the key."""
    told = io.StringIO()
    with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stderr(told):
        warnings.simplefilter("always")
        try:
            recipe = read_recipe(path)
            check_transforms(recipe, str(path))
            outcome = VALIDATED
        except ValueError as error:
            line = str(error)
            outcome = REFUSED
    assert not warned and not told.getvalue(), (warned, told.getvalue())
    if outcome == VALIDATED:
        again = path.with_name("again.yaml")
        write_recipe(recipe, again)
        assert read_recipe(again) == recipe
        return outcome
    assert_one_line(line.removeprefix(f"{path}: "), longest=600)
    assert line.startswith(f"{path}: "), line
    if touched is not None:
        assert_names_the_key(line.removeprefix(f"{path}: "), touched)
    return outcome


def command_outcome(words: list[str]) -> str:
    """Run a command line: help, or exit code 2 with one line."""
    out, err = io.StringIO(), io.StringIO()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as done:
            main(words)
    told = err.getvalue()
    assert not warned, [str(warning.message) for warning in warned]
    if not done.value.code:
        assert not told and out.getvalue(), (told, words)
        return HELPED
    assert done.value.code == 2 and not out.getvalue(), (done.value.code, told, words)
    assert told.startswith("cyclegan: ") and told.endswith("\n"), told
    assert_one_line(told.removesuffix("\n"), longest=2100)
    return REFUSED


def assert_one_line(line: str, longest: int) -> None:
    assert line.isprintable() and line.strip() == line and line, repr(line)
    assert len(line) <= longest, line
    assert not re.search(r"Traceback|validation error|For further information|<class|object at 0x", line), line


def assert_names_the_key(line: str, touched: list[KeyPath]) -> None:
    """It begins with a key that was touched, or one above or below it, or with a transform after one that was."""
    said = line.split(": ")[0]
    later = re.fullmatch(r"data\.transforms\.(\d+)", said)
    if said in ("the recipe", "not valid YAML"):
        return
    for path in touched:
        dotted = ".".join(map(str, path))
        if later and any(dotted.startswith(f"data.transforms.{earlier}.") for earlier in range(int(later[1]))):
            return
        if said == dotted or said.startswith(f"{dotted}.") or dotted.startswith(f"{said}.") or not path:
            return
        if any(not re.fullmatch(r"[\w-]{1,40}", str(part)) for part in path):  # told as Python writes it, and cut
            return
    raise AssertionError((line, touched))


# Recipes, mutated as plain data and as text


def ways(data: Any, above: KeyPath = ()) -> Iterator[KeyPath]:
    """Every place in plain data."""
    yield above
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from ways(value, (*above, key))


def at(data: Any, way: KeyPath) -> Any:
    for key in way:
        data = data[key]
    return data


# fmt: off
ODD_TEXT = [
    "", " ", "\x00", "\ud800", "\u202e", "a\nb", "a" * 1000, "\u0663 epochs", "1e999", "-1", "NaN", "0x", "../..",
    "100 epochs", "1 image", "0 images", "9999999999999999 epochs", "cpu", "auto", "patchgan", "on",
]
ODD_NUMBERS = [
    0, -1, 1, 2, 5, 10**9, 10**15, 2**63, 2**64, 10**30, -(10**30), 10**400,
    0.5, 1.0, -0.0, 1e300, 5e-324, float("nan"), float("inf"), float("-inf"),
]
SNIPPETS = [
    b"\t", b"\xff", b"\x00", b"\r", b"\n  ", b"\xef\xbb\xbf", "\u2028\u202e\U0001f984".encode(), b"\\ud800", b"#",
    b"&a ", b"*a", b"<<: *a\n", b"<<: {", b"? ", b": ", b"- ", b"[", b"]", b"{", b"}", b"'", b'"', b"|\n", b">\n",
    b"!!python/object:a ", b"!!int ''", b"!!float x", b"!!timestamp x", b"!!bool x", b"!!binary x", b"!!set {a}",
    b"!!omap [a: 1]", b"%YAML 9.9\n", b"---\n", b"...\n", b"2001-99-99", b"0b_", b"0x_", b"1:99:99", b"~", b"yes",
    b".nan", b".inf", b"9" * 5000, b"0x" + b"f" * 5000, b"[" * 2000, b"- " * 2000,
]
# fmt: on
KEYS = sorted({key for data in PLAIN for way in ways(data) for key in way if isinstance(key, str)})

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(ODD_TEXT),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
)
keys = st.one_of(st.sampled_from(KEYS), st.sampled_from(ODD_TEXT), st.text(max_size=5), st.integers(0, 3), st.none())
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated_data(draw: st.DrawFn) -> tuple[Any, list[KeyPath]]:
    """A valid recipe after one to three changes, and the places that they touched."""
    data = copy.deepcopy(draw(st.sampled_from(PLAIN)))
    touched: list[KeyPath] = []
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(list(ways(data))))
        if not way:  # all of it, rarely
            way = draw(st.sampled_from(list(ways(data))))
        if not way:
            return draw(junk), [()]
        *above, key = way
        parent = at(data, tuple(above))
        change = draw(st.sampled_from(["replace", "replace", "replace", "delete", "rename", "copy", "swap"]))
        touched.append(way)
        other = draw(st.sampled_from([other for other in ways(data) if other]))
        if change == "replace":
            parent[key] = draw(junk)
        elif change == "delete":
            del parent[key]
            touched.append(tuple(above))
        elif change == "rename" and isinstance(parent, dict):
            new = draw(keys)
            parent[new] = parent.pop(key)
            touched += [(*above, new), tuple(above)]
        elif change == "copy":
            target = at(data, tuple(other[:-1]))
            target[other[-1]] = copy.deepcopy(parent[key])
            touched.append(other)
        elif change == "swap":
            shorter = min(len(way), len(other))
            if way[:shorter] != other[:shorter]:  # else one holds the other
                target = at(data, tuple(other[:-1]))
                target[other[-1]], parent[key] = parent[key], target[other[-1]]
                touched.append(other)
    return data, touched


@st.composite
def mutated_text(draw: st.DrawFn) -> bytes:
    """The YAML of a valid recipe after one to four changes."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text)))
        before, after = text[:place], text[place:]
        lines = text.splitlines(keepends=True) or [b"\n"]
        line = lines[place % len(lines)]
        match draw(st.sampled_from(["insert", "insert", "delete", "flip", "cut", "drop", "repeat"])):
            case "insert":
                text = before + draw(st.sampled_from(SNIPPETS) | st.binary(max_size=4)) + after
            case "delete":
                text = before + after[draw(st.integers(1, 12)) :]
            case "flip":
                text = before + bytes([draw(st.integers(32, 126) | st.integers(0, 255))]) + after[1:]
            case "cut":
                text = before
            case "drop":
                text = b"".join(other for other in lines if other is not line)
            case "repeat":
                lines.insert(draw(st.integers(0, len(lines))), line)
                text = b"".join(lines)
    return text


def data_outcome(folder: Path, example: tuple[Any, list[KeyPath]]) -> str:
    path = folder / "mutated.yaml"
    path.write_text(yaml.safe_dump(example[0], sort_keys=False), encoding="utf-8")
    return recipe_outcome(path, example[1])


def text_outcome(folder: Path, example: bytes) -> str:
    path = folder / "mutated.yaml"
    path.write_bytes(example)
    return recipe_outcome(path)


# Command lines, of words that it knows and words that it does not


def options_of(command: Any, above: str = "--") -> Iterator[str]:
    """Every option of a command, `--out` and `--training.batch_size`."""
    for field in fields(command):
        value = getattr(command, field.name, None)
        if is_dataclass(value):
            yield from options_of(value, above if field.name == "settings" else f"{above}{field.name}.")
        else:
            yield above + field.name


OPTIONS = {name: sorted(options_of(command)) for name, command in COMMANDS.items()}
# fmt: off
WORDS = [
    *(word for word in ODD_TEXT if "\x00" not in word),  # the system passes no such word
    *map(str, RECIPES), "-", "--", "---", "-h", "--help", "-v", "--version", "--=", "--out=", "--training.batch_size=3",
    "--no-resume", "True", "nowhere", "nowhere.yaml", "nowhere.pt", "x.safetensors", ".", "/", "AtoB", "8", "3.5",
    "None", "[]", "{}", "\udcff",
]
# fmt: on
values = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(ODD_NUMBERS).map(str),
    st.integers().map(str),
    st.floats().map(str),
    st.text(st.characters(exclude_characters="\x00"), max_size=8),
)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command, or none, and up to six options with or without values, and values with or without options."""
    name = draw(st.sampled_from(["train", "train", "train", "train", *COMMANDS, "", "--version", "trian"]))
    option = st.sampled_from(OPTIONS.get(name, OPTIONS["train"]))
    pair = st.tuples(option, values)
    parts = draw(st.lists(st.one_of(pair, pair, pair, st.tuples(option), st.tuples(values)), max_size=4))
    return [name, *(word for part in parts for word in part)]


def line_outcome(folder: Path, words: list[str]) -> str:
    """Run in an empty folder, where there is nothing to train on; what would work even there is only parsed."""
    if words[0] in ("demo", "fetch"):
        with contextlib.suppress(ValueError, SystemExit), contextlib.redirect_stdout(io.StringIO()):
            command = parse(words[0], words[1:])
            if isinstance(command, Demo) or (isinstance(command, Fetch) and command.name in DATA_SETS):
                return VALIDATED
    with contextlib.chdir(folder):
        outcome = command_outcome(words)
    assert not list(folder.iterdir()), "a mistake leaves nothing behind"
    return outcome


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutations")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


@quick
@given(example=mutated_data())
def test_a_recipe_whose_values_are_mutated_is_valid_or_refused_in_one_line(
    folder: Path, example: tuple[Any, list[KeyPath]]
) -> None:
    data_outcome(folder, example)


@quick
@given(example=mutated_text())
def test_a_recipe_whose_text_is_mutated_is_valid_or_refused_in_one_line(folder: Path, example: bytes) -> None:
    text_outcome(folder, example)


@settings(quick, max_examples=50)
@given(words=command_lines())
def test_a_random_command_line_is_answered_by_help_or_one_line(empty: Path, words: list[str]) -> None:
    line_outcome(empty, words)


def bomb(level: str) -> str:
    """Ten levels, each of which holds the one before it many times."""
    first = level.format("a0").replace("*a0", "x: 1") if "<<" in level else "[x]"
    return "\n".join([f"a0: &a0 {first}", *(f"a{n}: &a{n} {level.format(f'a{n - 1}')}" for n in range(1, 11))])


MANY = ", ".join(["*{0}"] * 9)


@pytest.mark.parametrize(
    "text, told",
    [
        ("a: &a [*a]", "more than 10,000 values, or a value that contains itself"),
        ("a: &a {b: *a}", "more than 10,000 values, or a value that contains itself"),
        ("data: &a {<<: *a}", "more than 10,000 values, or a value that contains itself"),
        (bomb(f"[{MANY}]"), "more than 10,000 values"),
        (bomb(f"{{{{<<: [{MANY}]}}}}"), "more than 10,000 values"),
        ("a: " + "[" * 100 + "]" * 100, "nested more than 50 levels deep"),
        ("a: " + "[" * 1000, "recursion"),
        (
            "training: {batch_size: 2}\ntraining: {batch_size: 3}",
            "'training' appears twice in the block that begins in line 1",
        ),
        ("x" * 70000, "more than 65,536 bytes; is it a recipe?"),
        ("training: {seed: 0x" + "f" * 6000 + "}", "(got a number of 24,000 bits)"),
        ("training: {batch_size: yes}", "training.batch_size: input should be a number (got True)"),
        ("training: {ema: 0 images}", "training.ema: '0 images' is not a duration"),
        ("'': 3", "'': no such key"),
        ("pixel: 3", "pixel: no such key"),
    ],
)
def test_a_text_that_is_made_to_hurt_is_one_line(folder: Path, text: str, told: str) -> None:
    path = folder / "hurting.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        read_recipe(path)
    assert told in str(caught.value)
    assert recipe_outcome(path) == REFUSED


def test_aliases_that_spare_writing_are_taken(folder: Path) -> None:
    path = folder / "aliases.yaml"
    path.write_text("method: {kind: cyclegan, discriminator: &d {kind: patchgan, width: 8}}\n", encoding="utf-8")
    assert recipe_outcome(path) == VALIDATED
    path.write_text("log: {samples_every: &often 5 images, checkpoint_every: *often}\n", encoding="utf-8")
    assert read_recipe(path).log.checkpoint_every == "5 images"


def test_every_transform_of_albumentations_is_taken_or_refused_in_one_line(folder: Path) -> None:
    path = folder / "transform.yaml"
    kinds = [name for name in dir(A) if isinstance(getattr(A, name), type)]
    assert len(kinds) > 100
    for name in kinds:
        path.write_text(f"data: {{transforms: [{name}: {{}}]}}", encoding="utf-8")
        recipe_outcome(path, [("data", "transforms", 0, name)])
