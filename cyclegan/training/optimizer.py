"""The optimizer of one player: its losses, the gradients of its own networks, and steps of Adam."""

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
    """The losses of a player and their gradients."""

    losses: Losses
    gradients: list[Tensor]
    """The gradient of the sum of the losses for each parameter of the player."""

    def times(self, factor: float) -> Gradients:
        """Return losses and gradients multiplied by a factor."""
        if factor == 1:
            return self
        return Gradients(
            {name: loss * factor for name, loss in self.losses.items()}, [g * factor for g in self.gradients]
        )

    def plus(self, other: Gradients) -> Gradients:
        """Return the sum of both."""
        losses = {name: loss + other.losses[name] for name, loss in self.losses.items()}
        return Gradients(losses, [one + two for one, two in zip(self.gradients, other.gradients, strict=True)])


class StepResult(NamedTuple):
    """The result of a step of one player, or of all players."""

    losses: Losses
    grad_norms: dict[str, Tensor]
    """The norm of each network's gradient before clipping, ()."""
    finite: Tensor
    """Whether losses and gradients were finite, bool (). A player with a non-finite one has not stepped."""


class PlayerOptimizer:
    """Keeps one player's Adam (Kingma and Ba 2015); `config.players` overrides its settings for this player."""

    def __init__(self, player: Player, config: TrainingConfig, processes: Processes = ALONE) -> None:
        own = config.players.get(player.name, PlayerConfig())
        self.player, self.processes, self.grad_clip = player, processes, config.grad_clip
        self.every, self.repeat, self.lr = own.every, own.repeat, own.lr or config.lr
        self.parameters = [p for network in player.networks.values() for p in network.parameters()]
        device = self.parameters[0].device
        on_cuda = device.type == "cuda"  # a graph may replay the step there, and reads the learning rate from a tensor
        lr, betas = torch.tensor(self.lr, device=device) if on_cuda else self.lr, own.betas or config.betas
        decay = config.weight_decay if own.weight_decay is None else own.weight_decay
        self.optimizer = torch.optim.Adam(
            self.parameters, lr, betas, weight_decay=decay, fused=True, capturable=on_cuda
        )
        self.scale: LossScale | None = None
        # GradScaler's way to make fused Adam skip a step: decided on the device, so the host does not wait.
        self.found_inf = self.optimizer.found_inf = torch.zeros((), dtype=torch.float32, device=device)  # type: ignore[attr-defined]
        # Tensors that persist between steps are allocated here: a recorded step would place them in the memory of the
        # CUDA graphs, which graphs of other shapes overwrite. Fused Adam needs gradients with the parameters' strides.
        self.gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient

    def scale_lr(self, factor: float) -> None:
        """Set the learning rate to `factor` times the player's full rate."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(factor * self.lr)
            else:
                group["lr"] = factor * self.lr

    def use(self, levers: Levers) -> None:
        """Turn loss scaling on in fp16 and off otherwise, and give gradients and state the layout of the weights."""
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
        """Return the losses of a batch and their gradients with respect to this player's parameters only."""
        with autocast:
            losses = self.player.loss(batch, images)
        total = torch.stack(list(losses.values())).sum()
        gradients = torch.autograd.grad(self.scale.up(total) if self.scale else total, self.parameters)
        return Gradients(
            {name: loss.detach() for name, loss in losses.items()},
            [self.scale.down(gradient) if self.scale else gradient for gradient in gradients],
        )

    def step(self, seen: Gradients) -> StepResult:
        """Average over processes, clip, and take one step, unless a loss or gradient is not finite."""
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
        """Return the optimizer's state, and the loss scale in fp16."""
        return self.optimizer.state_dict() | ({"scale": self.scale.state} if self.scale else {})

    def tensors(self) -> list[Tensor]:
        """Return the tensors of the optimizer's state in a fixed order; empty before the first step."""
        states = [self.optimizer.state.get(parameter, {}) for parameter in self.parameters]
        return [state[name] for state in states for name in sorted(state)]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the optimizer's state; its settings stay those of the recipe and this device.

        Raises ValueError when the state does not fit the weights.
        """
        if isinstance(scale := state.get("scale"), Tensor) and scale.shape == (2,):
            self.scale = LossScale(self.parameters[0].device)
            self.scale.state.copy_(scale)
        settings = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state)
        for parameter in self.parameters:
            for name, value in self.optimizer.state[parameter].items():
                if name != "step" and value.shape != parameter.shape:
                    raise ValueError(f"the optimizer state of the {self.player.name} does not fit their weights")
        for group, own in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(own)
