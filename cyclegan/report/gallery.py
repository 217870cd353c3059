"""A page of photographs, their translations and the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from cyclegan.report.page import write_page
from cyclegan.report.parts import Card, figure


def write_gallery(
    rows: Sequence[tuple[str, Image.Image, Image.Image, Image.Image]],
    *,
    title: str,
    told: Mapping[str, str],
    path: Path,
) -> Path:
    """Write a page of rows (name, photograph, translated, truth), whole or not at all; returns `path`."""
    made = [
        Card(name, figure("photo", photo), figure("translated", fake), (figure("truth", truth),))
        for name, photo, fake, truth in rows
    ]
    return write_page(path, "gallery.html", title=title, facts=told, cards=made)
