"""The time-aware interaction module (TIM): two latent states become one."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drfuse_cli.networks.recofuse.architecture import FusionSizes
from drfuse_cli.networks.recofuse.embedding import TimeEmbedding

_GROUPS = 32


class CrossAttention(nn.Module):
    """What one modality finds in the other, added to it; ``B x C x h x w`` both.

    ``cells`` 0 looks at every pixel of the other; otherwise at its average over a grid of so
    many cells a side, so that memory grows with the pixels and not their square.
    """

    def __init__(self, channels: int, cells: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(channels, channels, 1) for _ in range(3))
        self.cells = cells

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        height, width = other.shape[-2:]
        if self.cells:
            other = F.adaptive_avg_pool2d(other, (min(self.cells, height), min(self.cells, width)))
        q, k, v = (x.flatten(2) for x in (self.query(own), self.key(other), self.value(other)))
        share = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(q.shape[1]), dim=-1)
        return own + (v @ share.transpose(1, 2)).unflatten(2, (height, width))


class CBAM(nn.Module):
    """Convolutional block attention (Woo et al., ECCV 2018): channels, then places."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channels = nn.Sequential(
            nn.Conv2d(width, width // 16, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(width // 16, width, 1, bias=False),
        )
        self.places = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mean, most = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        x = x * torch.sigmoid(self.channels(mean) + self.channels(most))
        seen = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), dim=1)
        return x * torch.sigmoid(self.places(seen))


class _Stage(nn.Sequential):
    """Normalise, activate, convolve."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.GroupNorm(_GROUPS, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )


class _Weight(nn.Module):
    """The importance of one modality in (0, 1), told the time."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.enter, self.attend = _Stage(width, width), CBAM(width)
        self.leave = _Stage(width, channels)

    def forward(self, u: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return torch.sigmoid(self.leave(self.attend(self.enter(u) * (1 + scale) + shift)))


class TimeAwareFusion(nn.Module):
    """Fuses the states of both branches at a step of the diffusion.

    ``z = w1 * infrared + w2 * visible`` with a weight for every channel and pixel; as
    published, the two weights do not sum to one.
    """

    def __init__(self, sizes: FusionSizes, channels: int) -> None:
        super().__init__()
        width, cells = sizes.width, sizes.pooled if sizes.attention == "pooled" else 0
        self.sizes = sizes
        self.time = TimeEmbedding(4 * width) if sizes.timed else None
        self.to_infrared, self.to_visible = (CrossAttention(channels, cells) for _ in range(2))
        self.entry = nn.Conv2d(2 * channels, width, 3, padding=1)
        self.mix, self.attend = _Stage(width, width), CBAM(width)
        self.infrared, self.visible = (_Weight(width, channels) for _ in range(2))

    def weights(self, visible: Tensor, infrared: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The weights of infrared and visible, ``B x C x h x w`` in (0, 1); ``t``: ``B``."""
        seen = self.to_infrared(visible, infrared), self.to_visible(infrared, visible)
        u = self.attend(self.mix(self.entry(torch.cat(seen, dim=1))))
        shift1, scale1, shift2, scale2 = self._modulation(u, t)
        return self.infrared(u, shift1, scale1), self.visible(u, shift2, scale2)

    def forward(self, visible: Tensor, infrared: Tensor, t: Tensor) -> Tensor:
        """The fused state, ``B x C x h x w``."""
        w_infrared, w_visible = self.weights(visible, infrared, t)
        return w_infrared * infrared + w_visible * visible

    def _modulation(self, u: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self.time is None:
            nothing = u.new_zeros(())
            return nothing, nothing, nothing, nothing
        first, second, third, fourth = self.time(t)[..., None, None].chunk(4, dim=1)
        return first, second, third, fourth
