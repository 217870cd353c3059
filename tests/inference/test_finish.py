"""Tests of what is done to a translation with the help of its source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cyclegan.data.convert import LUMA
from cyclegan.data.format import PictureFormat
from cyclegan.data.picture import Pixels
from cyclegan.inference.finish import Finish, finished, matching

KEEP, MATCH, HALF = Finish(keep_colour=True), Finish(match_colour=True), Finish(strength=0.5)


def picture(seed: int, height: int = 37, width: int = 23, channels: int = 3, low: float = 0, high: float = 1) -> Pixels:
    """A smooth picture of floats between two levels, which differs in every channel."""
    random = np.random.default_rng(seed)
    y, x = np.meshgrid(range(height), range(width), indexing="ij")
    waves = [np.sin(y / a + x / b + c) for a, b, c in random.uniform(2, 9, (channels, 3))]
    return ((np.stack(waves, axis=2) + 1) / 2 * (high - low) + low).astype(np.float32)


def in_bytes(pixels: Pixels) -> Pixels:
    return (pixels * 255).round().astype(np.uint8)


def luma(pixels: Pixels) -> np.ndarray:
    return pixels.astype(np.float64) @ LUMA


BOTH = [(picture(1), picture(2)), (in_bytes(picture(1)), in_bytes(picture(2)))]


@pytest.mark.parametrize(("source", "translated"), BOTH, ids=["floats", "bytes"])
def test_strength_0_is_the_source_and_1_the_translation_bit_for_bit(source: Pixels, translated: Pixels) -> None:
    assert np.array_equal(finished(source, translated, Finish(strength=0)), source)
    assert np.array_equal(finished(source, translated, Finish(strength=1), out=np.empty_like(source)), translated)
    assert finished(source, translated, Finish()) is translated


@pytest.mark.parametrize("how", [Finish(), KEEP, MATCH, HALF])
@pytest.mark.parametrize(("source", "translated"), BOTH, ids=["floats", "bytes"])
def test_a_mask_keeps_the_source_where_it_is_0(source: Pixels, translated: Pixels, how: Finish) -> None:
    mask = np.zeros(source.shape[:2], np.float32)
    mask[10:20, 5:15] = 1
    made, whole = finished(source, translated, how, mask), finished(source, translated, how)
    assert np.array_equal(made[mask == 0], source[mask == 0])
    assert np.array_equal(made[mask == 1], whole[mask == 1])


def test_a_grey_mask_mixes() -> None:
    source, translated = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 200, np.uint8)
    mask = np.array([[0, 0.25], [0.5, 1]], np.float32)
    assert finished(source, translated, Finish(), mask)[..., 0].tolist() == [[0, 50], [100, 200]]
    assert finished(source, translated, HALF, mask)[..., 0].tolist() == [[0, 25], [50, 100]]


@pytest.mark.parametrize("how", [HALF, KEEP, MATCH, replace(MATCH, strength=0.3)], ids=str)
@pytest.mark.parametrize(("source", "translated"), BOTH, ids=["floats", "bytes"])
def test_strips_equal_the_whole(source: Pixels, translated: Pixels, how: Finish) -> None:
    mask = picture(3, channels=1)[..., 0].astype(np.float32)
    whole = finished(source, translated, how, mask, rows=10**6)
    for rows in (1, 5, 36, None):
        assert np.array_equal(finished(source, translated, how, mask, rows=rows), whole)


def test_the_result_may_be_written_over_a_mapped_translation(tmp_path: Path) -> None:
    source, translated = BOTH[1]
    mapped = np.lib.format.open_memmap(tmp_path / "made.npy", "w+", translated.dtype, translated.shape)
    mapped[:] = translated
    assert finished(source, mapped, MATCH, out=mapped, rows=4) is mapped
    assert np.array_equal(mapped, finished(source, translated, MATCH))


def test_keep_colour_has_the_luma_of_the_translation_and_the_chroma_of_the_source() -> None:
    source, translated = in_bytes(picture(1, low=0.4, high=0.6)), in_bytes(picture(2, low=0.3, high=0.7))
    made = finished(source, translated, KEEP)
    assert np.abs(luma(made) - luma(translated)).max() <= 1
    chroma = made - luma(made)[..., None]
    assert np.abs(chroma - (source - luma(source)[..., None])).max() <= 1


def test_keep_colour_keeps_luma_and_hue_where_the_chroma_does_not_exist() -> None:
    source, translated = picture(1), picture(2)
    made = finished(source, translated, KEEP)
    assert np.abs(luma(made) - luma(translated)).max() < 1e-5
    chroma, own = made - luma(made)[..., None], source - luma(source)[..., None]
    assert np.abs(np.cross(chroma, own)).max() < 1e-5
    assert (chroma * own).sum(axis=2).min() > -1e-6


def test_keep_colour_of_a_grey_source_is_grey() -> None:
    grey = np.repeat(picture(1, channels=1), 3, axis=2)
    made = finished(grey, picture(2), KEEP)
    assert np.ptp(made, axis=2).max() < 1e-5


def test_match_colour_gives_the_mean_and_the_covariance_of_the_source() -> None:
    source, translated = picture(1, low=0.4, high=0.6), picture(2, low=0.1, high=0.4)
    made = finished(source, translated, MATCH).reshape(-1, 3).astype(np.float64)
    wanted = source.reshape(-1, 3).astype(np.float64)
    assert np.abs(made.mean(axis=0) - wanted.mean(axis=0)).max() < 1e-5
    assert np.abs(np.cov(made.T) - np.cov(wanted.T)).max() < 1e-3 * np.cov(wanted.T).max()


def test_match_colour_leaves_a_translation_with_the_right_colours_alone() -> None:
    source = picture(1)
    assert np.abs(finished(source, source.copy(), MATCH) - source).max() < 1e-4


def test_match_colour_does_not_turn_the_noise_of_grey_into_colours() -> None:
    noise = np.random.default_rng(0).normal(0, 1 / 255, (37, 23, 3)).astype(np.float32)
    grey = np.repeat(picture(2, channels=1, low=0.2, high=0.8), 3, axis=2)
    move = matching(picture(1), grey + noise)
    assert np.linalg.norm(move.matrix, 2) <= 4.001


@pytest.mark.parametrize("how", [Finish(), HALF, MATCH], ids=["mask", "strength", "match"])
def test_grey_and_colour_and_depths_mix(how: Finish) -> None:
    mask = np.zeros((37, 23), np.float32)
    source = in_bytes(picture(1))
    to_grey = finished(source, picture(2, channels=1), how, mask)
    assert np.abs(to_grey[..., 0] - luma(source) / 255).max() < 1e-6
    from_grey = finished(picture(1, channels=1), in_bytes(picture(2)), how, mask)
    assert np.array_equal(from_grey, in_bytes(np.repeat(picture(1, channels=1), 3, axis=2)))
    bands = finished(picture(1, channels=5), picture(2, channels=5), how, mask)
    assert np.array_equal(bands, picture(1, channels=5))


def test_it_is_told_in_a_few_words() -> None:
    assert [str(Finish()), str(HALF), str(replace(KEEP, strength=0.25))] == [
        "",
        "strength 0.5",
        "strength 0.25 keep_colour",
    ]


def test_values_out_of_range_and_clashing_options_are_refused() -> None:
    for strength in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="--strength: must be 0 to 1"):
            Finish(strength=strength)
    with pytest.raises(ValueError, match="exclude each other"):
        Finish(keep_colour=True, match_colour=True)


RGB, GREY, BANDS = PictureFormat(), PictureFormat.of(1), PictureFormat.of(4)


@pytest.mark.parametrize(
    ("how", "source", "target", "words"),
    [
        (HALF, BANDS, RGB, "--strength: needs as many channels"),
        (KEEP, RGB, GREY, "--keep_colour: needs colour"),
        (KEEP, replace(RGB, colour="stored"), replace(RGB, colour="stored"), "--keep_colour: needs colour"),
        (MATCH, RGB, replace(RGB, colour="display_p3"), "--match_colour: needs one colour space"),
    ],
)
def test_domains_that_do_not_suit_an_option_are_refused(
    how: Finish, source: PictureFormat, target: PictureFormat, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        how.check(source, target)


def test_domains_that_suit_an_option_pass() -> None:
    for how, source, target in [(HALF, RGB, GREY), (HALF, GREY, RGB), (MATCH, BANDS, BANDS), (KEEP, RGB, RGB)]:
        how.check(source, target)
    Finish().check(RGB, BANDS)
    with pytest.raises(ValueError, match="--mask: needs as many channels"):
        Finish().check(RGB, BANDS, masked=True)
