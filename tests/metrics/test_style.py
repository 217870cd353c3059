"""Models with styles are scored by the distance of styles and by how much their translations differ."""

from __future__ import annotations

import torch
from torch import Tensor

from cyclegan.data.convert import to_bytes
from cyclegan.losses.style import gram
from cyclegan.metrics.perceptual import perceptual
from cyclegan.metrics.scores import score_translation
from cyclegan.metrics.style import style_distance
from tests.metrics.test_scores import pictures, untrained


def test_the_style_distance_is_zero_for_the_same_statistics_and_at_most_one() -> None:
    one, two = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 8, 5)
    assert style_distance([one], [one.flip(2)]).max() < 1e-6  # the places do not matter
    apart = style_distance([one, 2 * one], [two, 2 * two])
    assert torch.equal(apart, style_distance([two, 2 * two], [one, 2 * one])) and apart.min() > 0 and apart.max() <= 1
    torch.testing.assert_close(style_distance([one], [torch.zeros_like(one)]), torch.ones(2))


def test_the_style_distance_is_that_of_the_gram_matrices() -> None:
    one, two = torch.randn(1, 3, 6, 6, dtype=torch.float64), torch.randn(1, 3, 6, 6, dtype=torch.float64)
    g, h = gram(one)[0], gram(two)[0]
    torch.testing.assert_close(style_distance([one], [two])[0], (g - h).norm() / (g.norm() + h.norm()))


def test_translations_are_compared_with_their_style_and_with_another_style() -> None:
    torch.manual_seed(0)
    network, real = untrained("squeezenet1_1"), pictures(8, seed=2)
    styles, turn = [pictures(1, seed=seed) for seed in (5, 6, 7)], 0

    def translate(images: Tensor) -> Tensor:
        """Mix each picture with the next style."""
        nonlocal turn
        turn += len(images)
        return torch.cat([0.5 * one[None] + 0.5 * styles[i % 3] for i, one in enumerate(images, turn - len(images))])

    def last(number: int) -> list[Tensor]:
        return [styles[i % 3] for i in range(turn - number, turn)]

    given = pictures(6, seed=1)
    batches = torch.split(to_bytes(given), 2)
    score = score_translation("AtoB", batches, network(real), network, translate=translate, styles=last)
    first = torch.cat([0.5 * given[i : i + 1] + 0.5 * styles[(i // 2 * 4 + i % 2) % 3] for i in range(6)])
    second = torch.cat([0.5 * given[i : i + 1] + 0.5 * styles[(i // 2 * 4 + 2 + i % 2) % 3] for i in range(6)])
    wanted = [
        style_distance(network.layers(first[i : i + 1]), network.layers(styles[(i // 2 * 4 + i % 2) % 3]))
        for i in range(6)
    ]
    assert abs(score.figures["style"].value - torch.cat(wanted).mean().item()) < 2e-3  # outputs are rounded
    diversity = perceptual(network.layers(first), network.layers(second)).mean().item()
    assert abs(score.figures["diversity"].value - diversity) < 0.02 * diversity
