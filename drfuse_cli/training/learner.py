"""A model in training: its average, its optimisers, one step, and a state to go on from."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.training.data import CleanPair
from drfuse_cli.training.muon import Muon
from drfuse_cli.training.options import TrainOptions

_WARMUP = 0.02


def learning_rate(peak: float, progress: float) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of ``peak``; progress in 0..1."""
    if progress < _WARMUP:
        return peak * (progress / _WARMUP * 0.95 + 0.05)
    angle = math.pi * (progress - _WARMUP) / (1 - _WARMUP)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(min(angle, math.pi))))


def optimisers(
    kernels: Iterable[nn.Parameter],
    others: Iterable[nn.Parameter],
    few: Iterable[nn.Parameter],
    lr: float,
) -> list[torch.optim.Optimizer]:
    """Muon for the kernels inside a network, AdamW for all else.

    ``few``: single numbers in logarithms, which may move faster.
    """
    groups = [{"params": list(others), "factor": 1.0}, {"params": list(few), "factor": 5.0}]
    return [
        torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99), weight_decay=1e-4),
        Muon([{"params": list(kernels), "factor": 2.0}], lr=lr),
    ]


class Learner(ABC):
    """What every method's training has in common."""

    model: nn.Module
    optimisers: list[torch.optim.Optimizer]
    preparation = ""
    """What `taken` does that takes a while, in words."""

    def __init__(self, options: TrainOptions, device: torch.device) -> None:
        torch.manual_seed(options.seed)
        self.options, self.device = options, device
        self.step = 0
        self.seconds = 0.0
        self.skipped = 0
        self.history: list[dict[str, float | int | str]] = []

    def _begin(self, model: nn.Module) -> None:
        self.model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)

    def taken(self, pairs: list[CleanPair]) -> list[CleanPair]:
        """The clean pairs as they are learned from."""
        return pairs

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """The description of the model for its weight file."""

    @abstractmethod
    def learn(self, pairs: list[CleanPair], rng: np.random.Generator, lr: float) -> float:
        """One batch: gradients and steps; returns the loss."""

    @abstractmethod
    def measure(self, loss: float) -> str:
        """How the average does on held-back pairs, in a line; appends to the history."""

    def update(self, pairs: list[CleanPair], progress: float) -> float:
        """One optimiser step; every random number comes from the seed and the step."""
        rng = np.random.default_rng([self.options.seed, self.step])
        loss = self.learn(pairs, rng, learning_rate(self.options.lr, progress))
        self.step += 1
        self._follow()
        return loss

    def _descend(
        self, losses: Iterable[Tensor], steppers: Iterable[torch.optim.Optimizer], lr: float
    ) -> float:
        """Follows the mean gradient of ``losses`` with some of the optimisers; returns their mean.

        One is made after the other, so that memory holds the graph of one.
        """
        self.model.zero_grad(set_to_none=True)
        found = []
        for loss in losses:
            loss.backward()  # type: ignore[no-untyped-call]
            found.append(float(loss.detach()))
        for weight in self.model.parameters() if len(found) > 1 else ():
            if weight.grad is not None:
                weight.grad.div_(len(found))
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._refuse_divergence(bool(torch.isfinite(norm)))
        for optimiser in steppers if self.skipped == 0 else ():
            for group in optimiser.param_groups:
                group["lr"] = group["factor"] * lr
            optimiser.step()
        return sum(found) / len(found)

    def _refuse_divergence(self, finite: bool) -> None:
        """A single overflow is skipped; many in a row are a failed run."""
        self.skipped = 0 if finite else self.skipped + 1
        if self.skipped >= 10:
            raise DrfuseError(
                f"training diverged at step {self.step}: ten gradients in a row are not finite",
                hint="lower --lr, or use --precision fp32",
                code=ExitCode.FAILED,
            )

    @torch.no_grad()
    def _follow(self) -> None:
        decay = min(0.999, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.average.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)

    def state(self) -> dict[str, Any]:
        """Everything that a run needs to go on exactly."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
