"""A page in one file: its style, its sliders and its pictures travel inside it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

from cyclegan.util.atomic import write_whole

STYLE, SCRIPT = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))


def write_page(path: Path, title: str, lead: str, parts: Iterable[str]) -> Path:
    """Write parts (HTML) below a title and a sentence (text), whole or not at all; returns `path`."""
    words = {"title": escape(title), "lead": escape(lead), "parts": "\n".join(parts), "style": STYLE, "script": SCRIPT}
    # File names may hold bytes that are no UTF-8.
    page = PAGE.substitute(words).encode("utf-8", errors="replace")
    write_whole(path, page)
    return path


PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>$title</title>
<style>
$style</style>
<header>
<h1>$title</h1>
<p>$lead</p>
</header>
<main>
$parts
</main>
<script>
$script</script>
</html>
""")
