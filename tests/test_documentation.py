"""What the documentation names exists: commands, options, keys, recipes, Python names, tests, links, pictures."""

from __future__ import annotations

import ast
import html
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import yaml
from PIL import ExifTags, Image
from tyro.conf import OmitArgPrefixes

from cyclegan.cli import COMMANDS, parse
from cyclegan.cli.their_options import TEST, TRAIN
from cyclegan.data.format import Depth
from cyclegan.data.kinds import READ
from cyclegan.data.picture import Kept
from cyclegan.data.read import read_picture
from cyclegan.data.stores import SUFFIXES, suffix_for
from cyclegan.data.write import encoded
from cyclegan.methods import MethodConfig
from cyclegan.networks.config import AnyGeneratorConfig, DiscriminatorConfig
from cyclegan.recipe import Recipe, recipe_from
from tests.pages import DOCS, PAGES, ROOT, blocks, headings, of_cyclegan, prose, saved, shell, spans, text
from tests.patience import run, until
from tests.report.chromium import CHROMIUM, Chromium

OF_OTHERS = {f"--{name}" for name in (*TRAIN, *TEST)}
"""Options of the projects that docs/migrating.md is about."""

GENERATED = "stands here on the site. -->"
"""In a page whose headings are made when the site is built, which checks links to them."""

DRAWN_BY = re.compile(r"`(?:cyclegan|make|python) |tensorboard --logdir")


def commands() -> list[str]:
    return sorted({line for page in PAGES for line in shell(page) if of_cyclegan(line)})


@pytest.mark.parametrize("line", commands())
def test_a_command_is_understood(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    for name, recipe in {name: recipe for page in PAGES for name, recipe in saved(page).items()}.items():
        (tmp_path / name).write_text(recipe, encoding="utf-8")
    for other in commands():
        if (written := of_cyclegan(other)) and written[0] == "init":
            (tmp_path / written[2]).touch()
    monkeypatch.chdir(tmp_path)
    words = of_cyclegan(line)
    assert words
    if "--help" in words:
        assert words[0] in (*COMMANDS, "--help")
    else:
        assert isinstance(parse(words[0], words[1:]), COMMANDS[words[0]])


def test_every_command_is_shown() -> None:
    assert {words[0] for line in commands() if (words := of_cyclegan(line))} >= COMMANDS.keys()


def keys(config: Any, above: str = "") -> Iterator[str]:
    """Every dotted key of a config, of all kinds."""
    hints = get_type_hints(config, include_extras=True)
    for field in fields(config):
        bare = OmitArgPrefixes in get_args(hints[field.name])
        if not bare:
            yield f"{above}{field.name}"
        for part in _dataclasses(hints[field.name]):
            yield from keys(part, above if bare else f"{above}{field.name}.")


def _dataclasses(hint: Any) -> Iterator[Any]:
    if is_dataclass(hint) and isinstance(hint, type):
        yield hint
    for part in get_args(hint):
        yield from _dataclasses(part)


RECIPE_KEYS = set(keys(Recipe))
OPTIONS = {name: {f"--{key}" for key in keys(command)} | {"--help"} for name, command in COMMANDS.items()}
OPTIONS["train"] |= {f"--{key}" for key in RECIPE_KEYS}
OPTIONS["train"] |= {re.sub(r"([^.]+)$", r"no_\1", f"--{key}") for key in RECIPE_KEYS}  # the other way of a switch


@pytest.mark.parametrize("page", PAGES)
def test_an_option_that_the_prose_names_exists(page: str) -> None:
    known = set().union(*OPTIONS.values()) | {"--version", "--max-restarts"}  # the latter of torchrun
    known |= OF_OTHERS if page == "docs/migrating.md" else set()
    benchmarks = page == "experiments/README.md"  # which have options of their own
    for span in spans(page):
        words = span.split()
        of_one = words[0] == "cyclegan" and len(words) > 1 and words[1] in COMMANDS
        if of_one or (words[0].startswith("--") and not benchmarks):
            given = {word.split("=")[0] for word in words if word.startswith("--")}
            assert given <= (OPTIONS[words[1]] if of_one else known), span


@pytest.mark.parametrize("page", PAGES)
def test_a_key_that_the_prose_names_exists(page: str) -> None:
    sections = {field.name for field in fields(Recipe)}
    for span in spans(page):
        key, _, value = span.partition(": ")
        if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", key) or key.endswith((".md", ".py", ".yaml", ".json")):
            continue
        if key.split(".")[0] in sections:
            assert key in RECIPE_KEYS, span
            assert not value or is_valid(key, yaml.safe_load(value)), span


def is_valid(key: str, value: Any) -> bool:
    """Whether some kind of method, generator and discriminator takes this value."""
    unions = MethodConfig, AnyGeneratorConfig, DiscriminatorConfig
    kinds = [[config.kind for config in get_args(get_args(union)[0])] for union in unions]
    for method, generator, discriminator in product(*kinds):
        recipe: dict[str, Any] = {"method": {"kind": method}}
        if key.startswith("method.generator"):
            recipe["method"]["generator"] = {"kind": generator}
        if key.startswith("method.discriminator"):
            recipe["method"]["discriminator"] = {"kind": discriminator}
        *above, last = key.split(".")
        section = recipe
        for name in above:
            section = section.setdefault(name, {})
        section[last] = value
        try:
            recipe_from(recipe, "documentation")
        except ValueError:
            continue
        return True
    return False


@pytest.mark.parametrize("page", PAGES)
def test_recipes_are_valid(page: str) -> None:
    for block in blocks(page, "yaml"):
        recipe_from(yaml.safe_load(block.code), page).data.build()


@pytest.mark.parametrize("page", PAGES)
def test_python_compiles_and_imports_what_exists(page: str) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.ImportFrom):
                assert node.module
                for name in node.names:
                    assert hasattr(import_module(node.module), name.name), name.name
            elif isinstance(node, ast.Import):
                for name in node.names:
                    import_module(name.name)


