"""The published DRFusion network with random weights, to time: 31.8 M parameters.

Its sizes and order of layers follow the paper and its code: a U-Net with one encoder and two
decoders, residual blocks with group normalisation and a time embedding, skips weighted by
attention. One call is one step on a batch of pairs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (64, 128, 256, 512)
EMBEDDING = 256
STEPS = 3


def _norm(width: int) -> nn.Sequential:
    return nn.Sequential(nn.GroupNorm(32, width), nn.SiLU())


class ResBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(EMBEDDING, outputs))
        self.norm2, self.conv2 = _norm(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(self.norm1(x)) + self.time(time)[..., None, None]
        return self.conv2(self.norm2(h)) + self.shortcut(x)


class Blocks(nn.Module):
    """Two residual blocks."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = ResBlock(inputs, outputs), ResBlock(outputs, outputs)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.second(self.first(x, time), time)


class Attention(nn.Module):
    """A skip times its channel and pixel attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channels = nn.Sequential(
            nn.Conv2d(width, width // 8, 1), nn.ReLU(), nn.Conv2d(width // 8, width, 1)
        )
        self.pixels = nn.Conv2d(width, 1, 1)

    def forward(self, skip: Tensor) -> Tensor:
        mean, most = F.adaptive_avg_pool2d(skip, 1), F.adaptive_max_pool2d(skip, 1)
        channels = torch.sigmoid(self.channels(mean) + self.channels(most))
        return skip * channels * torch.sigmoid(self.pixels(skip))


class Decoder(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        w0, w1, w2, w3 = WIDTHS
        self.attend = nn.ModuleList(Attention(width) for width in (w3, w2, w1, w0))
        pairs = ((w3, w2), (w2, w1), (w1, w0), (w0, w0))
        self.blocks = nn.ModuleList(Blocks(*pair) for pair in pairs)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(width, width, 3, 2, 1, output_padding=1) for width in (w1, w0, w0)
        )
        self.head = nn.Sequential(_norm(w0), nn.Conv2d(w0, outputs, 3, padding=1))

    def forward(self, h: Tensor, skips: list[Tensor], time: Tensor) -> Tensor:
        for level, skip in enumerate(reversed(skips)):
            h = h + self.attend[level](skip)
            h = self.blocks[level](h, time)
            if level:
                h = self.grow[level - 1](h)
        return self.head(h)


class PublishedNetwork(nn.Module):
    """``(X_t, t) -> (e_t, m_t)``: ``B x 3 x H x W`` to ``B x 3 x H x W`` and ``B x 1 x H x W``.

    ``H`` and ``W`` are multiples of 8.
    """

    def __init__(self) -> None:
        super().__init__()
        w0, w1, w2, w3 = WIDTHS
        self.embed = nn.Sequential(
            nn.Linear(64, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING)
        )
        self.entry = nn.Conv2d(3, w0, 3, padding=1)
        widths = ((w0, w0), (w0, w1), (w1, w2), (w2, w3))
        self.encoder = nn.ModuleList(Blocks(*pair) for pair in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(w, w, 3, 2, 1) for w in (w0, w1, w2))
        self.middle = Blocks(w3, w3)
        self.noise, self.fusion = Decoder(3), Decoder(1)

    def forward(self, x: Tensor, t: int) -> tuple[Tensor, Tensor]:
        time = self.embed(_positions(t).to(x))
        h, skips = self.entry(x), []
        for level, blocks in enumerate(self.encoder):
            h = blocks(h, time)
            if level < len(self.shrink):
                h = self.shrink[level](h)
            skips.append(h)
        h = self.middle(h, time)
        return self.noise(h, skips, time), torch.sigmoid(self.fusion(h, skips, time))


def _positions(t: int) -> Tensor:
    """The sinusoidal embedding of a step, ``1 x 64``."""
    rates = torch.exp(-math.log(1e4) * torch.arange(32) / 32)
    return torch.cat((torch.cos(t * rates), torch.sin(t * rates)))[None]


def multiply_adds(height: int, width: int) -> int:
    """Multiply-adds of the convolutions of one step, counted as they run."""
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
        seen = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        total += module.weight.numel() * seen.shape[-2] * seen.shape[-1]

    with torch.device("meta"):
        network = PublishedNetwork()
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.register_forward_hook(count)
        network(torch.empty(1, 3, height, width), 1)
    return total
