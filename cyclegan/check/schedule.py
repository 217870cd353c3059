"""The length of a training: by the number of pictures, and by the hours that it takes on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from cyclegan.check.suggestion import Suggestion

HOURS = {"cuda": 24.0, "mps": 12.0, "cpu": 12.0}
"""Hours that a first training may take, by the type of the device."""

EPOCHS, FEWEST, MOST = 200, 20_000, 300_000
"""Epochs of the reference, and limits of the images of a training: few pictures need more epochs, many need fewer."""

SHORT = 30_000
"""Images below which a training takes 1.5 times the learning rate, as experiments/horse2zebra_128.yaml."""

SHORTEST = 1000
"""Images that a training should have, however slow the machine is."""


def schedule(epoch: int, seconds: float | None, device: str) -> Iterator[Suggestion]:
    """Yield the length of a training with `epoch` images in an epoch, if an image takes so many seconds."""
    wanted = min(max(EPOCHS * epoch, FEWEST), MOST)
    hours = HOURS[device]
    possible = wanted if seconds is None else max(int(hours * 3600 / seconds), SHORTEST)
    images = _rounded(min(wanted, possible))
    half, often = images // 2, max(images // 20, 1)
    why = f"{_few_digits(images / epoch)} epochs of {epoch:,} images"
    if images < _rounded(wanted):
        why += f", what fits into {hours:g} hours here; {wanted:,} would be better"
    elif wanted != EPOCHS * epoch:
        why += "; the reference's 200 epochs would be " + ("too few" if wanted > EPOCHS * epoch else "more than needed")
    else:
        why += ", as the authors train"
    length = "training.lr_schedule"
    yield Suggestion(key=f"{length}.constant", value=f"{half} images", reason=f"{images:,} images in all: {why}")
    fall = "images in which the learning rate falls to zero"
    yield Suggestion(key=f"{length}.decay", value=f"{images - half} images", reason=fall)
    if images < SHORT:
        yield Suggestion(key="training.lr", value=3e-4, reason="1.5 times the default, because the training is short")
    yield Suggestion(
        key="training.ema", value=f"{max(images // 20, 1)} images", reason="averages the weights, for steadier pictures"
    )
    yield Suggestion(key="log.samples_every", value=f"{often} images", reason="20 sample grids")
    yield Suggestion(key="log.checkpoint_every", value=f"{often} images", reason="--resume loses at most this much")


def _rounded(images: int) -> int:
    """Return a number with two leading digits, and an even one."""
    unit: int = 10 ** max(len(str(images)) - 2, 0)
    return max(images // unit * unit, 2)


def _few_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
