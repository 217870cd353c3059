"""Scores with their intervals, their format in tables, and reading metrics.json."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from cyclegan.util.text import key_of, mistake, one_line, shown

LARGEST_FILE = 2**24
"""Most bytes of a metrics.json."""

UNTRANSLATED = " untranslated"
"""The end of `Score.what` for scores of pictures that were not translated."""

Weights = Literal["last", "best"]
"""The weights of a run: those at its end, or those with the best validation score."""

Number = Annotated[float, Field(allow_inf_nan=False)]
"""A finite number in metrics.json."""
Count = Annotated[int, Field(ge=0, le=10**12)]
"""A number of pictures in metrics.json."""


@dataclass(frozen=True)
class Estimate:
    """A score and its 95 % interval, for sets of this size, from a bootstrap over their pictures."""

    value: Number
    low: Number | None = None
    """The lower end of the interval; None for a score that is itself a standard deviation."""
    high: Number | None = None
    """The upper end of the interval; None if there is no interval."""


class Figure(NamedTuple):
    """How one kind of score is displayed, and what it compares."""

    title: str
    better: Literal["lower", "higher"] | None
    """Whether a lower or a higher value is better; None if neither is."""
    form: str
    """The Python format of the value."""
    against: Literal["real", "input", "truth", "style", "other styles"]
    """What translations are compared with: the set of real pictures, or each one with its input, its truth, the picture
    whose style it has, or a translation of the same input in another style."""
    network: bool
    """Whether the score depends on the feature network."""
    of: str = ""
    """A prefix of the title: the kind of comparison (`cycle`, `truth`) or another score."""
    unit: str = ""

    @property
    def heading(self) -> str:
        """The title of a column, for example `cycle PSNR, dB`."""
        title = f"{self.of} {self.title}" if self.of else self.title
        return f"{title}, {self.unit}" if self.unit else title

    def value(self, estimate: Estimate) -> str:
        """Format the value of an estimate, without its interval."""
        return self._number(estimate.value)

    def interval(self, estimate: Estimate) -> str:
        """Format the interval of an estimate, for example `0.071 to 0.091`; empty if there is none."""
        if estimate.low is None or estimate.high is None:
            return ""
        return f"{self._number(estimate.low)} to {self._number(estimate.high)}"

    def told(self, estimate: Estimate) -> str:
        """Format the value of an estimate, with its interval in brackets."""
        interval = self.interval(estimate)
        return f"{self.value(estimate)} ({interval})" if interval else self.value(estimate)

    def _number(self, value: float) -> str:
        """Format a number with `form`, which suits Inception; scores of other networks can be much larger."""
        return f"{value:{self.form}}" if self.form == ".1f" or abs(value) < 10 else f"{value:.4g}"


FIGURES = {
    # Frechet distance (Heusel et al. 2017, eq. 6): 0 for equal sets; biased upwards for few pictures.
    "fid": Figure("FID", "lower", ".1f", "real", network=True),
    # Squared maximum mean discrepancy (Binkowski et al. 2018, eq. 4), unbiased: mean and deviation over subsets.
    "kid": Figure("KID", "lower", ".4f", "real", network=True),
    "kid_std": Figure("std", None, ".4f", "real", network=True, of="KID"),
    # Share of translations in neighbourhoods of real pictures, and vice versa (Kynkaanniemi et al. 2019, eq. 2, k = 3).
    "precision": Figure("precision", "higher", ".2f", "real", network=True),
    "recall": Figure("recall", "higher", ".2f", "real", network=True),
    # Means over pictures: input against translation, input against its cycle, translation against truth.
    "structure": Figure("structure", "lower", ".4f", "input", network=False),
    "cycle_ssim": Figure("SSIM", "higher", ".3f", "input", network=False, of="cycle"),
    "cycle_psnr": Figure("PSNR", "higher", ".1f", "input", network=False, of="cycle", unit="dB"),
    "cycle_perceptual": Figure("perceptual", "lower", ".3f", "input", network=True, of="cycle"),
    "truth_ssim": Figure("SSIM", "higher", ".3f", "truth", network=False, of="truth"),
    "truth_psnr": Figure("PSNR", "higher", ".1f", "truth", network=False, of="truth", unit="dB"),
    "truth_perceptual": Figure("perceptual", "lower", ".3f", "truth", network=True, of="truth"),
    # Of models with styles: Gram matrices of translation and style picture; two translations of each input.
    "style": Figure("style", "lower", ".3f", "style", network=True),
    "diversity": Figure("diversity", "higher", ".3f", "other styles", network=True),
}
"""All kinds of scores by name, in the order of tables."""


def _known(name: str) -> str:
    if name not in FIGURES:
        raise ValueError("unknown score")
    return name


@dataclass(frozen=True, kw_only=True)
class Score:
    """The scores of one set of pictures against the real pictures of its domain."""

    what: str
    """`AtoB`, `BtoA`, `A untranslated`, `B untranslated`, or a folder."""
    weights: Weights | None = None
    """The weights of the run; None if the model is not a run folder, or if nothing was translated."""
    images_seen: Count | None = None
    """The number of pairs of pictures that the weights were trained on, if known."""
    images: Count
    """The number of scored pictures."""
    real: Count
    """The number of pictures that they were compared with."""
    figures: dict[Annotated[str, AfterValidator(_known)], Estimate]
    """The measured scores by their names in `FIGURES`."""
    warnings: tuple[str, ...] = ()
    """Reasons why these scores are unreliable, one sentence each."""

    @property
    def source(self) -> str:
        """The domain of the inputs (`A` for `AtoB` and `A untranslated`), or else the folder."""
        return self.what[0] if self.what in ("AtoB", "BtoA") or self.what.endswith(UNTRANSLATED) else self.what


@dataclass(frozen=True)
class Evaluation:
    """Scores, and the protocol by which they were computed: the contents of a metrics.json."""

    protocol: dict[str, Any]
    scores: list[Score]

    @property
    def warnings(self) -> list[str]:
        """One line for each different warning, after the sets that it is about: `AtoB, BtoA: 9 pictures ...`."""
        about: dict[str, dict[str, None]] = {}
        for score in self.scores:
            for warning in score.warnings:
                about.setdefault(warning, {})[score.what] = None
        return [one_line(f"{', '.join(whats)}: {warning}") for warning, whats in about.items()]

    @property
    def own(self) -> bool:
        """Whether the run's own test split was scored, at the size of its training."""
        return self.protocol.get("own_test_pictures") is True

    @property
    def pictures(self) -> str:
        """The scored pictures in words: `the test pictures of horse2zebra at 256 x 256`."""
        split, data, size = (self.protocol.get(key) for key in ("split", "data", "size"))
        return (
            f"the {split or 'given'} pictures of {data or 'the folders in the protocol'} at {size or 'their own size'}"
        )

    @property
    def features(self) -> str:
        """The name of the feature network."""
        return str(self.protocol.get("features", "a network without a name"))


def measured(scores: Iterable[Score]) -> list[str]:
    """Return the names of all scores that were measured, in the order of `FIGURES`."""
    found = {name for score in scores for name in score.figures}
    return [name for name in FIGURES if name in found]


def read_evaluation(path: Path) -> Evaluation:
    """Read a metrics.json. Raises ValueError, with one line, if `cyclegan evaluate` did not write it or it is damaged.

    Raises OSError when the file cannot be read.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{shown(path)} is left out: more than {LARGEST_FILE:,} bytes")
    try:
        return TypeAdapter(Evaluation).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        what = f"it is not what `cyclegan evaluate` writes ({mistake(key_of(first['loc']) or 'its text', first)})"
        again = f"run `cyclegan evaluate {shown(path.parent)}`"
        raise ValueError(f"{shown(path)} is left out: {what}; {again}") from None
