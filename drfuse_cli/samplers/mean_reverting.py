"""The mean-reverting diffusion of ReCoFuse (IR-SDE, Luo et al., ICML 2023) in closed form.

Forward, ``dz = theta (mu - z) dt + sigma dw`` with ``sigma^2 = 2 lambda^2 theta``: the clean
latent drifts to the degraded one, ``mu``, and gathers noise of ``lambda``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TIMES = 100
"""Steps of the published schedule; every time below is one of 0..100."""
NOISE = 50 / 255
"""Stationary standard deviation, ``lambda``."""
_LEFT = 0.005
"""What is left of the clean latent at the last time."""


def _rates() -> Tensor:
    """``theta_0..theta_100`` of the cosine schedule."""
    # On the processor even where a model is only being described: these are numbers, not weights.
    u = torch.arange(TIMES + 2, dtype=torch.float64, device="cpu")
    c = torch.cos((u / (TIMES + 2) + 0.008) / 1.008 * math.pi / 2) ** 2
    return 1 - c[1:] / c[0]


class MeanReverting:
    """Closed forms of the process; times ``t`` are ``B`` integers, states ``B x C x h x w``."""

    def __init__(self) -> None:
        self._theta = _rates()
        summed = self._theta.clone()
        summed[0] = 0.0
        summed = summed.cumsum(0)
        self.dt = -math.log(_LEFT) / float(summed[-1])
        self._decay = torch.exp(-summed * self.dt)

    def theta(self, t: Tensor) -> Tensor:
        """The rate of reversion."""
        return _spread(self._theta, t)

    def decay(self, t: Tensor) -> Tensor:
        """The share of the clean latent that is left at ``t``."""
        return _spread(self._decay, t)

    def std(self, t: Tensor) -> Tensor:
        """The noise that has gathered at ``t``."""
        return NOISE * (1 - self.decay(t) ** 2).sqrt()

    def noised(self, clean: Tensor, mean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The state at ``t`` given both ends and unit noise."""
        return mean + (clean - mean) * self.decay(t) + self.std(t) * noise

    def posterior_mean(
        self, state: Tensor, clean: Tensor, mean: Tensor, t: Tensor, s: Tensor
    ) -> Tensor:
        """The expected state at ``s < t`` given that at ``t`` and the clean latent, eq. (13).

        Exact for any ``s``, not only ``t - 1``; at ``s = 0`` it is the clean latent.
        """
        a, b, c = self.decay(t) / self.decay(s), self.decay(t), self.decay(s)
        from_state = a * (1 - c**2) / (1 - b**2)
        from_clean = c * (1 - a**2) / (1 - b**2)
        return mean + from_state * (state - mean) + from_clean * (clean - mean)

    def euler_step(self, state: Tensor, noise: Tensor, mean: Tensor, t: Tensor) -> Tensor:
        """One published step to ``t - 1``, given the predicted unit noise.

        The published sampler adds noise again after each, the last included; this does not.
        """
        theta = self.theta(t)
        drift = theta * (mean - state) + 2 * NOISE**2 * theta * noise / self.std(t)
        return state - drift * self.dt


def _spread(table: Tensor, t: Tensor) -> Tensor:
    return table.float().to(t.device)[t][:, None, None, None]
