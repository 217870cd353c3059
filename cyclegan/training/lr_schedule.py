"""The learning rate: constant, then falling in one of four shapes."""

from __future__ import annotations

import math

from cyclegan.recipe import LrScheduleConfig, TrainingConfig, images_in, unit_of


def lr_at(images: int, config: TrainingConfig, epoch: int) -> float:
    """Return the learning rate after `images` images, when an epoch has `epoch` images."""
    return config.lr * lr_factor(images, config.lr_schedule, epoch)


def lr_factor(images: int, config: LrScheduleConfig, epoch: int) -> float:
    """Return the factor on the learning rate after `images` images, in [0, 1]; it falls in steps of `decay`'s unit.

    As in the paper, a schedule of 100 + 100 epochs trains epoch 101 at 100/101 of the rate and epoch 200 at 1/101 (Zhu
    et al. 2017, section 4). For the shape `plateau`, which depends on scores, the factor is 1 here (see `Plateau`).
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
    """Lowers the learning rate when the score stops improving; keeps the factor reached so far."""

    def __init__(self, config: LrScheduleConfig) -> None:
        self.config, self.factor, self.best, self.waited = config, 1.0, math.inf, 0

    def saw(self, kid: float) -> bool:
        """Record a KID, smaller is better; returns whether the learning rate should fall now."""
        self.waited = 0 if kid < self.best else self.waited + 1
        self.best = min(self.best, kid)
        falls = self.config.shape == "plateau" and self.waited >= self.config.patience
        if falls:
            self.waited = 0
        return falls

    def fall(self) -> None:
        """Multiply the learning rate by `training.lr_schedule.factor`."""
        self.factor *= self.config.factor

    def state_dict(self) -> dict[str, float]:
        """Return the whole state."""
        return {"factor": self.factor, "best": self.best, "waited": float(self.waited)}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Load what `state_dict` returned."""
        self.factor, self.best, self.waited = state["factor"], state["best"], int(state["waited"])
