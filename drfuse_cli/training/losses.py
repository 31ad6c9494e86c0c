"""What the fused image and the restored sources are held against: the clean pair."""

from __future__ import annotations

import math
from collections.abc import Callable
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


def _spread_out(x: Tensor, size: int) -> Tensor:
    """Mean over a window of twice ``size`` pixels, heavier in the middle; borders mirrored."""
    for _ in range(2):
        x = F.pad(x, (size // 2,) * 4, mode="reflect")
        x = F.avg_pool2d(F.avg_pool2d(x, (size, 1), stride=1), (1, size), stride=1)
    return x


def _carries(x1: Tensor, x2: Tensor) -> Tensor:
    """Where source 1 has the contrast of the neighbourhood, brighter parts preferred: 0..1."""

    def log_variance(x: Tensor) -> Tensor:
        mean = _spread_out(x, 15)
        return torch.log((_spread_out(x * x, 15) - mean * mean).clamp_min(0) + 6e-5)

    lead = log_variance(x1) - log_variance(x2) + 6 * _spread_out(x1 - x2, 15)
    return _spread_out((lead > 0).to(x1.dtype), 15)


def _stands_out(x1: Tensor, x2: Tensor, least: float, surely: float) -> Tensor:
    """Brighter than the other source and, by ``least`` to ``surely``, than what is around: 0..1."""
    excess = (x1 - _spread_out(x1, 31) - least) / (surely - least)
    return excess.clamp(0, 1) * ((x1 - x2) / 0.12).clamp(0, 1)


def _fine(x: Tensor) -> Tensor:
    return x - _spread_out(x, 15)


def _livelier(x1: Tensor, x2: Tensor, lead: Tensor | float = 0.0) -> Tensor:
    """Where source 1 has more contrast in its fine parts, 0..1.

    ``lead`` is what it gets ahead, in logarithms of the variance.
    """
    variance1, variance2 = (_spread_out(_fine(x) ** 2, 9) + 1e-6 for x in (x1, x2))
    return torch.sigmoid(6 * (torch.log(variance1 / variance2) + lead))


def _between(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Nowhere outside of both sources: a weight of eq. (19) must be able to give it."""
    return f.clamp(torch.minimum(x1, x2), torch.maximum(x1, x2))


@torch.no_grad()
def ideal_fusion(x1: Tensor, x2: Tensor) -> Tensor:
    """What fusion of clean infrared (source 1) and visible should give, ``B x 1 x H x W``.

    Of the smooth parts source 2, and on top of it what source 1 is brighter by, wherever that
    carries the contrast of the neighbourhood; of the fine parts those with more contrast, but
    not those of a source 1 that is darker: a black thermal sky must not shade a bright one. What
    is hot beyond doubt stays as bright as it is.
    The pixelwise maximum of eq. (22) washes texture out under a bright but flat source, and
    a choice of either source leaves dark rims around hot targets; this does neither. Sides
    are over 16 pixels.
    """
    share = torch.maximum(_carries(x1, x2), _stands_out(x1, x2, 0.04, 0.16))
    added = share * (x1 - x2).clamp_min(0)
    darker = _spread_out(x1 - x2, 15).clamp(max=0)
    fine = _livelier(x1, x2, 40 * darker) * _fine(x1 - x2)
    fused = _between(x2 + added + (fine - _fine(added)), x1, x2)
    return fused + _stands_out(x1, x2, 0.15, 0.35) * (x1 - fused).clamp_min(0)


@torch.no_grad()
def livelier(x1: Tensor, x2: Tensor) -> Tensor:
    """What fusion of anatomy (source 1) and activity should give, ``B x 1 x H x W``.

    Of the smooth parts the brighter; of the fine parts those with more contrast, the anatomy's
    where it has at least half of the activity's, so that folds stay seen under bright activity.
    """
    added = _spread_out(x1 - x2, 15).clamp_min(0)
    fine = _livelier(x1, x2, math.log(2)) * _fine(x1 - x2)
    return _between(x2 + added + fine, x1, x2)


@torch.no_grad()
def sharper(x1: Tensor, x2: Tensor) -> Tensor:
    """What fusion of a near and a far focus should give: the sharper source, ``B x 1 x H x W``.

    Sharp is what has the larger sum-modified Laplacian (Nayar and Nakagawa 1994) around it.
    """
    share = _spread_out((_detail(x1) > _detail(x2)).to(x1.dtype), 5)
    return share * x1 + (1 - share) * x2


def _detail(x: Tensor) -> Tensor:
    step = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across = 2 * x - step[..., 1:-1, :-2] - step[..., 1:-1, 2:]
    down = 2 * x - step[..., :-2, 1:-1] - step[..., 2:, 1:-1]
    return _spread_out(across.abs() + down.abs(), 11)


def intensity_loss(f: Tensor, ideal: Tensor) -> Tensor:
    """Eq. (22) against the ideal fusion instead of the maximum."""
    return (f - ideal).abs().mean()


def gradient_loss(f: Tensor, ideal: Tensor) -> Tensor:
    """Eq. (23) with direction; an inverted edge satisfies the published magnitudes as well."""
    return (sobel(f) - sobel(ideal)).abs().mean()


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
    """What the fused image is held against, and how much each term counts."""

    ideal: Callable[[Tensor, Tensor], Tensor]
    restoration: float = 30.0
    intensity: float = 8.0
    gradient: float = 1.0
    structure: float = 0.5


WEIGHTS: dict[Task, LossWeights] = {
    "ivif": LossWeights(ideal_fusion),
    "medical": LossWeights(livelier),
    "multifocus": LossWeights(sharper),
}


def aim_of(x1: Tensor, x2: Tensor, task: Task, known: Tensor) -> Tensor:
    """The picture that fusion of clean sources should give, all ``B x 1 x H x W``.

    It is ``known`` where both were made from it, and the ideal of the task where that is not a
    number.
    """
    return torch.where(known.isnan(), WEIGHTS[task].ideal(x1, x2), known)


def fusion_loss(f: Tensor, x1: Tensor, x2: Tensor, ideal: Tensor, weights: LossWeights) -> Tensor:
    """The fusion part of eq. (20) against clean sources and ``ideal``, all ``B x 1 x H x W``."""
    total = weights.intensity * intensity_loss(f, ideal)
    total = total + weights.gradient * gradient_loss(f, ideal)
    return total + weights.structure * structure_loss(f, x1, x2)


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
