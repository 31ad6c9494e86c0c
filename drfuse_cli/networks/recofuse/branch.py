"""The restorative diffusion network of one modality: a NAFNet told its mean and the time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drfuse_cli.networks.recofuse.architecture import BranchSizes
from drfuse_cli.networks.recofuse.autoencoder import ChannelNorm
from drfuse_cli.networks.recofuse.embedding import FEATURES, SimpleGate, TimeEmbedding

_GATED = FEATURES // 2


class NAFBlock(nn.Module):
    """Nonlinear-activation-free block (Chen et al., ECCV 2022), scaled and shifted by time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.time = nn.Sequential(SimpleGate(), nn.Linear(_GATED, 4 * width))
        self.norm1, self.norm2 = ChannelNorm(width), ChannelNorm(width)
        self.enter = nn.Conv2d(width, 2 * width, 1)
        self.spatial = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.attention = nn.Conv2d(width, width, 1)
        self.leave = nn.Conv2d(width, width, 1)
        self.mix = nn.Sequential(
            nn.Conv2d(width, 2 * width, 1), SimpleGate(), nn.Conv2d(width, width, 1)
        )
        self.gate = SimpleGate()
        # The published order of the residual scales; zero, so that a block starts as nothing.
        self.beta, self.gamma = (nn.Parameter(torch.zeros(width, 1, 1)) for _ in range(2))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        shift1, scale1, shift2, scale2 = self.time(time)[..., None, None].chunk(4, dim=1)
        h = self.gate(self.spatial(self.enter(self.norm1(x) * (1 + scale1) + shift1)))
        h = self.leave(h * self.attention(h.mean((2, 3), keepdim=True)))
        x = x + self.beta * h
        return x + self.gamma * self.mix(self.norm2(x) * (1 + scale2) + shift2)


class _Row(nn.ModuleList):
    def __init__(self, count: int, width: int) -> None:
        super().__init__(NAFBlock(width) for _ in range(count))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        for block in self:
            x = block(x, time)
        return x


class Branch(nn.Module):
    """The state and the mean of one modality to what the step asks for, all ``B x C x h x w``.

    One that ``sees_fused`` is shown the state of both beside its own; new, it makes nothing of it.
    """

    def __init__(self, sizes: BranchSizes, latent: int, *, sees_fused: bool = False) -> None:
        super().__init__()
        self.beside = nn.Conv2d(latent, sizes.width, 3, padding=1) if sees_fused else None
        if self.beside is not None:
            nn.init.zeros_(self.beside.weight)
            nn.init.zeros_(self.beside.bias)  # type: ignore[arg-type]
        width = sizes.width
        self.multiple = 2 ** len(sizes.encoder)
        self.time = TimeEmbedding()
        self.entry = nn.Conv2d(2 * latent, width, 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        for count in sizes.encoder:
            self.down.append(_Row(count, width))
            self.shrink.append(nn.Conv2d(width, 2 * width, 2, stride=2))
            width *= 2
        self.middle = _Row(sizes.middle, width)
        self.grow, self.up = nn.ModuleList(), nn.ModuleList()
        for count in sizes.decoder:
            self.grow.append(nn.Conv2d(width, 2 * width, 1, bias=False))
            width //= 2
            self.up.append(_Row(count, width))
        self.exit = nn.Conv2d(width, latent, 3, padding=1)

    def forward(
        self, state: Tensor, mean: Tensor, t: Tensor, fused: Tensor | None = None
    ) -> Tensor:
        """``t``: the step of each sample, ``B``; ``fused``: the state of both, if there is one."""
        height, width = state.shape[-2:]
        pad = (0, -width % self.multiple, 0, -height % self.multiple)
        x = self.entry(F.pad(torch.cat((state - mean, mean), dim=1), pad, mode="replicate"))
        if self.beside is not None and fused is not None:
            x = x + self.beside(F.pad(fused - state, pad, mode="replicate"))
        first, time = x, self.time(t)
        kept = []
        for row, shrink in zip(self.down, self.shrink, strict=True):
            kept.append(x := row(x, time))
            x = shrink(x)
        x = self.middle(x, time)
        for grow, row in zip(self.grow, self.up, strict=True):
            x = row(F.pixel_shuffle(grow(x), 2) + kept.pop(), time)
        left: Tensor = self.exit(x + first)[..., :height, :width]
        return left
