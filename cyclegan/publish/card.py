"""The text of a model card: Markdown with a YAML header, as the Hugging Face hub shows it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import quote

import yaml
from huggingface_hub import EvalResult, ModelCardData

from cyclegan.data.format import Formats
from cyclegan.methods.about import About
from cyclegan.metrics.result import FIGURES, Evaluation, Score, measured
from cyclegan.types import Direction
from cyclegan.util.text import one_line

MARK = "<!-- Written by cyclegan export for {}; delete this line to keep your changes. -->"

LEARNED = {
    "paired": " It was trained on pairs of pictures.",
    "unpaired": " It was trained without paired examples.",
    "": "",
}
"""A sentence for each kind of method; empty if the method is not known."""

ALONE = {
    ".pt2": "torch.export.load({}).module()",
    ".ts": "torch.jit.load({})",
    ".torchscript": "torch.jit.load({})",
}
"""What loads the formats that need no cyclegan."""

EXTRAS = {".onnx": "onnx", ".xml": "openvino"}
"""The extras of the package that other formats need."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """The content of a model card. Texts may come from untrusted files; they are escaped when the card is written."""

    file: str
    """Name of the generator's file."""
    direction: Direction
    """The direction in which the generator translates."""
    generator: Mapping[str, Any]
    """The generator's config."""
    parameters: int
    """The generator's number of parameters."""
    format: str = ""
    """The format of the file, in a few words; empty for our own."""
    checks: str = ""
    """How the file was checked against torch, as sentences, if it is in another format."""
    versions: Mapping[str, str]
    """Versions of the programs that exported it."""
    formats: Formats = field(default_factory=dict)
    """The formats of the pictures of both domains."""
    origin: str = ""
    """Where the weights come from, as a sentence, if they are not from a run."""
    data: str | None = None
    """Name of the data set's folder."""
    recipe: Mapping[str, Any] | None = None
    """The recipe that the generator was trained with, if known."""
    method: About | None = None
    """The method that trained it, if known."""
    trained: str = ""
    """How long it was trained, as a sentence."""
    sheet: str | None = None
    """Name of the contact sheet's file."""
    evaluation: Evaluation | None = None
    """The scores of the direction, then those of the untranslated pictures."""
    unscored: str = ""
    """Why there are no scores, as a sentence."""
    repository: str | None = None
    """`user/name` on the hub, if it will be pushed there."""


def card_text(card: Card) -> str:
    """Return the text of a model card; everything that came from a file is escaped."""
    parts = [f"---\n{_header(card)}\n---", marked(card.file), f"# {plain(_stem(card.file))}", *_parts(card)]
    return "\n\n".join(parts) + "\n"


def marked(file: str) -> str:
    """Return the line that marks a card as written by `export` for this file."""
    return MARK.format(re.sub("-{2,}|[<>]", "", one_line(file)))


def _header(card: Card) -> str:
    """Return the YAML header that the hub reads. It has no licence, because only the model's owner can choose one."""
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
    """Return each score of the direction; its interval is put in the name, because the header has no field for it."""
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
    """Return a name such as `AtoB FID (interval 111.1 to 135.7; inception)`, with the feature network if it has one."""
    figure = FIGURES[name]
    told = [interval and f"interval {interval}", "" if figure.against == "real" else f"against the {figure.against}"]
    told.append(features if figure.network else "")
    return f"{score.what} {figure.heading} ({'; '.join(filter(None, told))})"


