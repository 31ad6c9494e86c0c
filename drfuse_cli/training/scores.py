"""Fusion metrics that a gradient can follow, of clean sources and a fused image.

The definitions are those of `drfuse_cli.metrics`, on images ``B x 1 x H x W`` in 0..1 that need
not be whole grey levels; each returns the mean over the batch. Q_CB is without the stretching
to the full range, which would tie all pixels of a crop to its two extremes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from drfuse_cli.metrics.common import gaussian_taps
from drfuse_cli.metrics.perception import difference_of_gaussians
from drfuse_cli.training.losses import sobel

_WINDOW = 8


def _means(x: Tensor) -> Tensor:
    size = _WINDOW
    return F.avg_pool2d(F.avg_pool2d(x, (size, 1), stride=1), (1, size), stride=1)


def weighted_similarity(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Q_W (Piella and Heijmans 2003)."""
    c = 1e-8
    mf = _means(f)
    var_f = _means(f * f) - mf * mf
    similarity, variance = [], []
    for x in (x1, x2):
        mx = _means(x)
        var_x = (_means(x * x) - mx * mx).clamp_min(0)
        luminance = (2 * mx * mf + c) / (mx**2 + mf**2 + c)
        structure = (2 * (_means(x * f) - mx * mf) + c) / (var_x + var_f + c)
        similarity.append(luminance * structure)
        variance.append(var_x)
    one, other = variance
    score = (one * similarity[0] + other * similarity[1]) / (one + other + 1e-12)
    saliency = torch.maximum(one, other)
    return ((saliency * score).sum((1, 2, 3)) / saliency.sum((1, 2, 3)).clamp_min(1e-12)).mean()


def _edges(x: Tensor) -> tuple[Tensor, Tensor]:
    """Strength, and orientation in -pi/2..pi/2, of the Sobel gradient."""
    # The outermost pixels, where it is made up, are left out.
    sx, sy = sobel(x)[..., 1:-1, 1:-1].chunk(2, dim=1)
    tiny = 1e-5
    strength = (sx * sx + sy * sy + tiny**2).sqrt()
    return strength, torch.atan(sy / torch.where(sx.abs() < tiny, tiny, sx))


