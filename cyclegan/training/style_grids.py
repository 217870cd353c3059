"""Grids of a generator with styles: rows are contents, columns are styles of pictures, or those between two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from cyclegan.networks.base import StyleGenerator
from cyclegan.training.grids import FRAME
from cyclegan.types import Images

STEPS = 5
"""Number of styles on the way from one to another, both ends included."""


def style_grids(
    network: StyleGenerator,
    contents: Sequence[Tensor],
    examples: Sequence[Tensor],
    shown: Callable[[Tensor], Tensor],
    shown_made: Callable[[Tensor], Tensor],
) -> dict[str, list[Images]]:
    """Return the rows of grids by name: columns by name, each (1, 3, H, W) in [-1, 1].

    `styles` has translations of the contents with the style of each example, below the examples; `between`, if there
    are two examples, has the way from the style of the first to that of the second. Contents and examples are pictures
    (1, C, H, W) of the source and of the target domain; `shown` and `shown_made` return their RGB views.
    """
    if not contents or not examples:
        return {}
    codes = torch.cat([network.encode_style(example) for example in examples])
    names = [str(number) for number in range(1, len(codes) + 1)]
    corner = torch.full_like(shown(contents[0]), FRAME / 127.5 - 1)
    above = dict(zip(names, map(shown_made, examples), strict=True))
    grids = {"styles": [{"": corner, **above}, *_rows(network, contents, codes, names, shown, shown_made)]}
    if len(codes) > 1:
        shares = torch.linspace(0, 1, STEPS, device=codes.device, dtype=codes.dtype)[:, None]
        between = torch.lerp(codes[:1], codes[1:2], shares)
        names = [f"{share:.0%}" for share in shares.flatten().tolist()]
        grids["between"] = list(_rows(network, contents, between, names, shown, shown_made))
    return grids


def _rows(
    network: StyleGenerator,
    contents: Sequence[Tensor],
    codes: Tensor,
    names: Sequence[str],
    shown: Callable[[Tensor], Tensor],
    shown_made: Callable[[Tensor], Tensor],
) -> Iterator[Images]:
    """Yield a row for each content: the picture, and its translations with each code."""
    for content in contents:
        made = shown_made(network(content.expand(len(codes), -1, -1, -1), codes).float())
        yield {"": shown(content), **dict(zip(names, torch.split(made, 1), strict=True))}