KEPT: dict[str, Callable[[str, int], bool]] = {
    "everything": lambda depth, channels: True,
    "8 and 16 bits, any number of bands": lambda depth, channels: depth.startswith("uint"),
    "8- and 16-bit grey and colour": lambda depth, channels: depth.startswith("uint") and channels in (1, 3),
    "8-bit grey and colour": lambda depth, channels: depth == "uint8" and channels in (1, 3),
    "grey of every type, 8-bit colour": lambda depth, channels: channels == 1 or (depth, channels) == ("uint8", 3),
    "nothing": lambda depth, channels: False,
}
"""The words of the table of files in docs/data.md about the pictures for which a translation keeps the format."""


def table_of_files() -> list[list[str]]:
    """The cells of each row of the table of files in docs/data.md."""
    table = text("docs/data.md").partition("## Which files are read")[2].partition("\n- ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]
    return rows[2:]


def kinds_of_files() -> list[tuple[list[str], str]]:
    """The suffixes of each row of that table, and the pictures for which a translation keeps the format."""
    return [([f".{suffix}" for suffix in row[1].split()], re.sub(r" \(.*\)", "", row[3])) for row in table_of_files()]


def test_the_table_of_files_has_every_suffix_that_is_read() -> None:
    suffixes = [suffix for row, _ in kinds_of_files() for suffix in row]
    assert sorted(suffixes) == sorted(READ)


@pytest.mark.parametrize("suffixes, kept", kinds_of_files())
def test_the_table_of_files_says_how_translations_are_written(suffixes: list[str], kept: str) -> None:
    for suffix, depth, channels in product(suffixes, get_args(Depth), (1, 2, 3, 4, 13)):
        other = ".png" if KEPT["8- and 16-bit grey and colour"](depth, channels) else ".tif"
        expected = suffix if KEPT[kept](depth, channels) else other
        assert suffix_for(suffix, depth, channels) == expected, (suffix, depth, channels)


def what_is_kept() -> list[tuple[str, str]]:
    """Each suffix of that table that is written, and what the table says is kept."""
    rows = table_of_files()
    return [(f".{suffix}", row[4]) for row in rows for suffix in row[1].split() if f".{suffix}" in SUFFIXES]


@pytest.mark.parametrize("suffix, kept", what_is_kept())
def test_the_table_of_files_says_what_is_kept(suffix: str, kept: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    pixels, clear = np.full((8, 8, 3), 99, np.uint8), np.full((8, 8), 50, np.uint8)
    path = tmp_path / f"x{suffix}"
    path.write_bytes(encoded(pixels, path, kept=Kept(exif=exif.tobytes(), dpi=(300, 300)), alpha=clear))
    found = read_picture(path)
    there = {"EXIF": found.kept.exif, "DPI": found.kept.dpi, "transparency": found.alpha}
    assert [word for word in there if word in kept] == [word for word, value in there.items() if value is not None]


def targets(page: str) -> list[str]:
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page)))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in targets(page):
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent.joinpath(name).resolve() if name else ROOT / page
        assert path.exists(), target
        there = path.relative_to(ROOT).as_posix()
        if anchor and GENERATED not in text(there):
            assert anchor in headings(there), target


