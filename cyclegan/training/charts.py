"""Which curves belong on one chart: twins, those of A and B."""

from __future__ import annotations

import re
from collections.abc import Iterable

TWIN = re.compile(r"[_/](a|b|A|B|a_to_b|b_to_a|AtoB|BtoA)$")


def charts(tags: Iterable[str]) -> dict[str, list[str]]:
    """Charts by name, in the order of their first tag, twins sorted: {"loss/gan": ["loss/gan_a", "loss/gan_b"]}."""
    shared: dict[str, list[str]] = {}
    for tag in tags:
        shared.setdefault(TWIN.sub("", tag), []).append(tag)
    return {chart: sorted(twins) for chart, twins in shared.items()}
