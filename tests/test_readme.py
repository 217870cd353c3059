"""The commands that the documentation shows are commands that the program takes."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from cyclegan.cli import COMMANDS, parse
from cyclegan.data.transforms import Augment
from cyclegan.recipe import recipe_from

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "data/README.md", "experiments/README.md", "CONTRIBUTING.md", "RELIABILITY.md"]


def commands() -> list[str]:
    pages = ((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    blocks = (block for page in pages for block in re.findall(r"```bash\n(.*?)```", page, re.S))
    lines = [line for block in blocks for line in block.splitlines()]
    alone = [re.sub("^torchrun .* -m ", "", line) for line in lines]
    return [line for line in alone if line.startswith("cyclegan ")]


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_documentation_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    _, name, *rest = shlex.split(line)
    assert isinstance(parse(name, rest), COMMANDS[name])


def test_the_readme_shows_most_commands() -> None:
    assert {line.split()[1] for line in commands()} >= {"train", "translate", "export", "import", "show", "fetch"}


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def named() -> list[tuple[str, str]]:
    """Each `folder/test_x.py`, alone or with `::test_y` or the beginning of it, `::test_y_...`."""
    pages = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    return sorted(set(re.findall(r"([\w/]*test_\w+\.py)(?:::(\w+(?:\.\.\.)?))?", pages)))


@pytest.mark.parametrize("file, name", named())
def test_a_test_that_the_documentation_names_is_there(file: str, name: str) -> None:
    text = (ROOT / "tests" / file.removeprefix("tests/")).read_text(encoding="utf-8")
    begin = f"def {name.removesuffix('...')}" + ("" if name.endswith("...") else "(")
    assert not name or begin in text


def test_the_recipes_of_the_documentation_are_valid() -> None:
    for page in PAGES:
        for block in re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S):
            Augment(recipe_from(yaml.safe_load(block), page).data.transforms)


def test_the_python_of_the_readme_names_what_the_package_has() -> None:
    import cyclegan

    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    compile(block, "README.md", "exec")
    for name in re.findall(r"from cyclegan import (.*)", block)[0].split(", "):
        assert hasattr(cyclegan, name)