def gradient_preservation(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Q_G (Xydeas and Petrovic 2000)."""
    strength_f, orientation_f = _edges(f)
    kept = total = torch.zeros_like(strength_f)
    for x in (x1, x2):
        strength, orientation = _edges(x)
        ratio = torch.minimum(strength, strength_f) / torch.maximum(strength, strength_f)
        alignment = 1 - (orientation - orientation_f).abs() / (math.pi / 2)
        preserved = torch.sigmoid(15 * (ratio - 0.5)) * torch.sigmoid(22 * (alignment - 0.8))
        kept = kept + 0.9994 * 0.9879 * strength * preserved
        total = total + strength
    return (kept.sum((1, 2, 3)) / total.sum((1, 2, 3))).mean()


def _density(x: Tensor, sigma: float) -> Tensor:
    found = gaussian_taps(31, sigma)
    taps = torch.from_numpy(found / found[15]).to(x) / (math.sqrt(2 * math.pi) * sigma)
    x = F.conv2d(x, taps[None, None, :, None], padding=(15, 0))
    return F.conv2d(x, taps[None, None, None, :], padding=(0, 15))


def _masked_contrast(x: Tensor) -> Tensor:
    gain = torch.from_numpy(difference_of_gaussians((x.shape[-2], x.shape[-1]), None)).to(x)
    seen = torch.fft.irfft2(torch.fft.rfft2(x) * gain, s=x.shape[-2:])
    centre, surround = _density(seen, 2), _density(seen, 4)
    surround = torch.where(surround.abs() < 1e-3, 1e-3, surround)
    contrast = ((centre / surround - 1).abs() + 1e-6).clamp(max=10)
    return contrast**3 / (contrast**2 + 1e-4)


def contrast_preservation(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Q_CB (Chen and Blum 2009)."""
    a, b, c = (_masked_contrast(x) for x in (x1, x2, f))
    kept = [torch.minimum(x, c) / torch.maximum(x, c) for x in (a, b)]
    share = a**2 / (a**2 + b**2)
    return (share * kept[0] + (1 - share) * kept[1]).mean()


def _joint(f: Tensor, x: Tensor, levels: int) -> Tensor:
    """The joint histogram of both, ``levels x levels``, over the batch as one image.

    A value of ``f`` counts in both bins that it lies between, by how near it is.
    """
    place = (f.flatten().clamp(0, 1) * (levels - 1)).clamp(max=levels - 1 - 1e-4)
    low = place.detach().floor()
    upper = place - low
    bin_ = (x.flatten() * (levels - 1)).round().long() * levels + low.long()
    counts = f.new_zeros(levels * levels).index_add(0, bin_, 1 - upper)
    return (counts.index_add(0, bin_ + 1, upper) / len(place)).view(levels, levels)


def _entropy(p: Tensor) -> Tensor:
    return -(p * torch.log2(p.clamp_min(1e-12))).sum()


def _shared(joint: Tensor) -> tuple[Tensor, Tensor]:
    """Mutual information in bits, and the sum of both entropies."""
    both = _entropy(joint.sum(0)) + _entropy(joint.sum(1))
    return both - _entropy(joint), both


def shared_information(f: Tensor, x1: Tensor, x2: Tensor, levels: int = 64) -> Tensor:
    """Q_MI (Hossny et al. 2008) of histograms of ``levels`` bins."""
    found = [_shared(_joint(f, x, levels)) for x in (x1, x2)]
    return sum((2 * shared / both.clamp_min(1e-9) for shared, both in found), f.new_zeros(()))


def nonlinear_correlation(f: Tensor, x1: Tensor, x2: Tensor, levels: int = 64) -> Tensor:
    """Q_NCIE (Wang et al. 2005) of histograms of ``levels`` bins, to the base of 256."""
    af, bf, ab = (_shared(_joint(x, y, levels))[0] / 8 for x, y in ((f, x1), (f, x2), (x1, x2)))
    one = torch.ones_like(af)
    rows = [torch.stack(row) for row in ((one, ab, af), (ab, one, bf), (af, bf, one))]
    share = torch.linalg.eigvalsh(torch.stack(rows)) / 3
    return 1 - _entropy(share) / 8


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    """Linear correlation of each image, ``B``."""
    x, y = (z - z.mean((1, 2, 3), keepdim=True) for z in (x, y))
    energy = x.square().sum((1, 2, 3)) * y.square().sum((1, 2, 3))
    return (x * y).sum((1, 2, 3)) / (energy + 1e-12).sqrt()


def correlation(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """CC, the mean over both sources."""
    return ((_correlation(f, x1) + _correlation(f, x2)) / 2).mean()


def difference_correlation(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """SCD (Aslantas and Bendes 2015)."""
    return (_correlation(f - x2, x1) + _correlation(f - x1, x2)).mean()


_EYE = 2 / 255**2
"""Variance of the noise in the eye, in image units."""


def _window(x: Tensor, size: int) -> Tensor:
    taps = torch.from_numpy(gaussian_taps(size, size / 5)).to(x)
    return F.conv2d(F.conv2d(x, taps[None, None, :, None]), taps[None, None, None, :])


def _arriving(f: Tensor, x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Information of ``x`` that reaches the eye through ``f``, and that it holds, ``B`` each."""
    mf, mx = _window(f, size), _window(x, size)
    of_f, of_x = _window(f * f, size) - mf**2, (_window(x * x, size) - mx**2).clamp_min(0)
    both = _window(f * x, size) - mf * mx
    gain = both.clamp_min(0) / (of_x + 1e-10)
    noise = (of_f - gain * both).clamp_min(0)
    through = torch.log1p(gain**2 * of_x / (noise + _EYE))
    return through.sum((1, 2, 3)), torch.log1p(of_x / _EYE).sum((1, 2, 3))


def fidelity(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """VIF, the sum over both sources (Sheikh and Bovik 2006)."""
    found = []
    for x in (x1, x2):
        seen, total = (f, x), [f.new_zeros(len(f))] * 2
        for size in (17, 9, 5, 3):
            if size < 17:
                seen = _window(seen[0], size)[..., ::2, ::2], _window(seen[1], size)[..., ::2, ::2]
            total = [a + b for a, b in zip(total, _arriving(*seen, size), strict=True)]
        found.append(total[0] / total[1].clamp_min(1e-6))
    return (found[0] + found[1]).mean()
