"""Metrics of squared error and of linear correlation."""

from __future__ import annotations

import math

import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.metrics.common import Array, Grey, Undefined
from drfuse_cli.metrics.triple import Triple, once, require_contrast

_PEAK = 255.0


def psnr(x: Grey, y: Grey) -> float:
    """Peak signal-to-noise ratio in dB of two 8-bit images of one shape; infinite when equal."""
    if x.shape != y.shape:
        raise DrfuseError(f"images of different shapes: {x.shape} and {y.shape}")
    return _decibel(_mean_square(x.astype(np.float64) - y))


@once
def mse(t: Triple) -> float:
    """Squared error in grey levels, averaged over both sources."""
    return (_mean_square(t.a.real - t.f.real) + _mean_square(t.b.real - t.f.real)) / 2


def fusion_psnr(t: Triple) -> float:
    """PSNR in dB of the squared error averaged over both sources."""
    value = _decibel(mse(t))
    if math.isinf(value):
        raise Undefined("infinite: the fused image equals both sources")
    return value


def cc(t: Triple) -> float:
    """Mean of the linear correlation with either source, -1..1."""
    require_contrast(*t.pictures)
    a, b, f = (x.real for x in t.pictures)
    return (_correlation(a, f) + _correlation(b, f)) / 2


def scd(t: Triple) -> float:
    """Sum of the correlations of differences, -2..2 (Aslantas & Bendes 2015)."""
    require_contrast(t.a, t.b)
    a, b, f = (x.real for x in t.pictures)
    value = 0.0
    for kept, other in ((a, b), (b, a)):
        difference = f - other
        if difference.min() == difference.max():
            raise Undefined("the fused image differs from one source by a constant")
        value += _correlation(difference, kept)
    return value


def _correlation(x: Array, y: Array) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float(np.vdot(x, y) / math.sqrt(np.vdot(x, x) * np.vdot(y, y)))


def _mean_square(x: Array) -> float:
    return float(np.mean(x * x))


def _decibel(mean_square: float) -> float:
    return math.inf if mean_square == 0 else 10 * math.log10(_PEAK**2 / mean_square)
