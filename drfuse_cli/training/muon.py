"""Muon: momentum whose update matrix is made orthogonal (Jordan et al., 2024).

torch.optim.Muon takes matrices only and works in bfloat16, which processors without
bfloat16 units emulate slowly; convolution kernels are matrices here, in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_ITERATIONS, _COEFFICIENTS = 5, (3.4445, -4.7750, 2.0315)


def orthogonalise(update: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly: singular values end within 0.7..1.2.

    ``update``: ``m x n``. A quintic Newton-Schulz iteration.
    """
    a, b, c = _COEFFICIENTS
    tall = update.shape[0] > update.shape[1]
    X = update.T if tall else update
    X = X / (X.norm() + 1e-12)
    for _ in range(_ITERATIONS):
        A = X @ X.T
        X = a * X + (b * A + c * A @ A) @ X
    return X.T if tall else X


class Muon(torch.optim.Optimizer):
    """Steps of the size AdamW takes at the same ``lr`` (Liu et al., 2025: 0.2 sqrt(max(m, n)))."""

    def __init__(self, params: Any, lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group["lr"], group["momentum"])

    def _move(self, weight: Tensor, gradient: Tensor, lr: float, momentum: float) -> None:
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        average = state["momentum"]
        average.lerp_(gradient, 1 - momentum)
        update = gradient.lerp(average, momentum).flatten(1)
        size = 0.2 * max(update.shape) ** 0.5
        weight.add_(orthogonalise(update).view_as(weight), alpha=-lr * size)
