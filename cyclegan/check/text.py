"""The result of a check as text, a fact or a finding in each line."""

from __future__ import annotations

from collections.abc import Iterator

from cyclegan.check.facts import Spread
from cyclegan.check.finding import LEVELS, Finding, counted
from cyclegan.check.recipe_text import commented
from cyclegan.check.result import Folder, Result

EXAMPLES = 3
"""Number of examples of a finding in the text."""


def as_text(result: Result) -> str:
    """Return the whole result as lines."""
    lines = [f"{result.data}: {'some of the' if result.quick else 'all'} pictures were checked"]
    for folder in result.folders:
        lines += ["", *_folder(folder)]
    lines += ["", *_findings(result.findings)]
    if result.suggestions:
        lines += ["", "a recipe that fits (cyclegan init writes it to a file):", ""]
        lines += [f"    {line}".rstrip() for line in commented(result.data, result.suggestions).splitlines()]
    if result.cost:
        lines += ["", f"estimate, before speed options are chosen: {result.cost.told}"]
    return "\n".join(lines)


def facts_of(folder: Folder) -> dict[str, str]:
    """Return the facts about a folder by name; those that are nothing special are left out."""
    some = "" if folder.checked == folder.files else f", {folder.checked:,} of them checked"
    facts = {"pictures": f"{folder.files:,}{some} ({_numbers(folder.suffixes)})"}
    if folder.width and folder.height and folder.shorter_side and folder.aspect:
        one = f"all {folder.width.median:.0f} x {folder.height.median:.0f}"
        many = f"{counted(folder.sizes, 'size')}; shorter side {_range(folder.shorter_side, 0)}"
        facts["size"] = f"{one if folder.sizes == 1 else many} pixels"
        if folder.sizes > 1:
            facts["width / height"] = _range(folder.aspect, 2)
    channels = ", ".join(counted(int(each), "channel") for each in folder.channels)
    facts["kind"] = f"{_numbers(folder.kinds)}; {_numbers(folder.depths)}; {channels}"
    if folder.values:
        low, median, high = folder.values
        facts["values"] = f"{folder.lowest:g} to {folder.highest:g}; 99.8 % in {low:g} to {high:g}, median {median:g}"
    if folder.detail:
        facts["finest detail"] = f"{folder.detail.median:.2f} of what the pixels can hold (median)"
    return facts


def _folder(folder: Folder) -> Iterator[str]:
    yield folder.name
    for name, fact in facts_of(folder).items():
        yield f"  {name + ':':<16}{fact}"


def _findings(findings: tuple[Finding, ...]) -> Iterator[str]:
    if not findings:
        yield "nothing to worry about"
        return
    numbers = {level: sum(each.level == level for each in findings) for level in LEVELS}
    yield "found: " + ", ".join(counted(number, level) for level, number in numbers.items() if number)
    for finding in findings:
        yield f"  {finding.level + ':':<9}{finding.text}"
        if finding.advice:
            yield f"           {finding.advice}"
        for example in finding.examples[:EXAMPLES]:
            yield f"           - {example.told}"


def _numbers(counts: dict[str, int]) -> str:
    """Return what is counted; numbers only if there are several."""
    if len(counts) == 1:
        return next(iter(counts)).removeprefix(".")
    return ", ".join(f"{number:,} {what.removeprefix('.')}" for what, number in counts.items())


def _range(spread: Spread, digits: int) -> str:
    low, median, high = (f"{value:,.{digits}f}" for value in spread)
    return low if low == high else f"{low} to {high}, median {median}"
