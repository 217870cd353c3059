"""A player's turn: its loss, the gradient of its own networks, one step of its optimizer."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from cyclegan.machine.device import Arithmetic
from cyclegan.machine.levers import Levers
from cyclegan.methods.base import Player
from cyclegan.recipe import TrainingConfig, images_in, unit_of
from cyclegan.training.distributed import ALONE, Processes
from cyclegan.types import Batch, Images, Losses


class Seen(NamedTuple):
    """What a player made of a batch before it moves."""

    losses: Losses
    gradients: list[Tensor]
    """Of the sum of its losses, for each of its parameters."""

    def times(self, factor: float) -> Seen:
        """All of it, scaled."""
        if factor == 1:
            return self
        return Seen({name: loss * factor for name, loss in self.losses.items()}, [g * factor for g in self.gradients])

    def plus(self, other: Seen) -> Seen:
        """The sum."""
        losses = {name: loss + other.losses[name] for name, loss in self.losses.items()}
        return Seen(losses, [one + two for one, two in zip(self.gradients, other.gradients, strict=True)])


class Move(NamedTuple):
    """What a player saw in its turn."""

    losses: Losses
    norms: dict[nn.Module, Tensor]
    """Of the gradient of each of its networks, before clipping, ()."""
    finite: Tensor
    """Whether its losses and gradients were numbers, bool (). If not, it has not moved."""


class Turn:
    """Keeps one player's optimizer."""

    def __init__(self, player: Player, config: TrainingConfig, processes: Processes = ALONE) -> None:
        self.player, self.clip, self.processes = player, config.clip, processes
        self.parameters = [p for network in player.networks for p in network.parameters()]
        device = self.parameters[0].device
        on_cuda = device.type == "cuda"  # there a graph may replay the step, which reads the rate from this tensor
        rate = torch.tensor(config.rate, device=device) if on_cuda else config.rate
        self.optimizer = torch.optim.Adam(self.parameters, rate, config.betas, fused=True, capturable=on_cuda)
        self.scale: LossScale | None = None
        # As GradScaler tells fused Adam to leave weights and state alone, on the device, without the host looking.
        self.found_inf = self.optimizer.found_inf = torch.zeros((), dtype=torch.float32, device=device)  # type: ignore[attr-defined]
        # What lasts from step to step is allocated here: a step recorded as a CUDA graph would put it into the graph's
        # memory, which the graphs of other shapes write over. Fused Adam needs the parameters' own strides.
        self.gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient

    def set_rate(self, rate: float) -> None:
        """The learning rate of the moves to come."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def pull(self, levers: Levers) -> None:
        """Scale the loss in fp16, and let gradients and the optimizer's state follow the layout of the weights."""
        if levers.precision != "fp16":
            self.scale = None
        elif self.scale is None:
            self.scale = LossScale(self.parameters[0].device)
        for number, parameter in enumerate(self.parameters):
            if self.gradients[number].stride() != parameter.stride():
                parameter.grad = self.gradients[number] = torch.zeros_like(parameter)
            for name, value in self.optimizer.state[parameter].items():
                if value.shape == parameter.shape and value.stride() != parameter.stride():
                    self.optimizer.state[parameter][name] = torch.empty_like(parameter).copy_(value)

    def look(self, batch: Batch, images: Images, autocast: Arithmetic) -> Seen:
        """The losses of a batch and their gradient; nothing moves, and no other player's network gets a gradient."""
        with autocast:
            losses = self.player.loss(batch, images)
        total = torch.stack(list(losses.values())).sum()
        gradients = torch.autograd.grad(self.scale.up(total) if self.scale else total, self.parameters)
        return Seen(
            {name: loss.detach() for name, loss in losses.items()},
            [self.scale.down(gradient) if self.scale else gradient for gradient in gradients],
        )

    def move(self, seen: Seen) -> Move:
        """Take one step, unless a loss or gradient is not finite."""
        torch._foreach_copy_(self.gradients, seen.gradients)
        total = torch.stack(list(seen.losses.values())).sum()
        self.processes.average([*self.gradients, total])
        norms = {
            network: get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
            for network in self.player.networks
        }
        norm = get_total_norm(list(norms.values()))
        finite = norm.isfinite() & total.isfinite()
        if self.clip:
            clip_grads_with_norm_(self.parameters, self.clip, norm)
        self.found_inf.copy_(~finite)
        self.optimizer.step()
        if self.scale:
            finite = self.scale.adapt(finite) & total.isfinite()
        return Move(seen.losses, norms, finite)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state, and the scale of the loss in fp16."""
        return self.optimizer.state_dict() | ({"scale": self.scale.state} if self.scale else {})

    def tensors(self) -> list[Tensor]:
        """The optimizer's numbers, in a fixed order; none before the first move."""
        states = [self.optimizer.state.get(parameter, {}) for parameter in self.parameters]
        return [state[name] for state in states for name in sorted(state)]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put the optimizer's state back; its settings stay the recipe's and this device's.

        Raises ValueError when the state belongs to other weights.
        """
        if isinstance(scale := state.get("scale"), Tensor) and scale.shape == (2,):
            self.scale = LossScale(self.parameters[0].device)
            self.scale.state.copy_(scale)
        settings = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state)
        for parameter in self.parameters:
            for name, value in self.optimizer.state[parameter].items():
                if name != "step" and value.shape != parameter.shape:
                    raise ValueError(f"the optimizer of the {self.player.name} belongs to other weights")
        for group, own in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(own)


class LossScale:
    """Keeps the small gradients of fp16 above its smallest number (Micikevicius et al. 2018, section 3.2).

    Halved when gradients overflow, doubled after `PATIENCE` steps in which none did; all on the device.
    """

    FIRST, PATIENCE = 2.0**16, 2000

    def __init__(self, device: torch.device) -> None:
        self.state = torch.tensor([self.FIRST, 0.0], device=device)
        """The scale, and how many steps in a row went well."""

    def up(self, loss: Tensor) -> Tensor:
        """The loss to take the gradient of."""
        return loss * self.state[0]

    def down(self, gradient: Tensor) -> Tensor:
        """What is the gradient of the loss itself; exact, because the scale is a power of 2."""
        return gradient / self.state[0]

    def adapt(self, finite: Tensor) -> Tensor:
        """Take note of a step; returns whether it was in order: finite, or too large for a scale that can fall."""
        scale, well = self.state
        well = torch.where(finite, well + 1, 0.0)
        grows, falls = well >= self.PATIENCE, ~finite & (scale > 1)
        factor = torch.where(grows, 2.0, torch.where(falls, 0.5, 1.0))
        self.state.copy_(torch.stack([scale * factor, torch.where(grows, 0.0, well)]))
        in_order: Tensor = finite | falls
        return in_order


def rate_after(images: int, config: TrainingConfig, epoch: int) -> float:
    """The learning rate once so many images are seen: constant, then linear towards zero in steps of `decay`'s unit.

    As the paper counts, 100 + 100 epochs train epoch 101 at 100/101 of the rate and epoch 200 at 1/101.
    """
    unit = unit_of(config.decay, epoch)
    into_decay = (images - images_in(config.constant, epoch)) // unit + 1
    return config.rate * (1 - max(0, into_decay) / (images_in(config.decay, epoch) // unit + 1))
