"""Metrics of structural similarity in a sliding window."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from drfuse_cli.metrics.common import (
    Array,
    Undefined,
    correlate_same,
    correlate_valid,
    gaussian_taps,
    magnitude,
    single_precision_taps,
)
from drfuse_cli.metrics.triple import Triple, once

_PEAK = 255.0
_WANG = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2
_PIELLA = (1e-6 * _PEAK) ** 2, (1e-6 * _PEAK) ** 2
_NEARLY_NONE = 2e-16, 2e-16  # the universal quality index, kept from 0 / 0

_WANG_WINDOW = gaussian_taps(11, 1.5)
_TORCH_WINDOW = single_precision_taps(11, 1.5)
_YANG_WINDOW = gaussian_taps(7, 1.5)
_PIELLA_WINDOW = np.full(8, 1 / 8)

_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_ALIKE = 0.75  # similarity of the sources from which Q_Y averages instead of choosing


class Local:
    """An H x W map with its mean and variance in a sliding window."""

    def __init__(self, x: Array, window: Array) -> None:
        self.x = x
        self.window = window
        self.mean = correlate_valid(x, window)
        self.variance = correlate_valid(x * x, window) - self.mean**2

    def covariance(self, other: Local) -> Array:
        """Covariance with another map in the same window."""
        return correlate_valid(self.x * other.x, self.window) - self.mean * other.mean


def similarity(
    x: Local, y: Local, covariance: Array, stabilisers: tuple[float, float]
) -> tuple[Array, Array]:
    """The two factors of the SSIM map: of luminance, and of contrast and structure."""
    c1, c2 = stabilisers
    luminance = (2 * x.mean * y.mean + c1) / (x.mean**2 + y.mean**2 + c1)
    structure = (2 * covariance + c2) / (x.variance + y.variance + c2)
    return luminance, structure


# ---- SSIM and MS_SSIM -----------------------------------------------------------------------


class Scale(NamedTuple):
    """Mean similarity to one source at one scale, in full and without luminance."""

    similarity: float
    structure: float


def ssim(t: Triple) -> float:
    """Mean of the structural similarity to either source, -1..1 (Wang et al. 2004)."""
    a, b, f = (Local(x.real, _WANG_WINDOW) for x in t.pictures)
    return (_scale(a, f).similarity + _scale(b, f).similarity) / 2


def ms_ssim(t: Triple) -> float:
    """Mean of the five-scale similarity to either source, 0..1 (Wang et al. 2003)."""
    maps = [x.real for x in t.pictures]
    scales = []
    for level in range(len(_SCALE_WEIGHTS)):
        maps = [_halve(x) for x in maps] if level else maps
        a, b, f = (Local(x, _TORCH_WINDOW) for x in maps)
        scales.append((_scale(a, f), _scale(b, f)))
    values = []
    for to_source in zip(*scales, strict=True):
        factors = [scale.structure for scale in to_source[:-1]] + [to_source[-1].similarity]
        values.append(np.prod(np.maximum(factors, 0) ** np.array(_SCALE_WEIGHTS)))
    return float(np.mean(values))


def _scale(source: Local, fused: Local) -> Scale:
    luminance, structure = similarity(source, fused, source.covariance(fused), _WANG)
    return Scale(float(np.mean(luminance * structure)), float(np.mean(structure)))


def _halve(x: Array) -> Array:
    # An odd side gets a line of zeros in front, as pytorch-msssim pools it.
    x = np.pad(x, [(n % 2, 0) for n in x.shape])
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4


# ---- Q_S, Q_W, Q_E and Q_C ------------------------------------------------------------------


class Windows(NamedTuple):
    """The three images in the 8 x 8 window, and the sources' covariance with F."""

    a: Local
    b: Local
    f: Local
    with_a: Array
    with_b: Array

    @classmethod
    def of(cls, a: Array, b: Array, f: Array) -> Windows:
        """The windows of three maps of one size."""
        in_a, in_b, in_f = (Local(x, _PIELLA_WINDOW) for x in (a, b, f))
        return cls(in_a, in_b, in_f, in_a.covariance(in_f), in_b.covariance(in_f))

    def blend(self, share: Array, stabilisers: tuple[float, float]) -> Array:
        """Similarity to A and to B, of which A counts the share."""
        to_a = np.multiply(*similarity(self.a, self.f, self.with_a, stabilisers))
        to_b = np.multiply(*similarity(self.b, self.f, self.with_b, stabilisers))
        return to_b + share * (to_a - to_b)


class Uniform(NamedTuple):
    """What one pass of the 8 x 8 window tells."""

    plain: float  # Q_S
    salient: float  # Q_W
    covariant: float  # Q_C


def q_s(t: Triple) -> float:
    """Similarity to the locally more varied source, -1..1 (Piella & Heijmans 2003)."""
    return _of_levels(t).plain


def q_w(t: Triple) -> float:
    """The same, weighted by local saliency, -1..1 (Piella & Heijmans 2003)."""
    return _of_levels(t).salient


def q_e(t: Triple) -> float:
    """Q_W of the images times that of their edges, -1..1 (Piella & Heijmans 2003)."""
    edges = Windows.of(*(_prewitt(x.real) for x in t.pictures))
    return q_w(t) * _by_variance(edges)[1]


def q_c(t: Triple) -> float:
    """Similarity to the source of larger local covariance, -1..1 (Cvejic et al. 2005)."""
    return _of_levels(t).covariant


@once
def _of_levels(t: Triple) -> Uniform:
    windows = Windows.of(*(x.real for x in t.pictures))
    return Uniform(*_by_variance(windows), _by_covariance(windows))


def _by_variance(windows: Windows) -> tuple[float, float]:
    """Q_S and Q_W."""
    share, saliency = _variance_share(windows.a, windows.b)
    value = windows.blend(share, _PIELLA)
    return float(value.mean()), float(np.sum(saliency * value) / saliency.sum())


def _by_covariance(windows: Windows) -> float:
    """Q_C."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(windows.with_a / (windows.with_a + windows.with_b), 0, 1)
    share[np.isnan(share)] = 0.5
    return float(windows.blend(share, _NEARLY_NONE).mean())


def _variance_share(a: Local, b: Local) -> tuple[Array, Array]:
    """Share of A in the variances, and the larger of them."""
    # Where neither source varies the reference takes both variances as one half.
    flat = 0.5 * (a.variance + b.variance == 0)
    in_a, in_b = a.variance + flat, b.variance + flat
    return in_a / (in_a + in_b), np.maximum(in_a, in_b)


def _prewitt(x: Array) -> Array:
    smooth, slope = np.ones(3), np.array([-1.0, 0.0, 1.0])
    return magnitude(correlate_same(x, smooth, slope), correlate_same(x, slope, smooth))


# ---- Q_Y ------------------------------------------------------------------------------------


def q_y(t: Triple) -> float:
    """Similarity to both sources where they agree, to the better one elsewhere (Yang 2008)."""
    local_a, local_b, fused = (Local(x.real, _YANG_WINDOW) for x in t.pictures)
    to_a, to_b, alike = (
        np.multiply(*similarity(x, y, x.covariance(y), _NEARLY_NONE))
        for x, y in ((local_a, fused), (local_b, fused), (local_a, local_b))
    )
    share, _ = _variance_share(local_a, local_b)
    both = share * to_a + (1 - share) * to_b
    value = float(np.where(alike >= _ALIKE, both, np.maximum(to_a, to_b)).mean())
    if abs(value) > 1 + 1e-9:
        raise Undefined("flat areas: the similarity there is a ratio of rounding errors")
    return value
