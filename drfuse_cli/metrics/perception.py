"""Metrics built on models of human contrast perception."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from drfuse_cli.metrics.common import (
    Array,
    Undefined,
    correlate_same,
    cycles,
    filter_radially,
    gaussian_taps,
    place,
)
from drfuse_cli.metrics.gradient import sobel_strength
from drfuse_cli.metrics.triple import Picture, Triple, require_contrast, stretch

_BLOCK = 16


def q_cv(t: Triple) -> float:
    """Visible difference from the locally stronger source, 0 or more (Chen & Varshney 2007)."""
    a, b, f = (stretch(x) for x in t.pictures)
    sensitivity = _mannos_sakrison(f.shape, t.f.device)
    difference = total = 0.0
    for source in (a, b):
        strength = sobel_strength(source)
        saliency = _block_sums(strength * np.square(np.square(strength)))
        seen = filter_radially(source - f, sensitivity)
        difference += float(np.sum(saliency * _block_sums(seen**2))) / _BLOCK**2
        total += float(saliency.sum())
    if total == 0:
        raise Undefined("the sources have no gradient")
    return difference / total


def q_cb(t: Triple) -> float:
    """Preservation of perceived contrast, 0..1 (Chen & Blum 2009)."""
    require_contrast(*t.pictures)
    a, b, f = (_masked_contrast(x) for x in t.pictures)
    with np.errstate(invalid="ignore", divide="ignore"):
        kept_a = np.minimum(a, f) / np.maximum(a, f)
        kept_b = np.minimum(b, f) / np.maximum(b, f)
        weight = a**2 / (a**2 + b**2)
        value = float(np.mean(weight * kept_a + (1 - weight) * kept_b))
    if not np.isfinite(value):
        raise Undefined("local contrast is zero over zero at some pixel")
    return value


@lru_cache(maxsize=2)
def _mannos_sakrison(shape: tuple[int, int], device: str | None) -> Array:
    """Contrast sensitivity of Q_CV on the grid of `cycles`."""
    r = 0.144 * cycles(shape) / 4
    return place(2.6 * (0.0192 + r) * np.exp(-(r**1.1)), device)


@lru_cache(maxsize=2)
def difference_of_gaussians(shape: tuple[int, int], device: str | None) -> Array:
    """Contrast sensitivity of Q_CB on the grid of `cycles`."""
    r = cycles(shape) / 15
    gain = np.exp(-((r / 15.3870) ** 2)) - 0.7622 * np.exp(-((r / 1.3456) ** 2))
    return place(gain, device)


def _block_sums(x: Array) -> Array:
    """Sums over 16 x 16 blocks; what a last block lacks is zero."""
    x = np.pad(x, [(0, -n % _BLOCK) for n in x.shape])
    bands = x.reshape(-1, _BLOCK, x.shape[1]).sum(axis=1)
    return bands.reshape(len(bands), -1, _BLOCK).sum(axis=2)


def _masked_contrast(image: Picture) -> Array:
    """Local contrast of the image as the eye's contrast sensitivity passes it, after masking."""
    x = stretch(image)
    seen = filter_radially(x, difference_of_gaussians(x.shape, image.device))
    centre, surround = _gaussian_density(seen, 2), _gaussian_density(seen, 4)
    with np.errstate(invalid="ignore", divide="ignore"):
        contrast = np.abs(centre / surround - 1)
        return contrast * contrast**2 / (contrast**2 + 1e-4)


def _gaussian_density(x: Array, sigma: float) -> Array:
    """Filter with a 31 x 31 Gaussian density (not normalised to sum 1), zeros outside."""
    taps = gaussian_taps(31, sigma)
    taps = taps / taps[15] / (np.sqrt(2 * np.pi) * sigma)
    return correlate_same(x, taps, taps)
