"""The time of a diffusion step as features."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_WAVES = 64
FEATURES = 256


class SimpleGate(nn.Module):
    """One half of the channels times the other (Chen et al., ECCV 2022)."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return first * second


def waves(t: Tensor) -> Tensor:
    """Sines and cosines of the step ``t``, ``B``, in 0..100: ``B x 64``."""
    half = _WAVES // 2
    rates = torch.exp(torch.arange(half, device=t.device) * (-math.log(10000.0) / (half - 1)))
    angles = t.float()[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)


class TimeEmbedding(nn.Module):
    """``B`` steps to as many features, ``B x outputs``."""

    def __init__(self, outputs: int = FEATURES) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(_WAVES, 2 * FEATURES), nn.Linear(FEATURES, outputs)
        self.gate = SimpleGate()

    def forward(self, t: Tensor) -> Tensor:
        features: Tensor = self.leave(self.gate(self.enter(waves(t))))
        return features