@pytest.mark.parametrize("page", PAGES)
def test_the_text_beside_a_picture_says_which_command_made_it(page: str) -> None:
    written = text(page).splitlines()
    for number, line in enumerate(written):
        if picture := re.match(r"!\[([^\]]*)\]\(", line):
            beside = "\n".join(written[max(0, number - 6) : number + 7])
            assert picture[1] and DRAWN_BY.search(beside), line


def named() -> list[tuple[str, str]]:
    """Each `folder/test_x.py`, alone or with `::test_y` or the beginning of it, `::test_y_...`."""
    found = (re.findall(r"([\w/]*test_\w+\.py)(?:::(\w+(?:\.\.\.)?))?", text(page)) for page in PAGES)
    return sorted({each for page in found for each in page})


@pytest.mark.parametrize("file, name", named())
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    if "NAME" in file:
        return
    tests = (ROOT / "tests" / file.removeprefix("tests/")).read_text(encoding="utf-8")
    begin = f"def {name.removesuffix('...')}" + ("" if name.endswith("...") else "(")
    assert not name or begin in tests


def test_every_page_is_in_the_navigation() -> None:
    def pages(tree: Any) -> Iterator[str]:
        if isinstance(tree, str):
            yield tree
        for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
            yield from pages(part)

    shown = set(pages(yaml.safe_load(text("mkdocs.yml"))["nav"]))
    assert {page.removeprefix("docs/") for page in DOCS} <= shown


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a link, a heading, a page or a name of the code that is missing is an error."""
    built = tmp_path_factory.mktemp("site")
    build = "-m", "mkdocs", "build", "--strict"  # with --quiet, warnings are not counted
    places = "--config-file", ROOT / "mkdocs.yml", "--site-dir", built
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = run([sys.executable, *build, *places], environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return built


def test_the_site_loads_nothing_from_other_hosts(site: Path) -> None:
    for path in site.rglob("*"):
        if path.suffix == ".html":
            page = path.read_text(encoding="utf-8")
            loaded = re.findall(r"<(?:script|img|iframe)[^>]*\bsrc=\"?([^\" >]+)|<link[^>]*\bhref=\"?([^\" >]+)", page)
            assert not [name for pair in loaded for name in pair if re.match(r"(https?:)?//", name)], path
        elif path.suffix == ".css":
            assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), path


def test_the_site_has_every_key_and_every_command(site: Path) -> None:
    page = (site / "recipes.html").read_text(encoding="utf-8")
    for key in RECIPE_KEYS - {field.name for field in fields(Recipe)}:
        assert f">{key}</code>" in page or f">{key}: " in page, key
    page = html.unescape((site / "commands.html").read_text(encoding="utf-8"))
    assert all((inspect.getdoc(command) or "nothing") in page for command in COMMANDS.values())


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_search_works_from_the_disk(site: Path, tmp_path: Path) -> None:
    ask = """(() => {
        const input = document.querySelector(".md-search__input")
        input.focus()
        input.value = "checkerboard"
        input.dispatchEvent(new KeyboardEvent("keyup", {bubbles: true}))
        return [...document.querySelectorAll(".md-search-result__item a")].map(link => link.href).join(" ")
    })()"""
    with Chromium(tmp_path) as page:
        page.open(f"{(site / 'index.html').as_uri()}#__search")
        until(lambda: "tips.html" in page.see(ask), pause=0.5, patience=60)
        assert not page.complaints
