"""The learning rate: constant, then falling in one of four shapes."""

from __future__ import annotations

import math

from cyclegan.recipe import LrScheduleConfig, TrainingConfig, images_in, unit_of


def lr_at(images: int, config: TrainingConfig, epoch: int) -> float:
    """The run's learning rate once so many images are seen, when an epoch has `epoch` of them."""
    return config.lr * lr_factor(images, config.lr_schedule, epoch)


def lr_factor(images: int, config: LrScheduleConfig, epoch: int) -> float:
    """The share of the full learning rate once so many images are seen, falling in steps of the unit of `decay`.

    As the paper counts, 100 + 100 epochs train epoch 101 at 100/101 of the rate and epoch 200 at 1/101 (Zhu et al.
    2017, section 4). Of a plateau, which depends on scores, the share is 1 here (see `Plateau`).
    """
    unit = unit_of(config.decay, epoch)
    units = images_in(config.decay, epoch) // unit
    into_decay = max(0, (images - images_in(config.constant, epoch)) // unit + 1)
    if config.shape == "linear":
        return 1 - into_decay / (units + 1)
    if config.shape == "cosine":  # (Loshchilov and Hutter 2017, eq. 5)
        return (1 + math.cos(math.pi * into_decay / (units + 1))) / 2
    if config.shape == "steps":
        since = max(0, images - images_in(config.constant, epoch))
        return config.factor ** (since // images_in(config.step, epoch))
    return 1.0


class Plateau:
    """Keeps how far the learning rate has fallen because scores did not improve."""

    def __init__(self, config: LrScheduleConfig) -> None:
        self.config, self.factor, self.best, self.waited = config, 1.0, math.inf, 0

    def saw(self, kid: float) -> bool:
        """Take note of a score; returns whether the learning rate falls."""
        self.waited = 0 if kid < self.best else self.waited + 1
        self.best = min(self.best, kid)
        falls = self.config.shape == "plateau" and self.waited >= self.config.patience
        if falls:
            self.waited = 0
        return falls

    def fall(self) -> None:
        """Lower the learning rate once more."""
        self.factor *= self.config.factor

    def state_dict(self) -> dict[str, float]:
        """All that it knows."""
        return {"factor": self.factor, "best": self.best, "waited": float(self.waited)}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from there."""
        self.factor, self.best, self.waited = state["factor"], state["best"], int(state["waited"])
