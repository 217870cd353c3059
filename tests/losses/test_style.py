"""Losses of content and style have the values of their equations."""

import pytest
import torch

from cyclegan.losses.style import content_loss, gram, gram_loss, moments, moments_loss, total_variation


def test_the_gram_matrix_is_the_mean_product_of_two_channels() -> None:
    layer = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    matrix = gram(layer)
    assert matrix.shape == (2, 3, 3)
    for image in range(2):
        for i in range(3):
            for j in range(3):
                torch.testing.assert_close(matrix[image, i, j], (layer[image, i] * layer[image, j]).mean())


def test_a_mask_leaves_the_places_where_it_is_one() -> None:
    layer, where = torch.randn(1, 3, 4, 6), torch.zeros(1, 1, 4, 6)
    where[..., 2:] = 1
    torch.testing.assert_close(gram(layer, where), gram(layer[..., 2:]))
    assert gram(layer, torch.zeros(1, 1, 4, 6)).abs().max() == 0


def test_the_gram_loss_is_four_times_equation_4_of_gatys() -> None:
    one, two = torch.randn(1, 3, 4, 5, dtype=torch.float64), torch.randn(1, 3, 4, 5, dtype=torch.float64)
    places, channels = 20, 3
    g, a = (layer.flatten(2)[0] @ layer.flatten(2)[0].T for layer in (one, two))
    equation_4 = (g - a).square().sum() / (4 * channels**2 * places**2)
    torch.testing.assert_close(gram_loss(gram(one), gram(two)), 4 * equation_4)


def test_moments_are_the_mean_and_the_unbiased_deviation() -> None:
    layer = 3 * torch.randn(1, 2, 5, 7, dtype=torch.float64) + 1
    mean, deviation = moments(layer)
    torch.testing.assert_close(mean[0, :, 0, 0], layer[0].flatten(1).mean(dim=1))
    torch.testing.assert_close(deviation[0, :, 0, 0], layer[0].flatten(1).std(dim=1), rtol=1e-5, atol=0)


def test_the_losses_are_zero_for_equals_only() -> None:
    one, two = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 6, 6)
    for loss in (content_loss, moments_loss):
        assert loss(one, one) == 0 and loss(one, two) > 0
    assert moments_loss(one, one.flip(2, 3)) < 1e-12  # the places do not matter


def test_the_gradient_of_moments_is_finite_for_a_flat_layer() -> None:
    flat = torch.ones(1, 2, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(moments_loss(flat, torch.randn(1, 2, 4, 4)), flat)
    assert gradient.isfinite().all()


def test_total_variation_counts_steps_between_neighbours() -> None:
    image = torch.zeros(1, 1, 2, 4)
    image[..., 2:] = 1.0
    assert total_variation(image).item() == pytest.approx(1 / 3)  # one of three steps to the right, none down
