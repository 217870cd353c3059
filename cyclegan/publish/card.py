"""The text of a model card: Markdown under a YAML header, as the Hugging Face hub shows it. Data in, text out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import quote

import yaml
from huggingface_hub import EvalResult, ModelCardData

from cyclegan.methods.about import About
from cyclegan.metrics.result import FIGURES, Evaluation, Score, measured
from cyclegan.types import Direction
from cyclegan.util.text import one_line

MARK = "<!-- Written by cyclegan export for {}; delete this line to keep your changes. -->"

LEARNED = {
    "paired": " It was learned from pairs of pictures.",
    "unpaired": " It was learned without paired examples.",
    "": "",
}
"""A sentence for each kind of method; none where the method is not known."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a card tells. Texts may come from any file: they are made safe where they are written."""

    file: str
    """Name of the generator's file."""
    direction: Direction
    generator: Mapping[str, Any]
    """Its config."""
    parameters: int
    versions: Mapping[str, str]
    """Of the programs that exported it."""
    origin: str = ""
    """Where it comes from, as a sentence, if it is not from a run."""
    data: str | None = None
    """Name of the data set's folder."""
    recipe: Mapping[str, Any] | None = None
    method: About | None = None
    """What made it, if known."""
    trained: str = ""
    """How long, in words."""
    sheet: str | None = None
    """Name of the contact sheet's file."""
    evaluation: Evaluation | None = None
    """Of the direction first, then of the pictures untranslated."""
    unscored: str = ""
    """Why there is none, as a sentence."""
    repository: str | None = None
    """`user/name` on the hub, where it is pushed there."""


def card_text(card: Card) -> str:
    """The whole page; everything in it that came from a file is quoted, so that header and page stay whole."""
    parts = [f"---\n{_header(card)}\n---", marked(card.file), f"# {plain(_stem(card.file))}", *_parts(card)]
    return "\n\n".join(parts) + "\n"


def marked(file: str) -> str:
    """The line by which a card is known as ours, and as the card of this file."""
    return MARK.format(re.sub("-{2,}|[<>]", "", one_line(file)))


def _header(card: Card) -> str:
    """What the hub reads, as YAML. No licence: only who trained it can give one."""
    results = _results(card, card.evaluation) if card.evaluation else []
    kind = _kind(card.method)
    return ModelCardData(
        library_name="cyclegan",
        pipeline_tag="image-to-image",
        tags=[
            "image-to-image",
            *([f"{kind}-image-translation", kind, card.method.tag] if card.method else []),
            "pytorch",
        ],
        model_name=_stem(card.file) if results else None,
        eval_results=results or None,
    ).to_yaml()


def _results(card: Card, evaluation: Evaluation) -> list[EvalResult]:
    """Every figure of the direction, with its interval in its name: the header has no field for one."""
    name, split = card.data or "unknown", str(evaluation.protocol.get("split", "test"))
    score, features = evaluation.scores[0], one_line(evaluation.features)
    return [
        EvalResult(
            task_type="image-to-image",
            task_name=f"{_kind(card.method)} image-to-image translation".strip().capitalize(),
            dataset_type=_word(name),
            dataset_name=one_line(name),
            dataset_split=one_line(split),
            metric_type=kind,
            metric_name=_named(score, kind, features, FIGURES[kind].interval(score.figures[kind])),
            metric_value=score.figures[kind].value,
        )
        for kind in measured([score])
    ]


def _named(score: Score, name: str, features: str, interval: str = "") -> str:
    """`AtoB FID (interval 111.1 to 135.7; inception)`; the network stands beside all that it had a part in."""
    figure = FIGURES[name]
    told = [interval and f"interval {interval}", "" if figure.against == "real" else f"against the {figure.against}"]
    told.append(features if figure.network else "")
    return f"{score.what} {figure.heading} ({'; '.join(filter(None, told))})"


def _parts(card: Card) -> Iterator[str]:
    source, target = card.direction[0], card.direction[-1]
    data = f"of the data set {code(card.data)}" if card.data else "of a data set that its file does not name"
    yield (
        f"Translates pictures of domain {source} {data} into domain {target} ({card.direction}), one picture at a time "
        f"and at its own size.{LEARNED[_kind(card.method)]}"
    )
    if card.data:
        yield f"Domain {source} are the pictures of `train{source}`, domain {target} those of `train{target}`."
    yield from filter(None, [card.origin])
    if card.sheet:
        yield f"![input and translation of test pictures]({quote(card.sheet.encode(errors='surrogateescape'))})"
        yield "*Left the input, from the test split, right its translation; chosen by name, not by looks.*"
    yield "## Use"
    yield _use(card)
    yield "## How good it is"
    yield from _measured(card.evaluation) if card.evaluation else [card.unscored]
    yield "## How it was made"
    yield from _made(card)
    yield "## Cite"
    if card.method:
        name, paper, bibtex, *_ = card.method
        yield f"The method is {name} ({paper}):\n\n{fenced(bibtex, 'bibtex')}"
    else:
        yield "By which method it was trained is not known here."
    yield "## Licence"
    yield "None is stated. Whoever trained it may add `license:` to the header of this page."


