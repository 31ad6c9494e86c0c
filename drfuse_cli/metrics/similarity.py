"""Metrics of structural similarity and squared error."""

from __future__ import annotations

import math

import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.metrics.common import Array, Grey, Undefined, correlate_valid, gaussian_taps

_PEAK = 255.0


def psnr(x: Grey, y: Grey) -> float:
    """Peak signal-to-noise ratio in dB of two 8-bit images of one shape; infinite when equal."""
    if x.shape != y.shape:
        raise DrfuseError(f"images of different shapes: {x.shape} and {y.shape}")
    return _decibel(_mean_square(x, y))


def fusion_psnr(a: Grey, b: Grey, f: Grey) -> float:
    """PSNR in dB of the squared error averaged over both sources."""
    value = _decibel((_mean_square(a, f) + _mean_square(b, f)) / 2)
    if math.isinf(value):
        raise Undefined("infinite: the fused image equals both sources")
    return value


def ssim(a: Grey, b: Grey, f: Grey) -> float:
    """Mean of the structural similarity to either source, -1..1 (Wang et al. 2004)."""
    window = gaussian_taps(11, 1.5)
    stabilisers = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2
    fused = _Local(f, window)
    maps = [_similarity(_Local(x, window), fused, *stabilisers) for x in (a, b)]
    return float((maps[0].mean() + maps[1].mean()) / 2)


def q_w(a: Grey, b: Grey, f: Grey) -> float:
    """Similarity weighted by local saliency, -1..1 (Piella & Heijmans 2003)."""
    window = np.full(8, 1 / 8)
    stabiliser = (1e-6 * _PEAK) ** 2
    local_a, local_b, fused = (_Local(x, window) for x in (a, b, f))
    # Where neither source varies the reference takes both variances as one half.
    flat = 0.5 * (local_a.variance + local_b.variance == 0)
    variance_a, variance_b = local_a.variance + flat, local_b.variance + flat
    saliency, share = np.maximum(variance_a, variance_b), variance_a / (variance_a + variance_b)
    similarity_a = _similarity(local_a, fused, stabiliser, stabiliser)
    similarity_b = _similarity(local_b, fused, stabiliser, stabiliser)
    value = saliency * (share * similarity_a + (1 - share) * similarity_b)
    return float(value.sum() / saliency.sum())


class _Local:
    """An image with its mean and variance in a sliding window."""

    def __init__(self, image: Grey, window: Array) -> None:
        self.pixels = image.astype(np.float64)
        self.window = window
        self.mean = correlate_valid(self.pixels, window)
        self.variance = correlate_valid(self.pixels**2, window) - self.mean**2

    def covariance(self, other: _Local) -> Array:
        product = correlate_valid(self.pixels * other.pixels, self.window)
        return product - self.mean * other.mean


def _similarity(x: _Local, y: _Local, c1: float, c2: float) -> Array:
    luminance = (2 * x.mean * y.mean + c1) / (x.mean**2 + y.mean**2 + c1)
    structure = (2 * x.covariance(y) + c2) / (x.variance + y.variance + c2)
    return luminance * structure


def _mean_square(x: Grey, y: Grey) -> float:
    return float(np.mean((x.astype(np.float64) - y.astype(np.float64)) ** 2))


def _decibel(mean_square: float) -> float:
    return math.inf if mean_square == 0 else 10 * math.log10(_PEAK**2 / mean_square)
