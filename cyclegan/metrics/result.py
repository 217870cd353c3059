"""What was measured: every figure with its interval, how each is told, and metrics.json, read back and checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from cyclegan.util.text import key_of, mistake, one_line, shown

LARGEST_FILE = 2**24
"""Bytes of a metrics.json."""

UNTRANSLATED = " untranslated"

Weights = Literal["last", "best"]
"""Of a run: those of its end, and those that scored best in validation."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**12)]


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval: for sets of this size, by the bootstrap over their pictures."""

    value: Number
    low: Number | None = None
    high: Number | None = None
    """None for a figure that is itself a spread."""


class Figure(NamedTuple):
    """How a figure is told."""

    title: str
    better: Literal["lower", "higher"] | None
    form: str
    """Of its number, as Python formats it."""
    against: Literal["real", "input", "truth"]
    """What translations are compared with: real pictures as a set, or each with its input or its truth."""
    network: bool
    """Whether it depends on the network that compares pictures."""
    of: str = ""
    """What it is taken of: there and back (`cycle`), the truth, another figure."""
    unit: str = ""

    @property
    def heading(self) -> str:
        """`cycle PSNR, dB`."""
        title = f"{self.of} {self.title}" if self.of else self.title
        return f"{title}, {self.unit}" if self.unit else title

    def value(self, estimate: Estimate) -> str:
        """Without its interval."""
        return self._number(estimate.value)

    def interval(self, estimate: Estimate) -> str:
        """`0.071 to 0.091`; empty where there is none."""
        if estimate.low is None or estimate.high is None:
            return ""
        return f"{self._number(estimate.low)} to {self._number(estimate.high)}"

    def told(self, estimate: Estimate) -> str:
        """The value, its interval in brackets."""
        interval = self.interval(estimate)
        return f"{self.value(estimate)} ({interval})" if interval else self.value(estimate)

    def _number(self, value: float) -> str:
        """In the form that suits Inception's features; those of others can be thousands of times as large."""
        return f"{value:{self.form}}" if self.form == ".1f" or abs(value) < 10 else f"{value:.4g}"


FIGURES = {
    # Frechet distance (Heusel et al. 2017, eq. 6): 0 for equal sets; too large where pictures are few.
    "fid": Figure("FID", "lower", ".1f", "real", network=True),
    # Squared maximum mean discrepancy (Binkowski et al. 2018, eq. 4), unbiased, the mean over subsets; their spread.
    "kid": Figure("KID", "lower", ".4f", "real", network=True),
    "kid_std": Figure("std", None, ".4f", "real", network=True, of="KID"),
    # Share of translations that lie where real pictures do, and the reverse (Kynkaanniemi et al. 2019, eq. 2, k = 3).
    "precision": Figure("precision", "higher", ".2f", "real", network=True),
    "recall": Figure("recall", "higher", ".2f", "real", network=True),
    # Means over pictures: between input and translation, input and translation there and back, translation and truth.
    "structure": Figure("structure", "lower", ".4f", "input", network=False),
    "cycle_ssim": Figure("SSIM", "higher", ".3f", "input", network=False, of="cycle"),
    "cycle_psnr": Figure("PSNR", "higher", ".1f", "input", network=False, of="cycle", unit="dB"),
    "cycle_perceptual": Figure("perceptual", "lower", ".3f", "input", network=True, of="cycle"),
    "truth_ssim": Figure("SSIM", "higher", ".3f", "truth", network=False, of="truth"),
    "truth_psnr": Figure("PSNR", "higher", ".1f", "truth", network=False, of="truth", unit="dB"),
    "truth_perceptual": Figure("perceptual", "lower", ".3f", "truth", network=True, of="truth"),
}
"""All that can be measured, by name, in the order in which it is told."""


def _known(name: str) -> str:
    if name not in FIGURES:
        raise ValueError("no figure that is known here")
    return name


@dataclass(frozen=True, kw_only=True)
class Score:
    """Of one set of pictures against the real ones of its domain."""

    what: str
    """`AtoB`, `BtoA`, `A untranslated`, `B untranslated`, or a folder."""
    weights: Weights | None = None
    """None for another file than a run folder, and where nothing was translated."""
    images_seen: Count | None = None
    """Pairs of pictures that the weights learned from, where it is known."""
    images: Count
    """Pictures scored."""
    real: Count
    """Pictures that they were compared with."""
    figures: dict[Annotated[str, AfterValidator(_known)], Estimate]
    """By their names in `FIGURES`; what was not measured has none."""
    warnings: tuple[str, ...] = ()
    """Why these figures mean little, a sentence each."""

    @property
    def source(self) -> str:
        """Which pictures these are or were made of: `A` of AtoB and of `A untranslated`."""
        return self.what[0] if self.what in ("AtoB", "BtoA") or self.what.endswith(UNTRANSLATED) else self.what


@dataclass(frozen=True)
class Evaluation:
    """Scores beside the protocol that made them."""

    protocol: dict[str, Any]
    scores: list[Score]

    @property
    def warnings(self) -> list[str]:
        """A line for each warning that begins with all that it is about: `AtoB, BtoA: 9 pictures ...`."""
        about: dict[str, dict[str, None]] = {}
        for score in self.scores:
            for warning in score.warnings:
                about.setdefault(warning, {})[score.what] = None
        return [one_line(f"{', '.join(whats)}: {warning}") for warning, whats in about.items()]

    @property
    def own(self) -> bool:
        """Whether these are of the run's own test pictures, at the size that it was trained at."""
        return self.protocol.get("own_test_pictures") is True

    @property
    def pictures(self) -> str:
        """What was scored: `the test pictures of horse2zebra at 256 x 256`."""
        split, data, size = (self.protocol.get(key) for key in ("split", "data", "size"))
        return (
            f"the {split or 'given'} pictures of {data or 'the folders in the protocol'} at {size or 'their own size'}"
        )

    @property
    def features(self) -> str:
        """The network by whose eyes."""
        return str(self.protocol.get("features", "a network without a name"))


def measured(scores: Iterable[Score]) -> list[str]:
    """Names of the figures that any of the scores has, in order."""
    found = {name for score in scores for name in score.figures}
    return [name for name in FIGURES if name in found]


def read_evaluation(path: Path) -> Evaluation:
    """The figures in a file. Raises ValueError, in one line, when it is damaged or of another program."""
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{shown(path)} is left out: more than {LARGEST_FILE:,} bytes")
    try:
        return TypeAdapter(Evaluation).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        what = f"it is not what `cyclegan evaluate` writes ({mistake(key_of(first['loc']) or 'its text', first)})"
        again = f"run `cyclegan evaluate {shown(path.parent)}`"
        raise ValueError(f"{shown(path)} is left out: {what}; {again}") from None
