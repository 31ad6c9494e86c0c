"""The auto-encoder that both modalities share (specs: ReCoFuse, section on latents).

What an image shows of shape and edge goes into its features, what makes it infrared or
visible, clean or degraded, into its latent; training swaps the two between images.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drfuse_cli.networks.convolution import Conv
from drfuse_cli.networks.recofuse.architecture import AutoencoderSizes

Features = list[Tensor]
"""What the encoder saw on the way, shallow to deep."""

_HEADS, _HEAD_WIDTH = 4, 32


def _conv(inputs: int, outputs: int, kernel: int = 3) -> Conv:
    return Conv(inputs, outputs, kernel, bias=False)


class ResBlock(nn.Module):
    """Two convolutions and a shortcut; no normalisation, no bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(inputs, outputs), _conv(outputs, outputs)
        self.shortcut = _conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        changed = F.silu(self.conv2(F.silu(self.conv1(x))))
        return changed + self.shortcut(x)


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel, with a scale and no shift."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        return (x - mean) * torch.rsqrt(variance + 1e-6) * self.scale[:, None, None]


class LinearAttention(nn.Module):
    """Attention whose cost grows with the pixels, not their square (Shen et al., WACV 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = _HEADS * _HEAD_WIDTH
        self.before, self.after = ChannelNorm(width), ChannelNorm(width)
        self.qkv = nn.Conv2d(width, 3 * inner, 1, bias=False)
        self.out = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        heads = self.qkv(self.before(x)).reshape(batch, 3, _HEADS, _HEAD_WIDTH, height * width)
        q, k, v = heads.unbind(1)
        q, k = q.softmax(dim=-2) / math.sqrt(_HEAD_WIDTH), k.softmax(dim=-1)
        context = torch.einsum("bhdn,bhen->bhde", k, v)
        seen = torch.einsum("bhde,bhdn->bhen", context, q)
        return x + self.after(self.out(seen.reshape(batch, -1, height, width)))


class _Down(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, deepest: bool) -> None:
        super().__init__()
        self.block1, self.block2 = ResBlock(inputs, inputs), ResBlock(inputs, inputs)
        self.attention = LinearAttention(inputs) if deepest else nn.Identity()
        self.leave: nn.Module = (
            _conv(inputs, outputs)
            if deepest
            else nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        )

    def forward(self, x: Tensor, h: Features) -> Tensor:
        h.append(x := self.block1(x))
        h.append(x := self.attention(self.block2(x)))
        left: Tensor = self.leave(x)
        return left


class _Up(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, deepest: bool, last: bool) -> None:
        super().__init__()
        self.block1, self.block2 = (ResBlock(inputs + outputs, inputs) for _ in range(2))
        self.attention = LinearAttention(inputs) if deepest else nn.Identity()
        self.leave, self.last = _conv(inputs, outputs), last

    def forward(self, x: Tensor, h: Features) -> Tensor:
        x = self.block1(torch.cat((x, h.pop()), dim=1))
        x = self.attention(self.block2(torch.cat((x, h.pop()), dim=1)))
        left: Tensor = self.leave(x if self.last else F.interpolate(x, scale_factor=2.0))
        return left


class Autoencoder(nn.Module):
    """RGB ``B x 3 x H x W`` in 0..1 to a latent ``B x 8 x H/8 x W/8`` and features, and back.

    A grey image is given with three equal channels. Sides are multiples of ``stride``.
    """

    def __init__(self, sizes: AutoencoderSizes) -> None:
        super().__init__()
        self.sizes = sizes
        widths, pixels = sizes.widths, 3 * sizes.unshuffle**2
        levels = list(pairwise(widths))
        deepest = len(levels) - 1
        self.entry = _conv(pixels, widths[0])
        self.encoder = nn.ModuleList(
            _Down(a, b, deepest=i == deepest) for i, (a, b) in enumerate(levels)
        )
        self.to_latent = _conv(widths[-1], sizes.latent, 1)
        self.from_latent = _conv(sizes.latent, widths[-1], 1)
        self.decoder = nn.ModuleList(
            _Up(b, a, deepest=i == deepest, last=i == 0)
            for i, (a, b) in reversed(list(enumerate(levels)))
        )
        self.exit = _conv(widths[0], pixels)

    def encode(self, image: Tensor) -> tuple[Tensor, Features]:
        """The latent, and the features that :meth:`decode` needs beside one."""
        x = self.entry(F.pixel_unshuffle(image, self.sizes.unshuffle))
        h = [x]
        for level in self.encoder:
            x = level(x, h)
        return self.to_latent(x), h

    def decode(self, latent: Tensor, features: Features) -> Tensor:
        """An image, ``B x 3 x H x W``, not clipped."""
        h = list(features)
        x = self.from_latent(latent)
        for level in self.decoder:
            x = level(x, h)
        return F.pixel_shuffle(self.exit(x + h[0]), self.sizes.unshuffle)
