"""The result of a check as a page: findings with their pictures, facts, contact sheets, the recipe that fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cyclegan.check.check import Checked
from cyclegan.check.facts import Facts
from cyclegan.check.finding import Finding
from cyclegan.check.look import halved, viewed
from cyclegan.check.recipe_text import commented
from cyclegan.check.text import facts_of
from cyclegan.data.files import UnreadableImage
from cyclegan.data.read import read_picture
from cyclegan.data.sources import Source
from cyclegan.report.page import write_page
from cyclegan.report.parts import Figure, figure
from cyclegan.util.evenly import evenly
from cyclegan.util.text import shown

THUMBNAIL = 160
"""Longer side of a picture on the page, in pixels."""

EXAMPLES = 12
"""Number of examples of a finding on the page."""

ON_A_SHEET = 18
"""Number of pictures on the contact sheet of a folder."""


def write_check(checked: Checked, path: Path) -> Path:
    """Write the page of a check, whole or not at all; returns `path`."""
    result = checked.result
    folders = zip(result.folders, checked.folders, strict=True)
    return write_page(
        path,
        "check.html",
        title=Path(result.data).name or result.data,
        result=result,
        findings=[(finding, _examples(finding)) for finding in result.findings],
        most=EXAMPLES,
        folders=[(folder.name, facts_of(folder), _sheet(facts)) for folder, facts in folders],
        recipe=commented(result.data, result.suggestions) if result.suggestions else "",
    )


def _examples(finding: Finding) -> list[list[Figure]]:
    """Return the pictures of a finding; those of an example are neighbours."""
    some = finding.examples[:EXAMPLES]
    pictures = ([_thumbnail(Path(file), _name(Path(file))) for file in each.files] for each in some)
    return [[picture for picture in figures if picture] for figures in pictures if any(figures)]


def _name(path: Path) -> str:
    return shown(Path(path.parent.name, path.name))


def _sheet(facts: Facts) -> list[Figure]:
    rows = evenly(np.flatnonzero(facts.readable).tolist(), ON_A_SHEET)
    pictures = (_thumbnail(facts.path(row), shown(Path(facts.path(row).name)), facts.place.source) for row in rows)
    return [picture for picture in pictures if picture]


def _thumbnail(path: Path, name: str, source: Source | None = None) -> Figure | None:
    """Return a small picture, of the half of a file if its source has halves; None if it cannot be read any more."""
    try:
        picture = read_picture(path, at_least=THUMBNAIL)
    except UnreadableImage:
        return None
    image = viewed(halved(picture, source) if source else picture)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return figure(name, image.convert("RGB"))
