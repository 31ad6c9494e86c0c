"""The DRFusion network: an observation encoder run once, a small step network run T times."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STATE = ("x1", "x2", "f", "cb", "cr")
"""Channels of the state: restored sources, fused luminance, chroma of the colour source."""

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
    width: int = 32
    depths: tuple[int, int, int] = (2, 2, 4)
    step_blocks: int = 2
    embedding: int = 64
    steps: int = 3

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "depths": list(self.depths)}


class Block(nn.Module):
    """Residual block, scaled and shifted by the degradation embedding (FiLM)."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * width)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        with torch.no_grad():
            self.conv2.weight.mul_(0.1)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.film(embedding)[..., None, None].chunk(2, dim=1)
        return h + self.conv2(F.relu(torch.addcmul(shift, self.conv1(h), 1 + scale)))


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
        w, e = arch.width, arch.embedding
        d0, d1, d2 = arch.depths
        self.embed = _embedder(CONDITION, e)
        self.head = nn.Conv2d(8 * OBSERVED, w, 3, padding=1)
        self.down0, self.down1 = Stack(d0, w, e), Stack(d1, 2 * w, e)
        self.middle = Stack(d2, 4 * w, e)
        self.up1, self.up0 = Stack(d1, 2 * w, e), Stack(d0, w, e)
        self.shrink0 = nn.Conv2d(w, 2 * w, 2, stride=2)
        self.shrink1 = nn.Conv2d(2 * w, 4 * w, 2, stride=2)
        self.grow1 = nn.Conv2d(4 * w, 8 * w, 1)
        self.grow0 = nn.Conv2d(2 * w, 4 * w, 1)

    def forward(self, lifted: Tensor, observed: Tensor, condition: Tensor) -> Tensor:
        embedding = self.embed(condition)
        h0 = self.head(F.pixel_unshuffle(torch.cat((lifted, observed), dim=1), 2))
        h0 = self.down0(h0, embedding)
        h1 = self.down1(self.shrink0(h0), embedding)
        h2 = self.middle(self.shrink1(h1), embedding)
        h1 = self.up1(h1 + F.pixel_shuffle(self.grow1(h2), 2), embedding)
        return self.up0(h0 + F.pixel_shuffle(self.grow0(h1), 2), embedding)


class FusionNet(nn.Module):
    """``(X_t, t) -> (e_t, m_t)`` of Algorithm 1, conditioned on the inputs and their operators.

    No normalisation and no whole-image statistics, so tiles agree with the whole; no
    dropout. ``encode`` runs once per pair, ``forward`` once per step with the same weights.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        w, e, state = arch.width, arch.embedding, len(STATE)
        self.encoder = ObservationEncoder(arch)
        self.embed = _embedder(CONDITION + 2, e)
        self.entry = nn.Conv2d(8 * state, w, 3, padding=1)
        self.body = Stack(arch.step_blocks, w, e)
        self.noise_head = nn.Conv2d(w, 4 * state, 3, padding=1)
        self.weight_head = nn.Conv2d(w, 4, 3, padding=1)
        for head in (self.noise_head, self.weight_head):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

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
        seen = F.pixel_unshuffle(pad_to_multiple(torch.cat((state, estimate), dim=1)), 2)
        h = self.body(self.entry(seen) + features, embedding)
        change = F.pixel_shuffle(self.noise_head(h), 2)[..., :height, :width]
        weight = F.pixel_shuffle(self.weight_head(h), 2)[..., :height, :width]
        return change, torch.sigmoid(weight)
