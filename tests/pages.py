"""The pages of the documentation, taken apart: commands, blocks of code, prose, headings, links."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

DOCS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
ELSEWHERE = [
    "README.md",
    "RELIABILITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "data/README.md",
    "experiments/README.md",
]
PAGES = [*ELSEWHERE, *DOCS]

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *```", re.S | re.M)


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    code: str


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> list[Block]:
    """The blocks of a page in some languages, in order."""
    found = (Block(match["language"], textwrap.dedent(match["code"])) for match in FENCE.finditer(text(page)))
    return [block for block in found if block.language in languages]


def lines(block: Block) -> list[str]:
    """The command lines of a block, those that go on after a backslash in one."""
    joined = re.sub(r"\\\n\s*", "", block.code)
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def shell(page: str) -> list[str]:
    """Every command line of a page."""
    return [line for block in blocks(page, "bash") for line in lines(block)]


REDIRECTED = re.compile(r" (?P<sign>[<>]) (?P<file>\S+)")


def redirected(line: str) -> dict[str, str]:
    """The files that a command line reads from (`<`) and writes to (`>`), by these signs."""
    return {found["sign"]: found["file"] for found in REDIRECTED.finditer(line)}


def of_cyclegan(line: str) -> list[str] | None:
    """The words after `cyclegan` in a command line, also where torchrun or srun starts it; None for another program."""
    if found := re.search(r"(?:^|^\w+=\S+ |^(?:torchrun|srun) .* -m )cyclegan (?P<rest>.*)", line):
        return shlex.split(REDIRECTED.sub("", found["rest"]).removesuffix("'"))
    return None


def prose(page: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"(?m)^    .*\n?", "", FENCE.sub("", text(page)))


def spans(page: str) -> list[str]:
    """What stands between backticks in the prose."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def headings(page: str) -> set[str]:
    """The anchors of a page, as GitHub and mkdocs make them."""
    titles = re.findall(r"(?m)^#+ (.*?)\s*$", FENCE.sub("", text(page)))
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


def saved(page: str) -> dict[str, str]:
    """The YAML blocks of a page that it says to save, by the name of the file."""
    pattern = r"```yaml\n(.*?)```\s+Save it as `([\w/]+\.yaml)`"
    return {name: code for code, name in re.findall(pattern, text(page), re.S)}
