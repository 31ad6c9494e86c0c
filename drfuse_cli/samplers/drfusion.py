"""Algorithm 1 of DRFusion: the corrected, deterministic diffusion loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from drfuse_cli.samplers.observation import Inputs

Callback = Callable[[int, Tensor, Tensor], None]


class StepNetwork(Protocol):
    """What the loop asks of a network; see `networks.fusion_net.FusionNet`."""

    def encode(self, lifted: Tensor, observed: Tensor, condition: Tensor) -> Tensor: ...

    def __call__(
        self, state: Tensor, estimate: Tensor, features: Tensor, condition: Tensor, time: Tensor
    ) -> tuple[Tensor, Tensor]: ...


Correct = Callable[[Tensor, Tensor, Inputs, Tensor], Tensor]
"""``(X_hat, m, inputs, time) -> X_bar``, see `samplers.correction`."""


def initial_estimate(lifted: Tensor) -> Tensor:
    """``[u1, u2, (u1 + u2) / 2, cb, cr]`` from ``B x 4 x H x W``."""
    u1, u2, chroma = lifted[:, :1], lifted[:, 1:2], lifted[:, 2:]
    return torch.cat((u1, u2, (u1 + u2) / 2, chroma), dim=1)


def sample(
    inputs: Inputs,
    network: StepNetwork,
    alpha_bar: Tensor,
    correct: Correct,
    callback: Callback | None = None,
) -> Tensor:
    """Restores and fuses a batch in ``T = len(alpha_bar) - 1`` steps; nothing is random.

    Returns the state ``[x1, x2, f, Cb, Cr]``, ``B x 5 x H x W`` in image range.
    ``callback(t, X_bar, m)`` sees every corrected estimate. Source: DRFusion, Algorithm 1.
    """
    steps = len(alpha_bar) - 1
    X_bar = initial_estimate(inputs.lifted)
    X = alpha_bar[steps].sqrt() * X_bar
    features = network.encode(inputs.lifted, inputs.observed, inputs.condition)
    for t in range(steps, 0, -1):
        time = inputs.condition.new_tensor([[t / steps, 1 / steps]]).expand(len(X), 2)
        signal, noise = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
        change, m = network(X / signal, X_bar, features, inputs.condition, time)
        X_hat = X_bar + change
        X_bar = correct(X_hat, m, inputs, time)  # (17), (19)
        if t > 1:
            e = (X - signal * X_hat) / noise  # (16), which X_hat solves
            X = alpha_bar[t - 1].sqrt() * X_bar + (1 - alpha_bar[t - 1]).sqrt() * e  # (18)
        else:
            X = X_bar  # (18) with alpha_bar[0] = 1
        if callback is not None:
            callback(t, X_bar, m)
    return X
