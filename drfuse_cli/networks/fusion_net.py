"""The DRFusion network: an observation encoder run once, a small step network run T times."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from drfuse_cli.networks.convolution import Conv, side_by_side
from drfuse_cli.networks.unet import (
    Stack,
    UNet,
    conv,
    embedder,
    halve,
    pad_to_multiple,
    shuffle,
    unshuffle,
    up_to_multiple,
)

STATE = ("x1", "x2", "f", "cb", "cr")
"""Channels of the state: restored sources, fused luminance, chroma of the colour source."""

_DECODED = torch.tensor([STATE.index("f"), len(STATE)])
"""What the fusion decoder adds to: the fused image, and the weight that follows the state."""

OBSERVED = 4
"""Channels seen of the inputs: source 1, source 2, Cb, Cr."""

CONDITION = 9
"""Numbers that describe the degradations (see `samplers.observation.describe`)."""


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
    denoiser: int = 0
    """Features of the observation denoiser at half resolution; 0: there is none."""
    denoiser_blocks: tuple[int, int, int] = (2, 2, 4)
    """Its blocks at a half, a quarter and an eighth of the resolution."""
    noise_left: float = 0.25
    """Share of the stated noise that the denoiser is taken to leave of a source that has no other
    degradation."""

    @classmethod
    def of_size(cls, width: int, middle: int) -> Architecture:
        """The usual proportions at another width of the first level, ``middle`` blocks deep."""
        return cls(widths=(width, 3 * width // 2, 2 * width), depths=(1, 1, middle))

    def as_dict(self) -> dict[str, Any]:
        found = asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}


_CHANGE = 0.1
"""What one unit of the head's output changes, so that first steps are small."""


class ObservationEncoder(UNet):
    """What the degraded sources say, at half resolution, from pixel-unshuffled inputs."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.embed = embedder(CONDITION, arch.embedding)
        self.head = conv(8 * OBSERVED, arch.widths[0])
        self._add_levels(arch.widths, arch.depths, arch.embedding)

    def forward(self, lifted: Tensor, observed: Tensor, condition: Tensor) -> Tensor:
        return self.walk(self.head(unshuffle(lifted, observed)), self.embed(condition))


class FusionDecoder(nn.Module):
    """The published network's second decoder: what to make of both restored sources.

    It sees the last step's estimate and features and adds to the fused image and the weight that
    the step found, so that these can be learned without moving the restored sources.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        (w0, w1, _), e = arch.widths, arch.embedding
        self.entry = conv(4 * len(STATE), w0)
        self.shrink, self.far = halve(w0, w1), Stack(arch.decoder, w1, e)
        self.grow, self.near = conv(w1, 4 * w0, 1, gain=0.4), Stack(1, w0, e)
        self.head = Conv(w0, 8)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, estimate: Tensor, h: Tensor, embedding: Tensor) -> Tensor:
        """Changes to the fused image and to the weight's logit, ``B x 2 x H x W``."""
        h = h + self.entry(unshuffle(estimate))
        h = h + shuffle(self.grow(self.far(self.shrink(h), embedding)))
        return shuffle(self.head(self.near(h, embedding)))


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
        self.embed = embedder(CONDITION + 2, e)
        self.entry = conv(8 * state, w)
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
        return up_to_multiple(pixels)

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
        h = self.body(self.entry(unshuffle(state, estimate)).add_(features), embedding)
        made = shuffle(side_by_side(h, self.noise_head, self.weight_head))
        if self.decoder is not None and _is_last(time):
            found = self.decoder(estimate + _CHANGE * made[:, :-1], h, embedding)
            made = made.index_add(1, _DECODED.to(made.device), found)
        made = made[..., :height, :width]
        return _CHANGE * made[:, :-1], torch.sigmoid(made[:, -1:])


def _is_last(time: Tensor) -> bool:
    """Whether t = 1: the whole batch is at one step."""
    return bool(time[0, 0] == time[0, 1])
