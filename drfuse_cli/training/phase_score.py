"""Q_P that a gradient can follow: phase congruency of the fused image and of its clean sources.

The same as `drfuse_cli.metrics.phase`, whose filters it takes, in single precision on images
``B x 1 x H x W`` in 0..1.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from drfuse_cli.metrics.common import gaussian_taps
from drfuse_cli.metrics.phase import FEATURE, ORIENTATIONS, SCALES, filter_bank

_TINY = 1e-4


class _Bank(NamedTuple):
    filters: Tensor  # ORIENTATIONS x SCALES x H x W
    noise_gain: Tensor
    finest_power: Tensor


@lru_cache(maxsize=4)
def _bank(height: int, width: int, device: torch.device) -> _Bank:
    found = filter_bank(height, width, None)
    filters = found.angular[:, None] * found.radial[None]
    parts = (filters, found.noise_gain, found.finest_power)
    return _Bank(*(torch.from_numpy(x).float().to(device) for x in parts))


def congruency(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Phase congruency with its maximum and minimum moment over orientations."""
    bank = _bank(x.shape[-2], x.shape[-1], x.device)
    spectrum = torch.fft.fft2(255 * x)
    energy = amplitude = torch.zeros_like(x)
    cx = cy = cxy = torch.zeros_like(x)
    for index in range(ORIENTATIONS):
        above, size = _respond(spectrum, bank, index)
        energy, amplitude = energy + above, amplitude + size
        square = (above / (size + 1e-9)) ** 2
        angle = index * math.pi / ORIENTATIONS
        cx = cx + 2 * math.cos(angle) ** 2 / ORIENTATIONS * square
        cy = cy + 2 * math.sin(angle) ** 2 / ORIENTATIONS * square
        cxy = cxy + math.cos(angle) * math.sin(angle) / ORIENTATIONS * square
    spread = (cxy**2 + (cx - cy) ** 2 + 1e-12).sqrt() + _TINY
    return energy / (amplitude + _TINY), (cx + cy + spread) / 2, (cx + cy - spread) / 2


def _respond(spectrum: Tensor, bank: _Bank, orientation: int) -> tuple[Tensor, Tensor]:
    """Energy above the noise and amplitude in one orientation, ``B x 1 x H x W``."""
    answers = torch.fft.ifft2(spectrum * bank.filters[orientation])
    even, odd = answers.real, answers.imag
    sizes = (even**2 + odd**2 + 1e-12).sqrt()
    amplitude = sizes.sum(1, keepdim=True)
    x, y = even.sum(1, keepdim=True), odd.sum(1, keepdim=True)
    across = (odd * x - even * y).abs().sum(1, keepdim=True)
    length = (x**2 + y**2 + 1e-12).sqrt()
    energy = (length**2 - across) / (length + _TINY)
    width = amplitude / (sizes.amax(1, keepdim=True) + _TINY) / SCALES
    finest = sizes[:, :1].flatten(1).median(1).values ** 2
    power = finest / math.log(2) / bank.finest_power[orientation]
    tau2 = power * bank.noise_gain[orientation] / 2
    noise = ((tau2 * math.pi / 2).sqrt() + 2 * ((2 - math.pi / 2) * tau2).sqrt()) / 1.7
    above = F.relu(energy - noise[:, None, None, None])
    return torch.sigmoid(10 * (width - 0.5)) * above, amplitude


def _windowed(x: Tensor) -> Tensor:
    taps = torch.from_numpy(gaussian_taps(11, 1.5)).to(x)
    x = F.conv2d(x, taps[None, None, :, None], padding=(5, 0))
    return F.conv2d(x, taps[None, None, None, :], padding=(0, 5))


def phase_preservation(f: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Q_P (Zhao et al. 2007), the mean over the batch."""
    with torch.no_grad():
        in_1, in_2 = congruency(x1), congruency(x2)
    of_1, of_2 = in_1[0], in_2[0]
    masks = [of_1 > FEATURE, of_2 > FEATURE, torch.maximum(of_1, of_2) > FEATURE]
    count = masks[2].sum((1, 2, 3)).clamp_min(1)
    product = torch.ones_like(count, dtype=f.dtype)
    for a, b, c in zip(in_1, in_2, congruency(f), strict=True):
        references = (a, b, torch.where(of_1 > of_2, a, b))
        best = _best_correlation(references, masks, c)
        product = product * best.sum((1, 2, 3)) / count
    return product.mean()


def _best_correlation(references: tuple[Tensor, ...], masks: list[Tensor], fused: Tensor) -> Tensor:
    """The largest local correlation with any masked reference; 0 where its mask is off."""
    mean_f = _windowed(fused)
    var_f = _windowed(fused * fused) - mean_f**2
    found = []
    for reference, mask in zip(references, masks, strict=True):
        x = reference * mask
        mean = _windowed(x)
        var = _windowed(x * x) - mean**2
        cov = _windowed(x * fused) - mean * mean_f
        found.append((cov + _TINY) / (((var * var_f).abs() + 1e-14).sqrt() + _TINY) * mask)
    return torch.stack(found).amax(0)
