"""What an exported model says about itself, as texts in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, get_args

from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from cyclegan.data.format import Formats, PictureFormat
from cyclegan.inference.engines.sessions import EnginePrecision
from cyclegan.types import DOMAINS, Direction
from cyclegan.util.text import key_of, mistake

FORMAT = "cyclegan model 1"
"""Marks the metadata as ours."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What is known about a generator, apart from its operations and weights."""

    direction: Direction = Direction.AtoB
    """The direction in which it translates."""
    formats: Formats = field(default_factory=dict)
    """The formats of the pictures of both domains."""
    trained: int | None = None
    """The length of the shorter side of the pictures that it was trained on, in pixels, if known."""
    precision: EnginePrecision = "float32"
    """The precision of its convolutions."""
    style_size: int = 0
    """The length of a style code; 0 for a generator without styles."""
    has_prior: bool = False
    """Whether styles may be drawn from N(0, 1)."""
    digest: str = ""
    """The SHA-256 of its operations and weights before they were quantised."""

    def texts(self) -> dict[str, str]:
        """Return the metadata."""
        facts = {
            "format": FORMAT,
            "direction": self.direction.value,
            "precision": self.precision,
            "digest": self.digest,
        }
        size = {"trained_at": str(self.trained)} if self.trained else {}
        styles = {"styles": json.dumps({"size": self.style_size, "prior": self.has_prior})} if self.style_size else {}
        return (
            facts
            | size
            | styles
            | {name: json.dumps(asdict(format_)) for name, format_ in sorted(self.formats.items())}
        )


@dataclass(frozen=True, kw_only=True)
class _Styles:
    """The styles of a generator, as they are written."""

    size: Annotated[int, Field(ge=0, le=65_536)] = 0
    prior: bool = False


def is_ours(texts: Mapping[str, str]) -> bool:
    """Return whether metadata were written by `cyclegan export`, of this version or another."""
    return texts.get("format", "").startswith(FORMAT.rstrip("0123456789"))


def about_from(texts: Mapping[str, str]) -> About:
    """Return what the metadata of a model of ours say. Raises ValueError, in one line, when they are not possible."""
    if texts.get("format") != FORMAT:
        raise ValueError("was exported by another version of cyclegan")
    direction, precision = texts.get("direction", ""), texts.get("precision", "")
    if direction not in list(Direction) or precision not in get_args(EnginePrecision):
        raise ValueError("its direction or precision is not known")
    try:
        trained = TypeAdapter(PositiveInt | None).validate_json(texts.get("trained_at", "null"))
        styles = TypeAdapter(_Styles).validate_json(texts.get("styles", "{}"))
        formats = {name: TypeAdapter(PictureFormat).validate_json(texts.get(name, "{}")) for name in DOMAINS}
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(mistake(key_of(["format", *first["loc"]]), first)) from None
    return About(
        direction=Direction(direction),
        formats=formats,
        trained=trained,
        precision=precision,  # type: ignore[arg-type]  # checked above
        style_size=styles.size,
        has_prior=styles.prior,
        digest=texts.get("digest", "")[:64],
    )
