"""A player's turn: its loss, the gradient of its own networks, one step of its optimizer."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from cyclegan.methods.base import Player
from cyclegan.recipe import TrainingConfig, images_in, unit_of
from cyclegan.training.processes import ALONE, Processes
from cyclegan.types import Batch, Images, Losses


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

    def set_rate(self, rate: float) -> None:
        """The learning rate of the moves to come."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def move(self, batch: Batch, images: Images, autocast: torch.autocast) -> Move:
        """Take one step, unless a loss or gradient is not finite. Other players' networks get no gradient at all."""
        with autocast:
            losses = self.player.loss(batch, images)
        total = torch.stack(list(losses.values())).sum()
        for parameter, gradient in zip(self.parameters, torch.autograd.grad(total, self.parameters), strict=True):
            parameter.grad = torch.empty_like(parameter).copy_(gradient)  # fused Adam needs the parameter's own strides
        gradients, total = [p.grad for p in self.parameters if p.grad is not None], total.detach()
        self.processes.average([*gradients, total])
        norms = {
            network: get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
            for network in self.player.networks
        }
        norm = get_total_norm(list(norms.values()))
        finite = norm.isfinite() & total.isfinite()
        if self.clip:
            clip_grads_with_norm_(self.parameters, self.clip, norm)
        self.optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]  # as GradScaler tells fused Adam to
        self.optimizer.step()  # leave weights and state alone, on the device, without the host looking
        return Move({name: loss.detach() for name, loss in losses.items()}, norms, finite)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state."""
        return self.optimizer.state_dict()

    def tensors(self) -> list[Tensor]:
        """The optimizer's numbers, in a fixed order; none before the first move."""
        states = [self.optimizer.state.get(parameter, {}) for parameter in self.parameters]
        return [state[name] for state in states for name in sorted(state)]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put the optimizer's state back; its settings stay the recipe's and this device's.

        Raises ValueError when the state belongs to other weights.
        """
        settings = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state)
        for parameter in self.parameters:
            for name, value in self.optimizer.state[parameter].items():
                if name != "step" and value.shape != parameter.shape:
                    raise ValueError(f"the optimizer of the {self.player.name} belongs to other weights")
        for group, own in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(own)


def rate_after(images: int, config: TrainingConfig, epoch: int) -> float:
    """The learning rate once so many images are seen: constant, then linear towards zero in steps of `decay`'s unit.

    As the paper counts, 100 + 100 epochs train epoch 101 at 100/101 of the rate and epoch 200 at 1/101.
    """
    unit = unit_of(config.decay, epoch)
    into_decay = (images - images_in(config.constant, epoch)) // unit + 1
    return config.rate * (1 - max(0, into_decay) / (images_in(config.decay, epoch) // unit + 1))
