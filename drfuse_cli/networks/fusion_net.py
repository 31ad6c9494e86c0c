"""The DRFusion network: an observation encoder run once, a small step network run T times."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drfuse_cli.networks.convolution import Conv, modulated, side_by_side

STATE = ("x1", "x2", "f", "cb", "cr")
"""Channels of the state: restored sources, fused luminance, chroma of the colour source."""

_DECODED = torch.tensor([STATE.index("f"), len(STATE)])
"""What the fusion decoder adds to: the fused image, and the weight that follows the state."""

OBSERVED = 4
"""Channels seen of the inputs: source 1, source 2, Cb, Cr."""

CONDITION = 9
"""Numbers that describe the degradations (see `samplers.observation.describe`)."""


MULTIPLE = 8
"""Image sizes inside the network are multiples of this: two halvings after the unshuffle."""


def pad_to_multiple(x: Tensor) -> Tensor:
    """Repeats the last row and column up to the next multiple of :data:`MULTIPLE`."""
    height, width = x.shape[-2:]
    bottom, right = -height % MULTIPLE, -width % MULTIPLE
    if not bottom and not right:
        return x
    return F.pad(x, (0, right, 0, bottom), mode="replicate")


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network, as stored in a weight file."""

    kind: str = "drfusion"
    widths: tuple[int, int, int] = (64, 96, 128)
    """Features at a half, a quarter and an eighth of the resolution."""
    depths: tuple[int, int, int] = (1, 1, 3)
    step_blocks: int = 1
    embedding: int = 64
    steps: int = 3
    decoder: int = 0
    """Blocks of the fusion decoder at a quarter of the resolution; 0: there is none."""

    @classmethod
    def of_size(cls, width: int, middle: int) -> Architecture:
        """The usual proportions at another width of the first level, ``middle`` blocks deep."""
        return cls(widths=(width, 3 * width // 2, 2 * width), depths=(1, 1, middle))

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "widths": list(self.widths), "depths": list(self.depths)}


_SPREAD = 4.0
"""Brings images of 0..1 to about unit spread, as the initial weights expect."""

_CHANGE = 0.1
"""What one unit of the head's output changes, so that first steps are small."""


def _draw(weight: Tensor, std: float) -> None:
    # Where there are only shapes, torch would load its compiler for this: more than a second.
    if not weight.is_meta:
        nn.init.normal_(weight, std=std)


def _conv(inputs: int, outputs: int, kernel: int = 3, *, gain: float = 1.0) -> Conv:
    """A convolution that keeps the variance of its input, times ``gain`` squared."""
    conv = Conv(inputs, outputs, kernel)
    _draw(conv.weight, gain / math.sqrt(inputs * kernel**2))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _unshuffle(*images: Tensor) -> Tensor:
    """Images side by side at half the resolution, of about unit spread."""
    b, _, h, w = images[0].shape
    # F.pixel_unshuffle does the same and takes twice as long on processors.
    parts = [x.reshape(b, -1, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4) for x in images]
    return torch.cat(parts, dim=1).flatten(1, 3).mul_(_SPREAD)


def _shuffle(x: Tensor) -> Tensor:
    """``F.pixel_shuffle`` by two, in a third of its time on processors."""
    b, c, h, w = x.shape
    x = x.reshape(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(b, c // 4, 2 * h, 2 * w)


def _halve(inputs: int, outputs: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, 2, stride=2)
    _draw(conv.weight, 1 / math.sqrt(4 * inputs))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


class Block(nn.Module):
    """Residual block, scaled and shifted by the degradation embedding (FiLM)."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.conv1 = _conv(width, width, gain=math.sqrt(2))
        self.conv2 = _conv(width, width, gain=0.4)
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


def _embedder(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())


class ObservationEncoder(nn.Module):
    """A U-Net on pixel-unshuffled inputs: what the degraded sources say, at half resolution."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        (w0, w1, w2), e = arch.widths, arch.embedding
        d0, d1, d2 = arch.depths
        self.embed = _embedder(CONDITION, e)
        self.head = _conv(8 * OBSERVED, w0)
        self.down0, self.down1 = Stack(d0, w0, e), Stack(d1, w1, e)
        self.middle = Stack(d2, w2, e)
        self.up1, self.up0 = Stack(d1, w1, e), Stack(d0, w0, e)
        self.shrink0, self.shrink1 = _halve(w0, w1), _halve(w1, w2)
        self.grow1, self.grow0 = _conv(w2, 4 * w1, 1), _conv(w1, 4 * w0, 1)

    def forward(self, lifted: Tensor, observed: Tensor, condition: Tensor) -> Tensor:
        embedding = self.embed(condition)
        h0 = self.head(_unshuffle(lifted, observed))
        h0 = self.down0(h0, embedding)
        h1 = self.down1(self.shrink0(h0), embedding)
        h2 = self.middle(self.shrink1(h1), embedding)
        h1 = self.up1(h1 + _shuffle(self.grow1(h2)), embedding)
        return self.up0(h0 + _shuffle(self.grow0(h1)), embedding)


class FusionDecoder(nn.Module):
    """The published network's second decoder: what to make of both restored sources.

    It sees the last step's estimate and features and adds to the fused image and the weight that
    the step found, so that these can be learned without moving the restored sources.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        (w0, w1, _), e = arch.widths, arch.embedding
        self.entry = _conv(4 * len(STATE), w0)
        self.shrink, self.far = _halve(w0, w1), Stack(arch.decoder, w1, e)
        self.grow, self.near = _conv(w1, 4 * w0, 1, gain=0.4), Stack(1, w0, e)
        self.head = Conv(w0, 8)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, estimate: Tensor, h: Tensor, embedding: Tensor) -> Tensor:
        """Changes to the fused image and to the weight's logit, ``B x 2 x H x W``."""
        h = h + self.entry(_unshuffle(estimate))
        h = h + _shuffle(self.grow(self.far(self.shrink(h), embedding)))
        return _shuffle(self.head(self.near(h, embedding)))


class FusionNet(nn.Module):
    """``(X_t, t) -> (e_t, m_t)`` of Algorithm 1, conditioned on the inputs and their operators.

    No normalisation and no whole-image statistics, so tiles agree with the whole; no
    dropout. ``encode`` runs once per pair, ``forward`` once per step with the same weights.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        w, e, state = arch.widths[0], arch.embedding, len(STATE)
        self.encoder = ObservationEncoder(arch)
        self.embed = _embedder(CONDITION + 2, e)
        self.entry = _conv(8 * state, w)
        self.body = Stack(arch.step_blocks, w, e)
        self.noise_head, self.weight_head = Conv(w, 4 * state), Conv(w, 4)
        for head in (self.noise_head, self.weight_head):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]
        self.decoder = FusionDecoder(arch) if arch.decoder else None

    @property
    def reach(self) -> int:
        """Pixels around one beyond which a step does not look, a multiple of 8."""
        a = self.arch
        pixels = 8 + 4 * a.step_blocks + (12 + 8 * a.decoder if a.decoder else 0)
        return MULTIPLE * math.ceil(pixels / MULTIPLE)

    def encode(self, lifted: Tensor, observed: Tensor, condition: Tensor) -> Tensor:
        """Features ``B x width x H/2 x W/2`` of the lifted and raw inputs, ``B x 4 x H x W`` each.

        Any size: the borders are repeated up to a multiple of 8, and the features keep it.
        """
        return self.encoder(pad_to_multiple(lifted), pad_to_multiple(observed), condition)

    def forward(
        self, state: Tensor, estimate: Tensor, features: Tensor, condition: Tensor, time: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One step: the change to the last estimate and the fusion weight.

        ``state``: X_t scaled to image range, ``estimate``: the last corrected estimate, both
        ``B x 5 x H x W``; ``time``: ``B x 2``, the position t/T and 1/T. Returns ``B x 5 x
        H x W`` and the weight ``m`` in (0, 1), ``B x 1 x H x W``.
        """
        embedding = self.embed(torch.cat((condition, time), dim=1))
        height, width = state.shape[-2:]
        state, estimate = pad_to_multiple(state), pad_to_multiple(estimate)
        h = self.body(self.entry(_unshuffle(state, estimate)).add_(features), embedding)
        made = _shuffle(side_by_side(h, self.noise_head, self.weight_head))
        if self.decoder is not None and _is_last(time):
            found = self.decoder(estimate + _CHANGE * made[:, :-1], h, embedding)
            made = made.index_add(1, _DECODED.to(made.device), found)
        made = made[..., :height, :width]
        return _CHANGE * made[:, :-1], torch.sigmoid(made[:, -1:])


def _is_last(time: Tensor) -> bool:
    """Whether t = 1: the whole batch is at one step."""
    return bool(time[0, 0] == time[0, 1])
