"""The losses of a painting have the values of the papers' equations; masks and offsets do what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from cyclegan.painting.extractor import Extractor
from cyclegan.painting.objective import SMOOTH, STEPS, Example, Objective, shares_of
from cyclegan.painting.settings import Settings
from tests.painting.tiny import LAYERS, extractor, picture, tensor

Floats = npt.NDArray[np.float64]

PLAIN = replace(Settings(), content_weight=1.0, style_weight=1.0, tv_weight=1.0)
ONE = LAYERS._replace(shifts=1)


def features(run: Extractor, image: Tensor) -> dict[str, Floats]:
    """Each layer as the papers write it: F, a row for each filter, a column for each place."""
    return {name: layer[0].flatten(1).numpy() for name, layer in run(image).items()}


def content_of_equation_1(f: Floats, p: Floats) -> float:
    return 0.5 * float(sum((f[i, j] - p[i, j]) ** 2 for i in range(f.shape[0]) for j in range(f.shape[1])))


def gram_of_equation_3(f: Floats, t: Floats | None = None) -> Floats:
    """With weights t of the places, as in Gatys et al. 2017, equations 4 and 5."""
    return f @ f.T if t is None else (f * t) @ (f * t).T


def style_of_equation_4(g: Floats, a: Floats, places: int) -> float:
    return float(((g - a) ** 2).sum() / (4 * len(g) ** 2 * places**2))


def test_losses_are_those_of_the_papers_up_to_the_value_that_counts_as_one() -> None:
    run = extractor(ONE, torch.float64)
    content, style, painting = (tensor(picture(36, 44, seed), torch.float64) for seed in range(3))
    losses = Objective(run, content, [Example(style, None, None, 1.0)], PLAIN).losses(painting)
    flat = content.mean(dim=(2, 3), keepdim=True).expand_as(content)
    of_content, of_style, of_painting, of_flat = (features(run, image) for image in (content, style, painting, flat))

    [name] = ONE.content
    wanted = content_of_equation_1(of_painting[name], of_content[name])
    assert losses["content"].item() == pytest.approx(wanted / content_of_equation_1(of_flat[name], of_content[name]))

    relative = []
    for name in ONE.style:
        places, aim = of_style[name].shape[1], gram_of_equation_3(of_style[name])
        found, start = gram_of_equation_3(of_painting[name]), gram_of_equation_3(of_content[name])
        relative.append(style_of_equation_4(found, aim, places) / style_of_equation_4(start, aim, places))
    assert losses["style"].item() == pytest.approx(np.mean(relative))

    def total_variation(image: Tensor) -> float:
        x = image[0].numpy()
        return float(np.mean((x[:, 1:] - x[:, :-1]) ** 2) + np.mean((x[:, :, 1:] - x[:, :, :-1]) ** 2))

    assert total_variation(style) > SMOOTH
    assert losses["tv"].item() == pytest.approx(total_variation(painting) / total_variation(style))


def test_two_styles_have_the_share_of_their_weights() -> None:
    run = extractor(ONE)
    content, *styles, painting = (tensor(picture(36, 44, seed)) for seed in range(4))
    alone = [
        Objective(run, content, [Example(style, None, None, 1.0)], PLAIN).losses(painting)["style"].item()
        for style in styles
    ]
    both = [Example(style, None, None, weight) for style, weight in zip(styles, (3.0, 1.0), strict=True)]
    mixed = Objective(run, content, both, PLAIN).losses(painting)["style"].item()
    assert mixed == pytest.approx(0.75 * alone[0] + 0.25 * alone[1], rel=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_agree_with_finite_differences(masked: bool) -> None:
    run = extractor(LAYERS, torch.float64)
    content, style, painting = (tensor(picture(28, 31, seed), torch.float64) for seed in range(3))
    place = tensor(picture(28, 31, 5), torch.float64)[:, :1].add(1).div(2) if masked else None
    settings = replace(PLAIN, photo_weight=2.0)
    objective = Objective(run, content, [Example(style, None, place, 1.0)], settings)

    def total(image: Tensor) -> Tensor:
        return torch.stack([*objective.losses(image, offset=1).values()]).sum()

    leaf = painting.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(total(leaf), leaf)
    for seed in range(4):
        direction = torch.randn(painting.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        h = 1e-7 * direction
        numeric = (total(painting + h) - total(painting - h)) / 2e-7
        assert (gradient * direction).sum().item() == pytest.approx(numeric.item(), rel=1e-4)


def test_of_a_style_only_the_part_that_its_mask_shows_counts() -> None:
    run, content = extractor(ONE), tensor(picture(40, 40, 0))
    style = tensor(picture(64, 96, 1))
    part = torch.zeros(1, 1, 64, 96)
    part[..., :32] = 1
    other = style.clone()
    other[..., 64:] = -1  # farther from the part than any of the layers sees
    one, two = (Objective(run, content, [Example(each, part, None, 1.0)], PLAIN).aims[0] for each in (style, other))
    whole = Objective(run, content, [Example(style, None, None, 1.0)], PLAIN).aims[0]
    for first, second, all_ in zip(one, two, whole, strict=True):
        torch.testing.assert_close(first.matrix, second.matrix)
        assert not torch.allclose(first.matrix, all_.matrix, rtol=0.01)


def test_guided_gram_matrices_are_those_of_gatys_2017() -> None:
    run, content = extractor(ONE, torch.float64), tensor(picture(40, 40, 0), torch.float64)
    style, mask = tensor(picture(35, 51, 1), torch.float64), torch.zeros(1, 1, 35, 51, dtype=torch.float64)
    mask[..., :20] = 1
    aims = Objective(run, content, [Example(style, mask, None, 1.0)], PLAIN).aims[0]
    seen = run(style)
    for name, aim in zip(ONE.style, aims, strict=True):
        height, width = seen[name].shape[2:]
        small = torch.nn.functional.adaptive_avg_pool2d(mask, (height, width))[0].flatten().numpy()
        guide = np.sqrt(small / small.sum())  # whose squares sum to one
        expected = gram_of_equation_3(seen[name][0].flatten(1).numpy(), guide)
        np.testing.assert_allclose(aim.matrix[0].numpy(), expected, rtol=1e-9)


def test_a_style_pulls_only_where_it_is_wanted() -> None:
    run, content = extractor(ONE), tensor(picture(48, 96, 0))
    place = torch.zeros(1, 1, 48, 96)
    place[..., :32] = 1
    objective = Objective(run, content, [Example(tensor(picture(40, 40, 1)), None, place, 1.0)], PLAIN)
    leaf = content.clone().requires_grad_()
    (pull,) = torch.autograd.grad(objective.losses(leaf)["style"], leaf)
    assert pull[..., :32].abs().max() > 0 and pull[..., 64:].abs().max() == 0


def test_where_most_styles_are_wanted_their_weights_sum_to_one() -> None:
    none, left, right = None, torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4)
    left[..., :2], right[..., 2:] = 1, 1
    image = torch.zeros(1, 3, 2, 2)

    def shares(*styles: tuple[Tensor | None, float]) -> list[float]:
        return shares_of([Example(image, None, place, weight) for place, weight in styles])

    assert shares((none, 5.0)) == [1]
    assert shares((none, 1.0), (none, 3.0)) == [0.25, 0.75]
    assert shares((left, 1.0), (right, 1.0)) == [0.5, 0.5]  # each has all of the weight in its half
    assert shares((left, 1.0), (right, 3.0)) == pytest.approx([1 / 6, 0.5])
    assert shares((none, 1.0), (left, 1.0)) == [0.5, 0.25]


def test_at_every_offset_the_content_has_no_content_loss() -> None:
    run = extractor(LAYERS._replace(shifts=16))
    content = tensor(picture(30, 33, 0))
    objective = Objective(run, content, [Example(content, None, None, 1.0)], PLAIN)
    for step in range(16):
        assert objective.losses(content, step)["content"] == 0
    shifted = {tuple(objective._shifted(content, step)[0, :, 16, 16].tolist()) for step in range(16)}
    assert len(shifted) == 16


def test_the_offset_changes_every_few_steps_and_comes_back() -> None:
    content = tensor(picture(30, 33, 0))
    objective = Objective(extractor(LAYERS._replace(shifts=3)), content, [Example(content, None, None, 1.0)], PLAIN)
    assert [objective.offset(step) for step in range(0, 4 * STEPS, STEPS // 2)] == [0, 0, 1, 1, 2, 2, 0, 0]


def test_flat_pictures_have_finite_losses_and_gradients() -> None:
    run = extractor()
    flat = torch.full((1, 3, 32, 32), 0.2)
    objective = Objective(run, flat, [Example(flat, None, None, 1.0)], replace(PLAIN, photo_weight=1.0))
    leaf = flat.clone().requires_grad_()
    losses = objective.losses(leaf)
    (gradient,) = torch.autograd.grad(torch.stack([*losses.values()]).sum(), leaf)
    assert all(loss.isfinite() for loss in losses.values()) and gradient.isfinite().all()
