"""One direction is scored, batch by batch, with the values that the papers define and other libraries compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn

from cyclegan.data.convert import normalised, to_bytes
from cyclegan.metrics.bootstrap import estimate_mean
from cyclegan.metrics.distances import distances
from cyclegan.metrics.features import LAST, LAYERS, SMALLEST, Features, _Classifier
from cyclegan.metrics.paired import ssim_and_psnr
from cyclegan.metrics.perceptual import perceptual
from cyclegan.metrics.result import FIGURES
from cyclegan.metrics.scores import score_translation
from cyclegan.metrics.structure import structure_distance
from cyclegan.networks.backbones import Backbone, build_network
from tests.figures import WITHOUT_STYLES


def pictures(number: int, *, size: int = 48, seed: int = 0) -> Tensor:
    """Smooth random images with edges, in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(number, 3, 6, 6, generator=generator)
    smooth = nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    return normalised(to_bytes(smooth.sign() * 0.4 + smooth * 0.3))


@pytest.fixture(scope="module")
def squeezenet() -> Features:
    """An untrained feature network."""
    torch.manual_seed(0)
    return untrained("squeezenet1_1")


def untrained(network: Any) -> Features:
    backbone = Backbone(network, "", build_network(network))
    return Features(network, "", _Classifier(backbone, LAYERS[network], LAST[network]))


def perceptual_by_hand(one: list[Tensor], two: list[Tensor]) -> float:
    """The perceptual distance of one image, computed by position (Zhang et al. 2018, equation 1 with w = 1)."""
    total = 0.0
    for layer_one, layer_two in zip(one, two, strict=True):
        x, y = layer_one[0].double().numpy(), layer_two[0].double().numpy()
        _, height, width = x.shape
        for row in range(height):
            for column in range(width):
                u, v = (z[:, row, column] / (np.linalg.norm(z[:, row, column]) + 1e-10) for z in (x, y))
                total += float(((u - v) ** 2).sum()) / (height * width)
    return total


def test_perceptual_distance_is_the_papers(squeezenet: Features) -> None:
    one, two = squeezenet.layers(pictures(1, seed=1)), squeezenet.layers(pictures(1, seed=2))
    assert float(perceptual(one, two)) == pytest.approx(perceptual_by_hand(one, two), rel=1e-5)


def test_perceptual_distance_is_zero_for_equals_and_symmetric(squeezenet: Features) -> None:
    one, two = squeezenet.layers(pictures(3, seed=1)), squeezenet.layers(pictures(3, seed=2))
    assert perceptual(one, one).tolist() == [0, 0, 0]
    assert torch.equal(perceptual(one, two), perceptual(two, one)) and perceptual(one, two).min() > 0


@pytest.mark.parametrize("backbone", LAYERS)
def test_every_backbone_shows_its_layers_from_the_smallest_size_on(backbone: Any) -> None:
    with torch.device("meta"):
        layers = untrained(backbone).layers(torch.zeros(1, 3, SMALLEST, SMALLEST))
    sides = [layer.shape[2] for layer in layers]
    assert len(layers) == len(LAYERS[backbone]) and sides == sorted(sides, reverse=True) and sides[-1] >= 1


def test_pictures_too_small_for_the_network_are_one_line(squeezenet: Features) -> None:
    with pytest.raises(ValueError, match=r"pictures of 31 x 40 pixels are too small .* 32"):
        squeezenet.layers(torch.zeros(1, 3, 40, 31))


def structure_by_hand(one: Tensor, two: Tensor) -> float:
    """The structure distance of two images (3, H, W), computed by scipy in float64."""

    def edges(image: Tensor) -> np.ndarray:
        luma = np.tensordot([0.299, 0.587, 0.114], (image.double().numpy() + 1) / 2, axes=1)
        x, y = (scipy.ndimage.sobel(luma, axis=axis, mode="nearest") / 8 for axis in (0, 1))
        steep: np.ndarray = scipy.ndimage.gaussian_filter(np.sqrt(x**2 + y**2 + 1e-6), 2.0, mode="mirror", radius=6)
        return steep.ravel()

    return 1 - float(np.corrcoef(edges(one), edges(two))[0, 1])


def test_structure_is_what_scipy_says() -> None:
    one, two = pictures(6, seed=1), pictures(6, seed=2)
    ours = structure_distance(one, two).tolist()
    assert ours == pytest.approx([structure_by_hand(x, y) for x, y in zip(one, two, strict=True)], rel=1e-4)


@pytest.mark.parametrize(
    "change, most",
    [
        (lambda images: images, 1e-5),
        (lambda images: -images, 1e-5),
        (lambda images: images * 0.4 + 0.3, 1e-3),
    ],
    ids=["same", "inverted", "paler"],
)
def test_structure_ignores_tone(change: Callable[[Tensor], Tensor], most: float) -> None:
    images = pictures(4)
    assert structure_distance(images, change(images)).abs().max() < most


def test_the_interval_of_structure_narrows_with_more_pictures() -> None:
    apart = structure_distance(pictures(200, seed=1), pictures(200, seed=2))
    intervals = []
    for number in (10, 50, 200):
        value, low, high = astuple(estimate_mean(apart[:number]))
        assert low < value < high
        intervals.append(high - low)
    assert intervals == sorted(intervals, reverse=True) and intervals[-1] < intervals[0] / 2


