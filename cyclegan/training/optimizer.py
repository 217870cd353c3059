"""A player's optimizer: its loss, the gradient of its own networks, one step of Adam."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from cyclegan.machine.device import Arithmetic
from cyclegan.machine.levers import Levers
from cyclegan.methods.base import Player
from cyclegan.recipe import PlayerConfig, TrainingConfig
from cyclegan.training.distributed import ALONE, Processes
from cyclegan.training.loss_scale import LossScale
from cyclegan.types import Batch, Images, Losses


class Gradients(NamedTuple):
    """The losses of a player, and their gradients."""

    losses: Losses
    gradients: list[Tensor]
    """Of the sum of its losses, for each of its parameters."""

    def times(self, factor: float) -> Gradients:
        """All of it, scaled."""
        if factor == 1:
            return self
        return Gradients(
            {name: loss * factor for name, loss in self.losses.items()}, [g * factor for g in self.gradients]
        )

    def plus(self, other: Gradients) -> Gradients:
        """The sum."""
        losses = {name: loss + other.losses[name] for name, loss in self.losses.items()}
        return Gradients(losses, [one + two for one, two in zip(self.gradients, other.gradients, strict=True)])


class StepResult(NamedTuple):
    """What a step has shown, of one player or of all."""

    losses: Losses
    grad_norms: dict[str, Tensor]
    """Of the gradient of each network, before clipping, ()."""
    finite: Tensor
    """Whether losses and gradients were numbers, bool (). A player whose were not has not moved."""


class PlayerOptimizer:
    """Keeps one player's Adam, with settings of its own where `config.players` has them."""

    def __init__(self, player: Player, config: TrainingConfig, processes: Processes = ALONE) -> None:
        own = config.players.get(player.name, PlayerConfig())
        self.player, self.processes, self.grad_clip = player, processes, config.grad_clip
        self.every, self.repeat, self.lr = own.every, own.repeat, own.lr or config.lr
        self.parameters = [p for network in player.networks.values() for p in network.parameters()]
        device = self.parameters[0].device
        on_cuda = device.type == "cuda"  # there a graph may replay the step, which reads the rate from this tensor
        lr, betas = torch.tensor(self.lr, device=device) if on_cuda else self.lr, own.betas or config.betas
        self.optimizer = torch.optim.Adam(self.parameters, lr, betas, fused=True, capturable=on_cuda)
        self.scale: LossScale | None = None
        # As GradScaler tells fused Adam to leave weights and state alone, on the device, without the host looking.
        self.found_inf = self.optimizer.found_inf = torch.zeros((), dtype=torch.float32, device=device)  # type: ignore[attr-defined]
        # What lasts from step to step is allocated here: a step recorded as a CUDA graph would put it into the graph's
        # memory, which the graphs of other shapes write over. Fused Adam needs the parameters' own strides.
        self.gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient

    def scale_lr(self, factor: float) -> None:
        """Step at so much of the full learning rate from now on."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(factor * self.lr)
            else:
                group["lr"] = factor * self.lr

    def use(self, levers: Levers) -> None:
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

    def differentiate(self, batch: Batch, images: Images, autocast: Arithmetic) -> Gradients:
        """The losses of a batch and their gradient; nothing moves, and no other player's network gets a gradient."""
        with autocast:
            losses = self.player.loss(batch, images)
        total = torch.stack(list(losses.values())).sum()
        gradients = torch.autograd.grad(self.scale.up(total) if self.scale else total, self.parameters)
        return Gradients(
            {name: loss.detach() for name, loss in losses.items()},
            [self.scale.down(gradient) if self.scale else gradient for gradient in gradients],
        )

    def step(self, seen: Gradients) -> StepResult:
        """Take one step, unless a loss or gradient is not finite."""
        torch._foreach_copy_(self.gradients, seen.gradients)
        total = torch.stack(list(seen.losses.values())).sum()
        self.processes.average([*self.gradients, total])
        norms = {
            name: get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
            for name, network in self.player.networks.items()
        }
        norm = get_total_norm(list(norms.values()))
        finite = norm.isfinite() & total.isfinite()
        if self.grad_clip:
            clip_grads_with_norm_(self.parameters, self.grad_clip, norm)
        self.found_inf.copy_(~finite)
        self.optimizer.step()
        if self.scale:
            finite = self.scale.adapt(finite) & total.isfinite()
        return StepResult(seen.losses, norms, finite)

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
