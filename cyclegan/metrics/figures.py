"""Scores in rows: plain data for `metrics.json`, and tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from cyclegan.metrics.distances import Estimate
from cyclegan.metrics.measured import warnings_of
from cyclegan.metrics.scores import Score

Weights = Literal["last", "best"]
"""Of a run: those of its end, and those that scored best in validation."""


class Row(NamedTuple):
    """A score and what was scored."""

    what: str
    """`AtoB`, `A untranslated`, or the folder."""
    score: Score
    weights: Weights | None = None
    """None where there is no run, and for pictures that were not translated."""
    images_seen: int | None = None
    """Pairs of pictures that these weights learned from, where it is known."""


class Evaluation(NamedTuple):
    """Scores beside the protocol that made them."""

    protocol: dict[str, Any]
    rows: list[Row]

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON; what was not measured has no key."""
        return {"protocol": self.protocol, "scores": [_plain(row) for row in self.rows]}

    def as_table(self) -> str:
        """Two tables, how near the other domain's pictures and how near their own inputs and truths; then warnings."""
        about = f"features: {self.protocol['features']}; size: {self.protocol['size']}; 95 % intervals in brackets"
        kept = [row for row in self.rows if row.score.structure is not None]
        tables = [about, "", _table(DISTANCES, self.rows), *(["", _table(KEPT, kept)] if kept else [])]
        warnings = [
            f"warning: {line}" for line in warnings_of((row.what, row.score.distances.warnings) for row in self.rows)
        ]
        return "\n".join([*tables, *(["", *warnings] if warnings else [])])


def figures(score: Score) -> dict[str, float]:
    """Every figure of a score by its name, without intervals: what a curve shows."""
    named = {name: getattr(score.distances, name).value for name in ("kid", "fid", "precision", "recall")}
    named["kid_std"] = score.distances.kid_std
    if score.structure is not None:
        named["structure"] = score.structure
    if score.cycle:
        named |= {f"cycle_{name}": value for name, value in score.cycle._asdict().items()}
    if score.truth:
        named |= {f"truth_{name}": value for name, value in score.truth._asdict().items()}
    return named


def _plain(row: Row) -> dict[str, Any]:
    score, far = row.score, row.score.distances._asdict()
    warnings = far.pop("warnings")
    optional = {"structure": score.structure, "cycle": score.cycle, "truth": score.truth}
    return {
        "weights": row.weights,
        "images_seen": row.images_seen,
        "what": row.what,
        "images": score.images,
        "real": score.real,
        **{name: _value(figure) for name, figure in far.items()},
        **{name: _value(figure) for name, figure in optional.items() if figure is not None},
        **({"warnings": warnings} if warnings else {}),
    }


def _value(figure: Any) -> Any:
    """A number as it is, a group of them by their names."""
    return figure if isinstance(figure, float) else figure._asdict()


DISTANCES = ("weights", "", "images", "FID", "KID", "std", "precision", "recall")
KEPT = ("weights", "", "structure", "cycle SSIM", "PSNR", "perceptual", "truth SSIM", "PSNR")
"""Titles of the two tables."""


def _table(titles: Sequence[str], rows: Sequence[Row]) -> str:
    cells = [titles, *(_far(row) if titles is DISTANCES else _near(row) for row in rows)]
    chosen = [column for column in zip(*cells, strict=True) if any(column[1:])]  # none of empty cells
    widths = [max(map(len, column)) for column in chosen]
    lines = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in zip(*chosen, strict=True))
    return "\n".join(lines)


def _far(row: Row) -> tuple[str, ...]:
    """The cells of `DISTANCES`."""
    score, far = row.score, row.score.distances
    shares = (_with_interval(share, ".2f") for share in (far.precision, far.recall))
    kid = (_with_interval(far.kid, ".4g"), f"{far.kid_std:.3g}")
    return (_whose(row), row.what, f"{score.images} : {score.real}", _with_interval(far.fid, ".1f"), *kid, *shares)


def _near(row: Row) -> tuple[str, ...]:
    """The cells of `KEPT`."""
    structure, cycle, truth = row.score.structure, row.score.cycle, row.score.truth
    there_and_back = (f"{cycle.ssim:.3f}", f"{cycle.psnr:.1f} dB", f"{cycle.perceptual:.3f}") if cycle else ("",) * 3
    true = (f"{truth.ssim:.3f}", f"{truth.psnr:.1f} dB") if truth else ("",) * 2
    return (_whose(row), row.what, "" if structure is None else f"{structure:.3f}", *there_and_back, *true)


def _whose(row: Row) -> str:
    if row.images_seen is None:
        return ""
    return f"{f'{row.weights}, ' if row.weights else ''}after {row.images_seen:,} images"


def _with_interval(estimate: Estimate, form: str) -> str:
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"
