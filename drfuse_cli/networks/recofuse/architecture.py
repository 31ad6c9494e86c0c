"""Sizes of the three networks, as stored in a weight file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class AutoencoderSizes:
    """``base`` channels times ``multipliers``, one level an entry, each half the one above.

    ``unshuffle`` 2 starts at half the resolution, four pixels as channels, so that no
    convolution runs at full size; 1 is the published network.
    """

    base: int = 16
    multipliers: tuple[int, ...] = (2, 4, 4)
    latent: int = 8
    unshuffle: int = 2

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(self.base * m for m in (1, *self.multipliers))

    @property
    def stride(self) -> int:
        """Pixels of the image along an edge of one latent pixel."""
        return int(self.unshuffle * 2 ** (len(self.multipliers) - 1))


@dataclass(frozen=True)
class BranchSizes:
    """A conditional NAFNet: blocks at each level on the way down, below, and on the way up."""

    width: int = 48
    encoder: tuple[int, ...] = (1, 1)
    middle: int = 3
    decoder: tuple[int, ...] = (1, 1)


@dataclass(frozen=True)
class FusionSizes:
    """The time-aware fusion module.

    ``attention``: ``dense`` is the published one, whose memory grows with the square of the
    pixels; ``pooled`` looks at the other modality through an average of ``pooled`` x ``pooled``
    cells. ``timed`` off leaves the time embedding out (the paper's ablation III).
    """

    width: int = 64
    attention: Literal["dense", "pooled"] = "pooled"
    pooled: int = 16
    timed: bool = True


@dataclass(frozen=True)
class RecoFuseArchitecture:
    """Everything that decides the shapes and the meaning of the weights.

    ``predicts``: what a branch returns, the ``noise`` of the published method or the ``clean``
    latent, with which steps of any length are stable. ``steps``: what the weights were meant to
    be sampled with. ``coupled`` off leaves the fusion module out of the loop: each branch goes
    on from its own state (the paper's ablations I and II). ``feedback``: a branch takes a step
    from the ``whole`` fused state, as published, or from its own and sees the fused one
    ``beside`` it. ``refiner``: features of the network that refines the decoded images; 0: there
    is none, as published.
    """

    kind: str = "recofuse"
    autoencoder: AutoencoderSizes = field(default_factory=AutoencoderSizes)
    branch: BranchSizes = field(default_factory=BranchSizes)
    fusion: FusionSizes = field(default_factory=FusionSizes)
    predicts: Literal["clean", "noise"] = "clean"
    steps: int = 6
    coupled: bool = True
    feedback: Literal["whole", "beside"] = "whole"
    refiner: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and names."""
        plain: dict[str, Any] = _listed(asdict(self))
        return plain


PUBLISHED = RecoFuseArchitecture(
    autoencoder=AutoencoderSizes(8, (4, 8, 8, 16), 8, 1),
    branch=BranchSizes(64, (1, 1, 1, 28), 1, (1, 1, 1, 1)),
    fusion=FusionSizes(64, "dense"),
    predicts="noise",
    steps=100,
)
"""The sizes of the paper: 2.008 M, 2 x 76.6 M and 0.231 M parameters."""


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _listed(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value