def test_structure_of_unrelated_pictures_has_nothing_in_common() -> None:
    assert structure_distance(pictures(20, seed=1), pictures(20, seed=2)).mean() == pytest.approx(1, abs=0.2)


def test_pictures_too_small_for_edges_are_one_line() -> None:
    with pytest.raises(ValueError, match="pictures of 9 x 6 pixels are too small"):
        structure_distance(torch.zeros(1, 3, 6, 9), torch.zeros(1, 3, 6, 9))


def test_pictures_without_edges_are_equal_to_each_other_and_far_from_others() -> None:
    flat = torch.full((1, 3, 48, 48), 0.3)
    assert structure_distance(flat, -flat).item() == pytest.approx(0, abs=1e-3)
    assert structure_distance(flat, pictures(1)).item() == pytest.approx(1, abs=0.05)


def test_closeness_agrees_with_scikit_image() -> None:
    random = np.random.default_rng(0)
    truth = np.clip(np.cumsum(random.normal(0, 0.05, (3, 40, 50)), axis=2), -1, 1)
    image = np.clip(truth + random.normal(0, 0.1, truth.shape), -1, 1)
    ours = ssim_and_psnr(torch.tensor(image)[None].float(), torch.tensor(truth)[None].float())[0].tolist()
    x, y = (image + 1) / 2, (truth + 1) / 2
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    ssim = structural_similarity(x, y, channel_axis=0, data_range=1.0, win_size=11, **settings)
    assert ours == pytest.approx([ssim, peak_signal_noise_ratio(y, x, data_range=1.0)], rel=1e-5)


def test_equal_images_are_as_close_as_can_be() -> None:
    image = pictures(2)
    assert ssim_and_psnr(image, image).tolist() == [pytest.approx([1, 100])] * 2


@pytest.mark.parametrize(
    "sizes, told", [((10, 10), "10 x 10 pixels are too small for SSIM"), ((40, 48), "40 x 40 pixels, but .* 48 x 48")]
)
def test_images_that_cannot_be_compared_are_one_line(sizes: tuple[int, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ssim_and_psnr(*(torch.zeros(1, 3, size, size) for size in sizes))


def test_a_direction_is_scored_batch_by_batch_as_at_once(squeezenet: Features) -> None:
    images, real = pictures(10, seed=1), squeezenet(pictures(9, seed=2))
    done: list[int] = []

    def translate(images: Tensor) -> Tensor:
        return (images * 0.5).bfloat16()

    def back(images: Tensor) -> Tensor:
        return images * 1.9

    score = score_translation(
        "AtoB",
        torch.split(to_bytes(images), 4),
        real,
        squeezenet,
        translate=translate,
        back=back,
        truths=torch.split(to_bytes(images * 0.6), 4),
        report=done.append,
    )
    fake = normalised(to_bytes(translate(images)))
    again = normalised(to_bytes(back(fake)))
    truth = normalised(to_bytes(images * 0.6))
    assert done == [4, 8, 10] and (score.what, score.images, score.real) == ("AtoB", 10, 9)
    near = partial(pytest.approx, rel=1e-3)  # features in other batches are rounded differently
    fid = distances(squeezenet(fake), real).figures["fid"]
    assert astuple(score.figures["fid"]) == near(astuple(fid))
    expected = {"structure": structure_distance(images, fake)}
    for what, one, two in (("cycle", again, images), ("truth", fake, truth)):
        expected[f"{what}_ssim"], expected[f"{what}_psnr"] = ssim_and_psnr(one, two).T
        expected[f"{what}_perceptual"] = perceptual(squeezenet.layers(one), squeezenet.layers(two))
    assert list(score.figures) == WITHOUT_STYLES == [*distances(real, real, resamples=2).figures, *expected]
    for name, each in expected.items():
        assert score.figures[name].value == near(float(each.mean())), name


def test_every_mean_over_pictures_has_an_interval_that_holds_it(squeezenet: Features) -> None:
    images = to_bytes(pictures(12, seed=1))

    def translate(images: Tensor) -> Tensor:
        return images + torch.linspace(0, 0.5, len(images))[:, None, None, None] * pictures(len(images), seed=3)

    score, again = (
        score_translation(
            "AtoB", [images], squeezenet(pictures(9, seed=2)), squeezenet, translate=translate, back=translate,
            truths=[images],
        )
        for _ in range(2)
    )  # fmt: skip
    assert score == again
    for name, figure in score.figures.items():
        value, low, high = astuple(figure)
        assert low is high is None if name == "kid_std" else low <= value <= high, name
        assert FIGURES[name].against == "real" or low < high, name


def test_what_is_not_known_is_not_scored(squeezenet: Features) -> None:
    score = score_translation("AtoB", [to_bytes(pictures(9))], torch.randn(9, 512), squeezenet, translate=torch.neg)
    assert list(score.figures) == ["fid", "kid", "kid_std", "precision", "recall", "structure"]
    assert astuple(score.figures["structure"]) == pytest.approx((0, 0, 0), abs=1e-5)


def test_no_picture_is_one_line(squeezenet: Features) -> None:
    with pytest.raises(ValueError, match="0 and 9 pictures are too few"):
        score_translation("AtoB", [], torch.randn(9, 512), squeezenet, translate=torch.neg)
