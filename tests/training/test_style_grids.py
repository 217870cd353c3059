"""Grids whose rows are contents and whose columns are styles."""

from __future__ import annotations

import torch
from torch import Tensor

from cyclegan.networks.config import MunitGeneratorConfig
from cyclegan.training.grids import grid, joined
from cyclegan.training.style_grids import STEPS, style_grids

NETWORK = MunitGeneratorConfig(width=4, blocks=1, mlp_width=8).build().eval().requires_grad_(False)


def pictures(*sizes: int) -> list[Tensor]:
    return [torch.rand(1, 3, size, size) * 2 - 1 for size in sizes]


def same(x: Tensor) -> Tensor:
    return x


def test_examples_are_above_the_translations_in_their_style() -> None:
    contents, examples = pictures(16, 24), pictures(20, 16, 32)
    above, *rows = style_grids(NETWORK, contents, examples, same, same)["styles"]
    assert list(above) == ["", "1", "2", "3"] and len(rows) == 2
    for row, content in zip(rows, contents, strict=True):
        assert torch.equal(row[""], content)
        for name, example in zip("123", examples, strict=True):
            assert torch.equal(above[name], example)
            torch.testing.assert_close(row[name], NETWORK(content, NETWORK.encode_style(example)))


def test_the_way_between_two_styles_begins_and_ends_at_them() -> None:
    contents, examples = pictures(16), pictures(16, 16, 16)
    [row] = style_grids(NETWORK, contents, examples, same, same)["between"]
    assert list(row) == ["", "0%", "25%", "50%", "75%", "100%"] and len(row) == 1 + STEPS
    for name, example in (("0%", examples[0]), ("100%", examples[1])):
        torch.testing.assert_close(row[name], NETWORK(contents[0], NETWORK.encode_style(example)))


def test_pictures_of_all_sizes_fit_into_a_grid() -> None:
    grids = style_grids(NETWORK, pictures(16, 24), pictures(40, 8), same, same)
    assert all(grid(joined(rows)).isfinite().all() for rows in grids.values())


def test_there_is_no_grid_without_pictures() -> None:
    assert style_grids(NETWORK, [], pictures(16), same, same) == {}
    assert style_grids(NETWORK, pictures(16), [], same, same) == {}
    assert list(style_grids(NETWORK, pictures(16), pictures(16), same, same)) == ["styles"]