def _parts(card: Card) -> Iterator[str]:
    source, target = card.direction[0], card.direction[-1]
    data = f"of the data set {code(card.data)}" if card.data else "of a data set that its file does not name"
    yield (
        f"Translates pictures of domain {source} {data} into domain {target} ({card.direction}). The translation has "
        f"the size of the input.{LEARNED[_kind(card.method)]}"
    )
    if card.data:
        yield f"Domain {source} is the folder `train{source}`, domain {target} the folder `train{target}`."
    described = {name: format_.described for name, format_ in card.formats.items()}
    yield from (f"Pictures of {name.upper()}: {told}." for name, told in described.items() if told)
    yield from filter(None, [card.origin])
    if card.format:
        yield f"The file is {plain(card.format)}. {plain(card.checks)}"
    if card.sheet:
        yield f"![input and translation of test pictures]({quote(card.sheet.encode(errors='surrogateescape'))})"
        yield "*Left: input from the test split. Right: its translation. The first pictures by name, not a selection.*"
    yield "## Use"
    yield _use(card)
    yield "## Evaluation"
    yield from _measured(card.evaluation) if card.evaluation else [card.unscored]
    yield "## Training"
    yield from _made(card)
    yield "## Citation"
    if card.method:
        name, paper, bibtex, *_ = card.method
        yield f"The method is {name} ({paper}):\n\n{fenced(bibtex, 'bibtex')}"
    else:
        yield "The training method is not known."
    yield "## Licence"
    yield "No licence is stated. The owner of the model can add `license:` to the header of this page."


def _use(card: Card) -> str:
    suffix = PurePosixPath(card.file).suffix
    if suffix in ALONE:
        load = ALONE[suffix].format(json.dumps(one_line(card.file), ensure_ascii=False))
        lines = f"import torch\n\nnetwork = {load}\ntranslations = network(images)  # both (N, C, H, W) in [-1, 1], any size"
        return f"With PyTorch alone:\n\n{fenced(lines, 'python')}"
    name = card.repository or one_line(card.file)
    fetch = ", downloaded from the hub" if card.repository else ""
    plain_pictures = all(format_.is_plain for format_ in card.formats.values())
    line = shlex.join(["cyclegan", "translate", name if not name.startswith("-") else f"./{name}", "photos", "out"])
    python = "\n".join([
        *(["from PIL import Image"] if plain_pictures else []),
        "from cyclegan import Translator",
        "",
        f"translator = Translator.load({json.dumps(name, ensure_ascii=False)})",
        'translator.translate(Image.open("photo.jpg")).save("translated.jpg")'
        if plain_pictures
        else 'values = translator.translate_values("picture.tif")  # (H, W, C), in the units of the files',
    ])  # fmt: skip
    alone = f"\n\nThe path of a downloaded {code(card.file)} works in place of the name." if card.repository else ""
    extra = f" (`pip install 'cyclegan[{EXTRAS[suffix]}]'`)" if suffix in EXTRAS else ""
    return (
        f"With the package `cyclegan`{extra}, on a picture or a folder of pictures{fetch}:\n\n"
        f"{fenced(line, 'bash')}\n\n{fenced(python, 'python')}{alone}"
    )


def _measured(evaluation: Evaluation) -> Iterator[str]:
    """Yield the distances as a table and the other scores below it, each with the feature network that it used."""
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
        "FID and KID are distances to real pictures; smaller is better. Precision measures how realistic the "
        "translations are, and recall how varied; 1 is best. The second row scores the untranslated pictures."
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
    """Escape an untrusted text for Markdown: on one line and without markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&$@])", r"\\\1", one_line(text))


def code(text: str) -> str:
    """Return an untrusted text as a Markdown code span."""
    line = one_line(text)
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if "`" in line else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def fenced(text: str, language: str) -> str:
    """Return an untrusted text as a fenced Markdown code block."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text}\n{ticks}"


def _told(score: Score, name: str) -> str:
    return FIGURES[name].told(score.figures[name]) if name in score.figures else ""


def _kind(method: About | None) -> Literal["paired", "unpaired", ""]:
    """Return whether a method is trained on paired or unpaired pictures; empty if the method is not known."""
    if method is None:
        return ""
    return "paired" if method.paired else "unpaired"


def _stem(file: str) -> str:
    return one_line(PurePosixPath(Path(file).name).stem)


def _word(text: str) -> str:
    """Return a text as an identifier that the hub accepts."""
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-") or "unknown"
