"""The learned noise schedule of the diffusion loop."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Schedule(nn.Module):
    """``alpha_t = sigmoid(a_t)`` for t = 1..T, learned from 0.5 (drfusion.md sections 1, 11).

    For another number of steps the cumulative product is read off at t/T by interpolating
    its logarithm.
    """

    def __init__(self, steps: int = 3) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(steps))

    def alpha_bar(self, steps: int) -> Tensor:
        """The cumulative products for t = 0..steps; the first is 1."""
        log_alpha = nn.functional.logsigmoid(self.logits)
        knots = torch.cat((log_alpha.new_zeros(1), log_alpha.cumsum(0)))
        last = len(self.logits)
        position = torch.linspace(0, last, steps + 1, device=knots.device)
        left = position.floor().long().clamp(max=last - 1)
        share = position - left
        return torch.exp(knots[left] * (1 - share) + knots[left + 1] * share)
