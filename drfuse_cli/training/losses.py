"""What the fused image and the restored sources are held against: the clean pair."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from drfuse_cli.config import Task


def sobel(x: Tensor) -> Tensor:
    """Horizontal and vertical Sobel derivatives, ``B x 1 x H x W`` to ``B x 2 x H x W``."""
    kernel = x.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    weight = torch.stack((kernel, kernel.T))[:, None]
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), weight)


def intensity_loss(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Eq. (22): the fused image is as bright as the brighter source."""
    return (f - torch.maximum(x1, x2)).abs().mean()


def gradient_loss(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Eq. (23) with direction: the fused gradient is that of the steeper source.

    The published form compares magnitudes, which an inverted edge satisfies as well.
    """
    g1, g2 = sobel(x1), sobel(x2)
    steeper = (g1.abs().sum(1, keepdim=True) >= g2.abs().sum(1, keepdim=True)).to(f.dtype)
    return (sobel(f) - steeper * g1 - (1 - steeper) * g2).abs().mean()


def _moments(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Window means and the covariance of ``x`` and ``y`` over 8 x 8 pixels."""

    def mean(z: Tensor) -> Tensor:
        return F.avg_pool2d(z, 8, stride=2)

    mx, my = mean(x), mean(y)
    return mx, my, mean(x * y) - mx * my


def structure_loss(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """One minus the structural similarity to both sources, each where it has the contrast.

    Windows count by the larger local variance and sources by their share of it
    (Piella and Heijmans, ICIP 2003); the plain mean of both, as in eq. (24), would ask for
    the average of two images where only one has something to show.
    """
    similarity, variance = [], []
    mf, _, var_f = _moments(f, f)
    for x in (x1, x2):
        mx, _, var_x = _moments(x, x)
        cov = _moments(x, f)[2]
        c1, c2 = 1e-4, 2e-4
        similarity.append(
            (2 * mx * mf + c1) * (2 * cov + c2) / ((mx**2 + mf**2 + c1) * (var_x + var_f + c2))
        )
        variance.append(var_x.clamp_min(0) + 1e-6)
    share = variance[0] / (variance[0] + variance[1])
    weight = torch.maximum(variance[0], variance[1]).sqrt()
    score = share * similarity[0] + (1 - share) * similarity[1]
    return 1 - (weight * score).sum() / weight.sum()


@dataclass(frozen=True)
class LossWeights:
    """How much each term counts; ``both`` is the pixel term of eq. (24)."""

    restoration: float
    intensity: float
    both: float
    gradient: float
    structure: float


WEIGHTS: dict[Task, LossWeights] = {
    "ivif": LossWeights(30.0, 4.0, 0.0, 1.0, 1.0),
    "medical": LossWeights(30.0, 2.0, 1.0, 1.0, 1.0),
    "multifocus": LossWeights(30.0, 0.0, 0.0, 2.0, 1.0),
}


def fusion_loss(f: Tensor, x1: Tensor, x2: Tensor, weights: LossWeights) -> Tensor:
    """The fusion part of eq. (20) against clean sources, all ``B x 1 x H x W``."""
    total = weights.gradient * gradient_loss(f, x1, x2)
    total = total + weights.structure * structure_loss(f, x1, x2)
    if weights.intensity:
        total = total + weights.intensity * intensity_loss(f, x1, x2)
    if weights.both:
        total = total + weights.both * ((f - x1).abs().mean() + (f - x2).abs().mean())
    return total


_TYPICAL, _LEAST = 0.015, 0.002
"""Mean absolute error of a lift in the middle of the range, and one too small to matter."""


def restoration_loss(state: Tensor, clean: Tensor, lifted: Tensor) -> Tensor:
    """Eq. (21), each image's mean absolute error over that of its closed-form lift.

    Without the division a slightly blurred source hardly counts beside a very noisy one.
    ``state`` is ``B x 5 x H x W``, ``clean`` and ``lifted`` ``B x 4 x H x W``; chroma counts
    half.
    """
    restored = torch.cat((state[:, :2], state[:, 3:]), dim=1)
    error = (restored - clean).abs().mean((2, 3))
    difficulty = (lifted - clean).abs().mean((2, 3)) + _LEAST
    relative = (_TYPICAL * error / difficulty).mean(0)
    return relative[:2].sum() + 0.5 * relative[2:].sum()
