"""Pictures side by side: a contact sheet as PNG, and a page with sliders that needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from PIL import Image, ImageDraw, ImageFont

from cyclegan.images.files import write_image

CELL = 192  # pixels; smaller pictures are enlarged by the whole number that comes nearest
GUTTER = 12
HEADING = 40
PAPER, INK = "#f7f3ec", "#1d2b2f"


def write_sheet(rows: Sequence[Sequence[Image.Image]], titles: Sequence[str], path: Path) -> Path:
    """Write pictures of one size as a table, a title above each column, whole or not at all; returns `path`.

    Raises ValueError for a row that has more or fewer pictures than there are titles.
    """
    width, height = rows[0][0].size
    factor = max(1, round(CELL / width))
    width, height = width * factor, height * factor
    across, down = width + GUTTER, height + GUTTER
    sheet = Image.new("RGB", (GUTTER + across * len(titles), HEADING + down * len(rows)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=18)
    for column, title in enumerate(titles):
        middle = GUTTER + across * column + width // 2
        draw.text((middle, HEADING // 2), title, fill=INK, font=font, anchor="mm")
        for row, pictures in enumerate(rows):
            if len(pictures) != len(titles):
                raise ValueError(f"row {row + 1} has {len(pictures)} pictures for {len(titles)} titles")
            cell = pictures[column].resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(cell, (GUTTER + across * column, HEADING + down * row))
    write_image(sheet, path)
    return path


def write_gallery(
    rows: Sequence[tuple[str, Image.Image, Image.Image, Image.Image]],
    *,
    title: str,
    facts: Mapping[str, str],
    path: Path,
) -> Path:
    """Write one HTML page of rows (name, photograph, translated, truth), whole or not at all; returns `path`.

    The pictures travel inside the page, which asks the network for nothing.
    """
    table = [f"<div><dt>{escape(name)}</dt><dd>{escape(fact)}</dd></div>" for name, fact in facts.items()]
    cards = [
        CARD.substitute(name=escape(name), photo=_inline(photo), fake=_inline(fake), truth=_inline(truth))
        for name, photo, fake, truth in rows
    ]
    page = PAGE.substitute(title=escape(title), facts="\n".join(table), cards="\n".join(cards))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(page, encoding="utf-8")
    part.replace(path)
    return path


def _inline(image: Image.Image) -> str:
    """A picture as the `src` of an <img>."""
    png = io.BytesIO()
    image.save(png, format="PNG")
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


CARD = Template("""\
<article>
  <div class="compare">
    <figure><img src="$photo" alt="$name: photograph"><figcaption>photo</figcaption></figure>
    <figure><img src="$fake" alt="$name: translated"><figcaption>translated</figcaption></figure>
    <input type="range" value="50" autocomplete="off" aria-label="$name: percent of the photograph to show">
  </div>
  <figure><img src="$truth" alt="$name: truth"><figcaption>truth</figcaption></figure>
  <h2>$name</h2>
</article>""")

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
  :root { --paper: #f7f3ec; --card: #fffdf9; --ink: #1d2b2f; --quiet: #66716f; --line: #ded6c8; --accent: #b4561f; }
  @media (prefers-color-scheme: dark) {
    :root { --paper: #10181b; --card: #172226; --ink: #efe7d9; --quiet: #94a3a2; --line: #2b3a3f; --accent: #f0a35c; }
  }
  * { box-sizing: border-box; margin: 0; }
  body { background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif;
         max-width: 76rem; margin: auto; padding: clamp(1.25rem, 4vw, 4rem) clamp(1rem, 4vw, 3rem); }
  h1 { font: 600 clamp(1.9rem, 5vw, 3.2rem)/1.1 "Iowan Old Style", Palatino, Georgia, serif; text-wrap: balance; }
  h1::after { content: ""; display: block; width: 3.5rem; height: 3px; margin: 1.1rem 0; background: var(--accent); }
  header p { max-width: 42rem; color: var(--quiet); }
  dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 13rem), 1fr)); gap: 0 2rem;
       margin: 2rem 0 3rem; }
  dl div { border-top: 1px solid var(--line); padding: .7rem 0 1rem; }
  dt { color: var(--quiet); font-size: .85rem; }
  dd { font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
  main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 1.5rem; }
  article { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; padding: .6rem; border-radius: .9rem;
            background: var(--card); border: 1px solid var(--line); break-inside: avoid; }
  h2 { grid-column: 1 / -1; font-size: .9rem; font-weight: 500; color: var(--quiet); padding: 0 .2rem; }
  figure { position: relative; }
  img { display: block; width: 100%; border-radius: .4rem; }
  figcaption { position: absolute; top: .5rem; left: .5rem; padding: .05rem .5rem; border-radius: 1rem;
               background: #10181bb8; color: #fff; font-size: .75rem; }
  .compare { --at: 50%; position: relative; overflow: hidden; border-radius: .4rem; }
  .compare:focus-within { outline: 3px solid var(--accent); outline-offset: 2px; }
  .compare figure + figure { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--at)); }
  .compare figure + figure figcaption { left: auto; right: .5rem; }
  .compare::after { content: ""; position: absolute; inset: 0 auto 0 calc(var(--at) - 1px); width: 2px;
                    background: #fff; box-shadow: 0 0 4px #0008; pointer-events: none; }
  input { position: absolute; z-index: 1; inset: 0 auto 0 -1rem; width: calc(100% + 2rem); height: 100%; outline: none;
          appearance: none; background: none; cursor: ew-resize; touch-action: pan-y; }
  input::-webkit-slider-thumb { appearance: none; width: 2rem; height: 2rem;
                                border: 2px solid #fff; border-radius: 50%; background: #10181b99; }
  input::-moz-range-thumb { box-sizing: border-box; width: 2rem; height: 2rem;
                            border: 2px solid #fff; border-radius: 50%; background: #10181b99; }
  @media (max-width: 30rem) { figcaption { font-size: .62rem; padding: .05rem .4rem; } }
  @media print {
    :root { --paper: #fff; --card: #fff; --ink: #000; --quiet: #444; --line: #ccc; --accent: #b4561f; }
    article { grid-template-columns: 1fr 1fr 1fr; }
    .compare { display: contents; }
    .compare figure + figure { position: relative; clip-path: none; }
    .compare::after, input, header p { display: none; }
  }
</style>
<header>
  <h1>$title</h1>
  <p>No photograph on this page was seen in training. Drag across one, or use the arrow keys, to see its translation;
     beside it is the truth, what it should become.</p>
  <dl>
$facts
  </dl>
</header>
<main>
$cards
</main>
<script>
  addEventListener("input", ({target}) => target.parentElement.style.setProperty("--at", target.value + "%"));
</script>
</html>
""")
