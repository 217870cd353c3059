"""What the curves of a run are called, in which unit they are, and which of them share a chart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from cyclegan.metrics.result import FIGURES

SIDE = re.compile(r"[_/](a|b|A|B|a_to_b|b_to_a|AtoB|BtoA)$")
"""The end of a tag that names a domain or a direction. Tags that differ only there share a chart."""

GROUPS = {"loss": "Losses", "validation": "Validation scores", "score": "Discriminators", "training": "Training"}
"""Headings by the first word of a tag, in the order in which the groups are shown."""

MEAN = "mean"
"""The legend of a curve that is the mean of the others on its chart."""

MEASURES: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "score/real": ("discriminator output, real images", "", ()),
    "score/fake": ("discriminator output, generated images", "", ()),
    "score/right": ("discriminator accuracy", "share of patches", (0, 1)),
    "training/lr": ("learning rate", "", (0,)),
    "training/images_per_second": ("speed", "images/s", (0,)),
    "training/memory_gib": ("peak memory", "GiB", (0,)),
    "training/skipped_steps": ("skipped steps", "", (0,)),
    "training/grad_norm": ("gradient norm, generators", "L2", ()),
    "validation/precision": ("precision", "", (0, 1)),
    "validation/recall": ("recall", "", (0, 1)),
    "validation/cycle_ssim": ("cycle SSIM", "", (1,)),
    "validation/truth_ssim": ("truth SSIM", "", (1,)),
}
"""Title, unit, and values that the axis always includes."""

RENAMED = {r"gradient/": "training/grad_norm_", r"training/memory$": "training/memory_gib"}
"""Tags of scalars in the event files of older versions, as patterns of their beginnings, and what replaced them."""


class SharedChart(NamedTuple):
    """Curves that are drawn on one chart."""

    name: str
    """What the tags have in common, `loss/cycle`."""
    title: str
    unit: str
    includes: tuple[float, ...]
    """Values that the axis always includes."""
    tags: dict[str, str]
    """Tags, and their names in the legend; the name is empty for a curve that is alone."""

    @property
    def group(self) -> str:
        """The heading of the charts of its kind."""
        return GROUPS.get(word := self.name.partition("/")[0], word)

    @property
    def heading(self) -> str:
        """Title and unit, `peak memory, GiB`."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


def charts(tags: Iterable[str]) -> list[SharedChart]:
    """The charts of all tags: groups in the order of `GROUPS`, charts of a group in the order of their first tag."""
    shared: dict[str, list[str]] = {}
    for tag in tags:
        shared.setdefault(SIDE.sub("", tag), []).append(tag)
    found = [_chart(name, sorted(both)) for name, both in shared.items()]
    groups = list(dict.fromkeys([*GROUPS.values(), *(one.group for one in found)]))
    return sorted(found, key=lambda one: groups.index(one.group))


def layout(tags: Iterable[str]) -> dict[str, dict[str, list[Any]]]:
    """TensorBoard's layout of custom scalars: charts by group and heading."""
    categories: dict[str, dict[str, list[Any]]] = {}
    for one in charts(tags):
        # TensorBoard takes a tag for the beginning of a regular expression: `loss/nce` would show `loss/nce_identity`.
        categories.setdefault(one.group, {})[one.heading] = ["Multiline", [f"{re.escape(tag)}$" for tag in one.tags]]
    return categories


def current(tag: str) -> str:
    """The tag by which a scalar of an older version is known today."""
    for old, new in RENAMED.items():
        tag = re.sub(f"^{old}", new, tag)
    return tag


def legend(tag: str) -> str:
    """The domain or direction of a tag as a reader knows it: `A`, `AtoB`; empty where there is none."""
    side = SIDE.search(tag)
    if not side:
        return ""
    return {"a": "A", "b": "B", "a_to_b": "AtoB", "b_to_a": "BtoA"}.get(side[1], side[1])


def _chart(name: str, tags: list[str]) -> SharedChart:
    if len(tags) == 2 and name in tags:  # the mean over a single direction says nothing new
        tags.remove(name)
    title, unit, includes = MEASURES.get(name) or _measure(name)
    return SharedChart(name, title, unit, includes, {tag: legend(tag) or MEAN * (len(tags) > 1) for tag in tags})


def _measure(name: str) -> tuple[str, str, tuple[float, ...]]:
    """Title, unit and axis of tags that are named after networks, losses and figures."""
    group, _, what = name.partition("/")
    if group == "loss":
        words = [word.upper() if word in ("gan", "nce", "l1") else word for word in what.split("_")]
        return f"{' '.join(words)} loss", "", ()
    if group == "validation" and what in FIGURES:
        figure = FIGURES[what]
        return figure._replace(unit="").heading, figure.unit, ()
    if name.startswith("training/grad_norm_"):
        return f"gradient norm, {what.removeprefix('grad_norm_')}", "L2", ()
    return what.replace("_", " ") or group, "", ()
