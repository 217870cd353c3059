"""Moves a picture downhill, by L-BFGS or Adam; after a step that went wrong, it goes back and takes smaller ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf, isfinite
from typing import Any, Literal

import torch
from torch import Tensor

from cyclegan.painting.settings import Settings
from cyclegan.types import Losses

HISTORY = 10
"""Pairs of L-BFGS."""

FIRST, LONGEST = 0.02, 0.2
"""Root mean square of the first step of L-BFGS and of the longest, where black is -1 and white 1."""

RISE = 3.0
"""How many times the lowest loss so far is a step that went wrong."""

FLAT = 1e-6
"""Least cosine between a step and its change of gradient for both to be remembered."""

GROWTH = 1.1
"""Growth of the steps with each one in order, until they have their usual length again."""

MOST_RESTARTS = 20
"""How often a picture goes back before it is taken to be as low as it gets."""


Fate = Literal["downhill", "uphill", "not finite"]
"""What a step led to."""


class Lbfgs:
    """The limited-memory BFGS method (Nocedal and Wright 2006, algorithm 7.5) without a line search.

    It suits losses that change a little from time to time: pairs without positive curvature are left out, and a
    direction that does not lead down is replaced by the gradient.
    """

    def __init__(self) -> None:
        self.steps: deque[Tensor] = deque(maxlen=HISTORY)
        self.changes: deque[Tensor] = deque(maxlen=HISTORY)
        self.last: tuple[Tensor, Tensor] | None = None
        """The last step and the gradient before it."""

    def step(self, gradient: Tensor, size: float) -> Tensor:
        """Return the step from a picture with this gradient; `size` is the share of its usual length."""
        if self.last is not None:
            self._remember(self.last[0], gradient - self.last[1])
        direction = self._direction(gradient)
        if not float((direction * gradient).sum()) < 0:
            self.steps.clear()
            self.changes.clear()
            direction = -gradient
        length = float(direction.square().mean().sqrt())
        wanted = length * size if self.steps else FIRST * size
        step = direction * (min(wanted, LONGEST * size) / max(length, 1e-30))
        self.last = step, gradient
        return step

    def forget_last(self) -> None:
        """Forget the last gradient, which was of other losses."""
        self.last = None

    def _remember(self, step: Tensor, change: Tensor) -> None:
        if float((step * change).sum()) > FLAT * float(step.norm()) * float(change.norm()):
            self.steps.append(step)
            self.changes.append(change)

    def _direction(self, gradient: Tensor) -> Tensor:
        direction, shares = -gradient, list[Tensor]()
        pairs = [*zip(self.steps, self.changes, strict=True)]
        for step, change in reversed(pairs):
            shares.append((step * direction).sum() / (step * change).sum())
            direction = direction - shares[-1] * change
        if pairs:
            step, change = pairs[-1]
            direction = direction * ((step * change).sum() / change.square().sum())
        for (step, change), share in zip(pairs, reversed(shares), strict=True):
            direction = direction + (share - (change * direction).sum() / (step * change).sum()) * step
        return direction

    def state_dict(self) -> dict[str, Any]:
        """Return all state."""
        return {"steps": [*self.steps], "changes": [*self.changes], "last": self.last}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Take over the state."""
        self.steps.extend(step.to(device) for step in state["steps"])
        self.changes.extend(change.to(device) for change in state["changes"])
        if state["last"] is not None:
            step, gradient = state["last"]
            self.last = step.to(device), gradient.to(device)


class Adam:
    """Adam (Kingma and Ba 2015), whose step does not depend on the size of the gradient."""

    def __init__(self, lr: float) -> None:
        self.lr, self.count = lr, 0
        self.mean: Tensor | None = None
        self.square: Tensor | None = None

    def step(self, gradient: Tensor, size: float) -> Tensor:
        """Return the step from a picture with this gradient; `size` is the share of its usual length."""
        if self.mean is None or self.square is None:
            self.mean, self.square = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self.count += 1
        self.mean = self.mean.lerp(gradient, 0.1)
        self.square = self.square.lerp(gradient.square(), 0.001)
        mean, square = self.mean / (1 - 0.9**self.count), self.square / (1 - 0.999**self.count)
        return -self.lr * size * mean / (square.sqrt() + 1e-8)

    def forget_last(self) -> None:
        """Forget nothing: a mean over steps serves similar losses."""

    def state_dict(self) -> dict[str, Any]:
        """Return all state."""
        return {"count": self.count, "mean": self.mean, "square": self.square}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Take over the state."""
        self.count = state["count"]
        if state["mean"] is not None:
            self.mean, self.square = state["mean"].to(device), state["square"].to(device)


class Descent:
    """The picture (1, C, H, W) of a level, and how it moves."""

    def __init__(self, start: Tensor, settings: Settings) -> None:
        self.picture, self.settings = start.detach().clone(), settings
        self.good = self.picture
        """The last picture whose losses were looked at and in order."""
        self.lowest, self.size, self.restarts = inf, 1.0, 0
        self.values: dict[str, float] = {}
        """The losses of `good`."""
        self.method = self._method()

    def step(self, losses: Callable[[Tensor], Losses], *, moved: bool = False) -> Fate:
        """Do one step, or go back to the last good picture if that before was wrong.

        `moved` says that the losses are others than in the step before.

        Raises ValueError when the losses of the first picture are not finite.
        """
        values, gradient = losses_and_gradient(self.picture, losses)
        total = sum(values.values())
        finite = isfinite(total) and bool(gradient.isfinite().all())
        if not finite or total > RISE * self.lowest:
            self._go_back()
            return "uphill" if finite else "not finite"
        self.good, self.lowest, self.values = self.picture, min(self.lowest, total), values
        self.size = min(1.0, GROWTH * self.size)
        if moved:
            self.method.forget_last()
        self.picture = self.picture + self.method.step(gradient * gradient.numel(), self.size)
        return "downhill"

    @property
    def is_stuck(self) -> bool:
        """Whether steps keep going wrong."""
        return self.restarts >= MOST_RESTARTS

    def _go_back(self) -> None:
        if self.lowest == inf:
            raise ValueError("the losses are not finite; are these the weights of this network?")
        self.picture, self.method = self.good, self._method()
        self.size, self.restarts = self.size / 2, self.restarts + 1

    def _method(self) -> Lbfgs | Adam:
        return Lbfgs() if self.settings.optimizer == "lbfgs" else Adam(self.settings.lr)

    def state_dict(self) -> dict[str, Any]:
        """Return all state."""
        kept = {name: getattr(self, name) for name in ("picture", "good", "lowest", "size", "restarts", "values")}
        return {**kept, "method": self.method.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state; tensors move to the device of the picture."""
        device = self.picture.device
        self.picture, self.good = state["picture"].to(device), state["good"].to(device)
        self.lowest, self.size, self.restarts = state["lowest"], state["size"], state["restarts"]
        self.values = state["values"]
        self.method.load_state_dict(state["method"], device)


def losses_and_gradient(picture: Tensor, losses: Callable[[Tensor], Losses]) -> tuple[dict[str, float], Tensor]:
    """Return the losses of a picture by name, and the gradient of their sum."""
    leaf = picture.detach().requires_grad_()
    named = losses(leaf)
    total = torch.stack([*named.values()]).sum()
    (gradient,) = torch.autograd.grad(total, leaf)
    return {name: float(value.detach()) for name, value in named.items()}, gradient