def _use(card: Card) -> str:
    name = card.repository or one_line(card.file)
    fetch = ", fetched from this page by its name" if card.repository else ""
    line = shlex.join(["cyclegan", "translate", name if not name.startswith("-") else f"./{name}", "photos", "out"])
    python = "\n".join([
        "from PIL import Image",
        "from cyclegan import Translator",
        "",
        f"translator = Translator.load({json.dumps(name, ensure_ascii=False)})",
        'translator.translate(Image.open("photo.jpg")).save("translated.jpg")',
    ])  # fmt: skip
    alone = f"\n\nOr with the file {code(card.file)} alone, given in place of the name." if card.repository else ""
    return (
        f"With the package `cyclegan`, on one picture or a folder of them{fetch}:\n\n"
        f"{fenced(line, 'bash')}\n\n{fenced(python, 'python')}{alone}"
    )


def _measured(evaluation: Evaluation) -> Iterator[str]:
    """The distances as a table, other figures below it; the network's name stands in every line that it made."""
    features, protocol, scores = plain(one_line(evaluation.features)), evaluation.protocol, evaluation.scores
    names = measured(scores)
    distances = [name for name in names if FIGURES[name].against == "real"]
    heads = ["", "features", "pictures : real", *(FIGURES[name].heading for name in distances)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for score in scores:
        figures = [_told(score, name) for name in distances]
        lines.append(f"| {' | '.join([plain(score.what), features, f'{score.images} : {score.real}', *figures])} |")
    yield "\n".join(lines)
    yield (
        "FID and KID are distances to real pictures, smaller is better; precision and recall say how real and how "
        "varied, up to 1. The second row is what doing nothing scores."
    )
    yield from (f"**{plain(line)}**" for line in evaluation.warnings)
    others = [
        f"- {plain(_named(score, name, one_line(evaluation.features)))}: {_told(score, name)}"
        for score in scores
        for name in names
        if name not in distances and name in score.figures
    ]
    yield from ["\n".join(others)] if others else []
    told = {key: protocol.get(key) for key in ("data", "split", "size", "resampling", "interval")}
    words = [f"{key} {plain(str(value))}" for key, value in told.items() if value is not None]
    versions = protocol.get("versions")
    words += [f"{plain(str(k))} {plain(str(v))}" for k, v in versions.items()] if isinstance(versions, dict) else []
    yield f"Protocol: features {features}; {'; '.join(words)}."


def _made(card: Card) -> Iterator[str]:
    config = ", ".join(f"{plain(str(key))} {plain(str(value))}" for key, value in card.generator.items())
    trained = f"{card.trained} " if card.trained else ""
    yield f"{trained}The generator has {card.parameters:,} parameters: {config}."
    if card.recipe is not None:
        text = yaml.safe_dump(card.recipe, sort_keys=False, allow_unicode=True).rstrip()
        yield f"<details><summary>The recipe</summary>\n\n{fenced(text, 'yaml')}\n\n</details>"
    yield (
        "Exported with " + ", ".join(f"{plain(name)} {plain(version)}" for name, version in card.versions.items()) + "."
    )


def plain(text: str) -> str:
    """A text of any origin as plain words in Markdown: on one line, and nothing in it is markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&$@])", r"\\\1", one_line(text))


def code(text: str) -> str:
    """A text of any origin as a code span."""
    line = one_line(text)
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if "`" in line else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def fenced(text: str, language: str) -> str:
    """A text of any origin as a block of code, whatever it holds."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text}\n{ticks}"


def _told(score: Score, name: str) -> str:
    return FIGURES[name].told(score.figures[name]) if name in score.figures else ""


def _kind(method: About | None) -> Literal["paired", "unpaired", ""]:
    """From which pictures a method learns; empty where it is not known."""
    if method is None:
        return ""
    return "paired" if method.paired else "unpaired"


def _stem(file: str) -> str:
    return one_line(PurePosixPath(Path(file).name).stem)


def _word(text: str) -> str:
    """As the hub wants its identifiers."""
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-") or "unknown"
