"""The result of a check as text, a fact or a finding in each line."""

from __future__ import annotations

from collections.abc import Iterator

from cyclegan.check.facts import QUICK, Spread
from cyclegan.check.finding import LEVELS, Finding, counted
from cyclegan.check.recipe_text import commented
from cyclegan.check.result import Folder, Result

EXAMPLES = 3
"""Number of examples of a finding in the text."""

FINE = 20.0
"""Range of values up to which they are told with a fraction."""

SHARP = 0.9
"""Finest detail from which a folder has nothing special."""


def as_text(result: Result) -> str:
    """Return the whole result as lines."""
    quickly = f"at most {QUICK} pictures of each folder were checked, and not compared"
    lines = [f"{result.data}: {quickly if result.quick else 'all pictures were checked'}"]
    for folder in result.folders:
        lines += ["", *_folder(folder)]
    lines += ["", *_findings(result.findings)]
    if result.suggestions:
        lines += ["", "a recipe that fits (cyclegan init writes it to a file):", ""]
        lines += [f"    {line}".rstrip() for line in commented(result.data, result.suggestions).splitlines()]
    if result.cost:
        lines += ["", "estimate, without the speed options that training tries:", ""]
        lines += [f"    {line}" for line in result.cost.lines]
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
    channels = "" if folder.channels.keys() <= {"1", "3"} else f"; {_numbers(folder.channels)} channels"
    facts["kind"] = f"{_numbers(folder.kinds)}; {_numbers(folder.depths)}{channels}"
    if folder.values and len(folder.depths) == 1:  # values of several types have nothing in common
        facts["values"] = _values(folder, folder.values)
    if folder.detail and folder.detail.median < SHARP:
        facts["finest detail"] = f"{folder.detail.median:.2f} of what the pixels can hold (median)"
    changed = {"turned upright": folder.turned, "converted to sRGB": folder.converted}
    if any(changed.values()):
        facts["when read"] = ", ".join(f"{number:,} {what}" for what, number in changed.items() if number)
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
        if len(finding.examples) > EXAMPLES:
            yield "           - ..."


def _numbers(counts: dict[str, int]) -> str:
    """Return what is counted; numbers only if there are several."""
    if len(counts) == 1:
        return next(iter(counts)).removeprefix(".")
    return ", ".join(f"{number:,} {what.removeprefix('.')}" for what, number in counts.items())


def _values(folder: Folder, of_most: Spread) -> str:
    """Return the range of the values, that of nearly all of them if it is another one, and the median."""
    ends = folder.lowest or 0.0, folder.highest or 0.0
    digits = ",.0f" if ends[1] - ends[0] > FINE else ".3g"
    low, high, least, median, most = (format(value, digits) for value in (*ends, *of_most))
    nearly = "" if (low, high) == (least, most) else f", 99.8 % of them {least} to {most}"
    return f"{low} to {high}{nearly}; median {median}"


def _range(spread: Spread, digits: int) -> str:
    low, median, high = (f"{value:,.{digits}f}" for value in spread)
    return low if low == high else f"{low} to {high}, median {median}"
