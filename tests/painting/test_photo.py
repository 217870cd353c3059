"""The matting Laplacian is the one of Levin et al. 2008, and asks for what Luan et al. 2017 want."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cyclegan.painting.photo import MattingLaplacian
from tests.painting.tiny import picture, tensor


def dense_laplacian(image: np.ndarray, epsilon: float) -> np.ndarray:
    """The matrix L of Levin et al. 2008, entry by entry: windows of 3 x 3, colours (H, W, 3) in [0, 1]."""
    height, width, _ = image.shape
    matrix = np.zeros((height * width, height * width))
    for y in range(height - 2):
        for x in range(width - 2):
            places = [(y + i) * width + x + j for i in range(3) for j in range(3)]
            colours = image[y : y + 3, x : x + 3].reshape(9, 3)
            mean = colours.mean(axis=0)
            covariance = (colours - mean).T @ (colours - mean) / 9
            inverse = np.linalg.inv(covariance + epsilon / 9 * np.eye(3))
            block = np.eye(9) - (1 + (colours - mean) @ inverse @ (colours - mean).T) / 9
            matrix[np.ix_(places, places)] += block
    return matrix


def test_the_form_is_that_of_the_matrix() -> None:
    content, painting = picture(7, 8, 0).astype(np.float64), picture(7, 8, 1).astype(np.float64)
    matrix = dense_laplacian(content, epsilon=1e-4)
    expected = sum(painting[..., c].ravel() @ matrix @ painting[..., c].ravel() for c in range(3))
    form = MattingLaplacian(tensor(content, torch.float64), epsilon=1e-4)
    found = form(tensor(painting, torch.float64)).item()
    assert found * 9 * 3 * (5 * 6) == pytest.approx(expected, rel=1e-9)


def test_linear_functions_of_the_colours_cost_next_to_nothing() -> None:
    content = tensor(picture(20, 20, 0))
    form = MattingLaplacian(content)
    mixed = torch.einsum("ij,njhw->nihw", torch.tensor([[0.2, 0.5, 0.1], [0.1, 0.1, 0.7], [0.0, 0.9, 0.0]]), content)
    noise = torch.randn(mixed.shape, generator=torch.Generator().manual_seed(0))
    assert form(mixed).item() < 1e-3 * form(mixed + 0.1 * noise).item()
    assert form(content[:, :1]).item() < 1e-5  # grey


def test_a_flat_content_wants_a_flat_painting() -> None:
    form = MattingLaplacian(torch.zeros(1, 3, 9, 9))
    assert form(torch.full((1, 3, 9, 9), 0.5)).item() == pytest.approx(0, abs=1e-12)
    assert form(tensor(picture(9, 9, 1))).item() > 1e-4
