"""What the image networks are built of: residual blocks told of a degradation, and a U-Net."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drfuse_cli.networks.convolution import Conv, modulated

MULTIPLE = 8
"""Image sizes inside the network are multiples of this: two halvings after the unshuffle."""


def up_to_multiple(pixels: int) -> int:
    """The next multiple of :data:`MULTIPLE`."""
    return pixels + -pixels % MULTIPLE


def pad_to_multiple(x: Tensor) -> Tensor:
    """Repeats the last row and column up to the next multiple of :data:`MULTIPLE`."""
    height, width = x.shape[-2:]
    bottom, right = -height % MULTIPLE, -width % MULTIPLE
    if not bottom and not right:
        return x
    return F.pad(x, (0, right, 0, bottom), mode="replicate")


_SPREAD = 4.0
"""Brings images of 0..1 to about unit spread, as the initial weights expect."""


def _draw(weight: Tensor, std: float) -> None:
    # Where there are only shapes, torch would load its compiler for this: more than a second.
    if not weight.is_meta:
        nn.init.normal_(weight, std=std)


def conv(inputs: int, outputs: int, kernel: int = 3, *, gain: float = 1.0) -> Conv:
    """A convolution that keeps the variance of its input, times ``gain`` squared."""
    made = Conv(inputs, outputs, kernel)
    _draw(made.weight, gain / math.sqrt(inputs * kernel**2))
    nn.init.zeros_(made.bias)  # type: ignore[arg-type]
    return made


def unshuffle(*images: Tensor) -> Tensor:
    """Images side by side at half the resolution, of about unit spread."""
    b, _, h, w = images[0].shape
    # F.pixel_unshuffle does the same and takes twice as long on processors.
    parts = [x.reshape(b, -1, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4) for x in images]
    return torch.cat(parts, dim=1).flatten(1, 3).mul_(_SPREAD)


def shuffle(x: Tensor) -> Tensor:
    """``F.pixel_shuffle`` by two, in a third of its time on processors."""
    b, c, h, w = x.shape
    x = x.reshape(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(b, c // 4, 2 * h, 2 * w)


def halve(inputs: int, outputs: int) -> nn.Conv2d:
    """A convolution to half the size."""
    made = nn.Conv2d(inputs, outputs, 2, stride=2)
    _draw(made.weight, 1 / math.sqrt(4 * inputs))
    nn.init.zeros_(made.bias)  # type: ignore[arg-type]
    return made


class Block(nn.Module):
    """Residual block, scaled and shifted by the degradation embedding (FiLM)."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.conv1 = conv(width, width, gain=math.sqrt(2))
        self.conv2 = conv(width, width, gain=0.4)
        self.film = nn.Linear(embedding, 2 * width)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.film(embedding).chunk(2, dim=1)
        return self.conv2(modulated(h, self.conv1, 1 + scale, shift).relu_()).add_(h)


class Stack(nn.ModuleList):
    """Blocks in a row."""

    def __init__(self, count: int, width: int, embedding: int) -> None:
        super().__init__(Block(width, embedding) for _ in range(count))

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        for block in self:
            h = block(h, embedding)
        return h


def embedder(inputs: int, width: int) -> nn.Sequential:
    """From a few numbers to an embedding that blocks are told."""
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())


class UNet(nn.Module):
    """Three levels of blocks on features at half the resolution, each half the size of the last.

    ``widths`` and ``depths`` are features and blocks of each level, from the finest down.
    """

    def _add_levels(
        self, widths: tuple[int, int, int], depths: tuple[int, int, int], embedding: int
    ) -> None:
        """After what leads to the levels: the order decides what a seed draws."""
        (w0, w1, w2), (d0, d1, d2), e = widths, depths, embedding
        self.down0, self.down1 = Stack(d0, w0, e), Stack(d1, w1, e)
        self.middle = Stack(d2, w2, e)
        self.up1, self.up0 = Stack(d1, w1, e), Stack(d0, w0, e)
        self.shrink0, self.shrink1 = halve(w0, w1), halve(w1, w2)
        self.grow1, self.grow0 = conv(w2, 4 * w1, 1), conv(w1, 4 * w0, 1)

    def walk(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Features ``B x w0 x h x w`` to others; sides are multiples of 4."""
        h0 = self.down0(h, embedding)
        h1 = self.down1(self.shrink0(h0), embedding)
        h2 = self.middle(self.shrink1(h1), embedding)
        h1 = self.up1(h1 + shuffle(self.grow1(h2)), embedding)
        return self.up0(h0 + shuffle(self.grow0(h1)), embedding)
