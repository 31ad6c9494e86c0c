"""How far both branches follow the fused state before a step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from drfuse_cli.networks.recofuse.embedding import TimeEmbedding


class Feedback(nn.Module):
    """A share of the way from a branch's own state to the fused one, told the time.

    One for every channel of each branch, none of the way at first: branches that were trained
    by themselves lose nothing, and learn to follow where the other modality helps.
    """

    def __init__(self, channels: int, *, timed: bool) -> None:
        super().__init__()
        self.shares = nn.Parameter(torch.zeros(2 * channels))
        self.time = TimeEmbedding(2 * channels) if timed else None
        if self.time is not None:
            nn.init.zeros_(self.time.leave.weight)
            nn.init.zeros_(self.time.leave.bias)

    def forward(
        self, visible: Tensor, infrared: Tensor, fused: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        """States ``B x C x h x w`` and ``t``, ``B``, to where each branch starts the step."""
        shares = self.shares.expand(len(t), -1)
        if self.time is not None:
            shares = shares + self.time(t)
        of_visible, of_infrared = shares[..., None, None].chunk(2, dim=1)
        return visible + of_visible * (fused - visible), infrared + of_infrared * (fused - infrared)
