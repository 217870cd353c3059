"""Pages of one file each, from the templates in this package, which hold all HTML and escape every value."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from cyclegan.util.atomic import write_whole
from cyclegan.util.text import shown

TEMPLATES = Environment(
    loader=PackageLoader("cyclegan.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["shown"] = shown
TEMPLATES.filters["yaml"] = partial(yaml.safe_dump, sort_keys=False, allow_unicode=True)


def write_page(path: Path, template: str | Template, **values: object) -> Path:
    """Write a template filled with values, whole or not at all; returns `path`."""
    page = TEMPLATES.get_template(template).render(values)
    # File names may contain bytes that are not UTF-8.
    write_whole(path, page.encode("utf-8", errors="replace"))
    return path
