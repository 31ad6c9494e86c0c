"""Metrics built on models of human contrast perception."""

from __future__ import annotations

import numpy as np

from drfuse_cli.metrics.common import (
    Array,
    Grey,
    Undefined,
    correlate_same,
    gaussian_taps,
    require_contrast,
)


def q_cb(a: Grey, b: Grey, f: Grey) -> float:
    """Preservation of perceived contrast, 0..1 (Chen & Blum 2009)."""
    require_contrast(a, b, f)
    contrast_a, contrast_b, contrast_f = (_masked_contrast(image) for image in (a, b, f))
    with np.errstate(invalid="ignore", divide="ignore"):
        kept_a = np.minimum(contrast_a, contrast_f) / np.maximum(contrast_a, contrast_f)
        kept_b = np.minimum(contrast_b, contrast_f) / np.maximum(contrast_b, contrast_f)
        weight = contrast_a**2 / (contrast_a**2 + contrast_b**2)
        value = float(np.mean(weight * kept_a + (1 - weight) * kept_b))
    if not np.isfinite(value):
        raise Undefined("local contrast is zero over zero at some pixel")
    return value


def _masked_contrast(image: Grey) -> Array:
    """Local contrast of the image as the eye's contrast sensitivity passes it, after masking."""
    seen = _contrast_sensitivity_filter(_stretch(image))
    centre, surround = gaussian_window(seen, 2), gaussian_window(seen, 4)
    with np.errstate(invalid="ignore", divide="ignore"):
        contrast = np.abs(centre / surround - 1)
        return np.asarray(contrast**3 / (contrast**2 + 1e-4), np.float64)


def gaussian_window(x: Array, sigma: float) -> Array:
    """Filter with a 31 x 31 Gaussian density (not normalised to sum 1), zeros outside."""
    taps = gaussian_taps(31, sigma)
    taps = taps / taps[15] / (np.sqrt(2 * np.pi) * sigma)
    return correlate_same(x, taps, taps)


def _contrast_sensitivity_filter(x: Array) -> Array:
    rows, columns = x.shape
    # Cycles per image over 15: MATLAB's freqspace times the size over 30.
    v = np.fft.fftfreq(rows)[:, None] * rows / 15
    u = np.fft.rfftfreq(columns)[None, :] * columns / 15
    r = np.hypot(u, v)
    sensitivity = np.exp(-((r / 15.3870) ** 2)) - 0.7622 * np.exp(-((r / 1.3456) ** 2))
    return np.asarray(np.fft.irfft2(np.fft.rfft2(x) * sensitivity, s=x.shape), np.float64)


def _stretch(image: Grey) -> Array:
    """Grey levels stretched to 0..255 and rounded."""
    x = image.astype(np.float64)
    low, high = x.min(), x.max()
    return np.asarray(np.floor(255 * (x - low) / (high - low) + 0.5), np.float64)
