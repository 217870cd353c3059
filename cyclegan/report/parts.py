"""What pages are made of: facts, tables, pictures under a slider. From plain values to HTML; all words are escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Literal, NamedTuple

from PIL import Image

Layout = Literal["cards", "cards wide", "charts", "pair", "row"]
"""Classes of style.css; a wide card has a picture beside its slider."""


class Figure(NamedTuple):
    """A picture and the word below it."""

    caption: str
    image: Image.Image


def facts(entries: Mapping[str, str]) -> str:
    """Names and values."""
    pairs = (f"<div><dt>{escape(name)}</dt><dd>{escape(fact)}</dd></div>" for name, fact in entries.items())
    return "\n".join(["<dl>", *pairs, "</dl>"])


def section(heading: str, *parts: str) -> str:
    """Parts under a heading."""
    return "\n".join(["<section>", f"<h2>{escape(heading)}</h2>", *parts, "</section>"])


def subsection(heading: str, *parts: str) -> str:
    """Parts under a smaller heading."""
    return "\n".join([f"<h3>{escape(heading)}</h3>", *parts])


def note(text: str) -> str:
    """A quiet sentence; words between ` are set as code."""
    return f"<p>{_with_code(text)}</p>"


def warning(text: str) -> str:
    """A sentence not to be missed; words between ` are set as code."""
    return f'<p class="warning">{_with_code(text)}</p>'


def details(summary: str, text: str) -> str:
    """A long text, folded away."""
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>"


def table(label: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells of text; what follows a line break in a cell is set small. A row of one cell is a heading of its own.

    On a narrow screen the table scrolls inside its box, by the keyboard too.
    """
    lines = [_row("th", *heads)]
    for row in rows:
        if len(row) == 1:
            lines.append(f'<tr><th class="group" scope="rowgroup" colspan="{len(heads)}">{escape(row[0])}</th></tr>')
        else:
            lines.append(_row("td", *row))
    box = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">'
    return "\n".join([box, "<table>", *lines, "</table>", "</div>"])


def card(name: str, before: Figure, after: Figure, *beside: Figure) -> str:
    """Two pictures under one slider, others beside them; printed, all stand side by side."""
    covered = "\n".join(_figure(name, figure) for figure in (before, after))
    others = "\n".join(_figure(name, figure) for figure in beside)
    hint = f"{escape(name)}: percent of the {escape(before.caption)} to show"
    return f"""\
<article>
<div class="compare">
{covered}
<input type="range" value="50" autocomplete="off" aria-label="{hint}">
</div>
{others}
<h4>{escape(name)}</h4>
</article>"""


def side_by_side(name: str, *pictures: Figure) -> str:
    """Pictures in a row."""
    figures = (_figure(name, picture) for picture in pictures)
    return "\n".join(["<article>", box("row", figures), f"<h4>{escape(name)}</h4>", "</article>"])


def box(layout: Layout, parts: Iterable[str]) -> str:
    """Parts in as many columns as there is room for."""
    return "\n".join([f'<div class="{layout}">', *parts, "</div>"])


def steps(name: str, figures: Sequence[Figure]) -> str:
    """Pictures one at a time, the last at first, under a slider that steps through them; printed, only the last."""
    last, shown = len(figures) - 1, escape(figures[-1].caption)
    slider = (
        f'<input type="range" max="{last}" value="{last}" autocomplete="off" aria-label="{escape(name)}: step" '
        f'aria-valuetext="{shown}">'
    )
    pictures = (_figure(name, figure, hidden=i < last) for i, figure in enumerate(figures))
    return "\n".join(['<div class="steps">', f"<h3>{escape(name)}</h3>", *pictures, slider if last else "", "</div>"])


def legend(left: str, right: str, meaning: str) -> str:
    """What the colours over patches mean."""
    return f'<p class="legend">{escape(left)} <span></span> {escape(right)} ({escape(meaning)})</p>'


def inline(image: Image.Image) -> str:
    """A picture as the `src` of an <img>."""
    file = io.BytesIO()
    image.save(file, format="WEBP", quality=90)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _with_code(text: str) -> str:
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))


def _figure(name: str, figure: Figure, *, hidden: bool = False) -> str:
    caption, (width, height) = escape(figure.caption), figure.image.size
    picture = f'<img src="{inline(figure.image)}" width="{width}" height="{height}"'
    told = f'{picture} alt="{escape(name)}: {caption}"><figcaption>{caption}</figcaption>'
    return f"<figure{' hidden' * hidden}>{told}</figure>"


def _row(tag: str, first: str, *cells: str) -> str:
    scope = "col" if tag == "th" else "row"
    others = "".join(f"<{tag}>{_cell(cell)}</{tag}>" for cell in cells)
    return f'<tr><th scope="{scope}">{_cell(first)}</th>{others}</tr>'


def _cell(text: str) -> str:
    large, _, small = escape(text).partition("\n")
    return large + (f"<small>{small}</small>" if small else "")
