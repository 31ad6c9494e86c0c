"""Metrics on image gradients."""

from __future__ import annotations

import numpy as np

from drfuse_cli.metrics.common import Array, Grey, Undefined, correlate_same

_TINY = 1e-5  # stands for a zero gradient in the reference


def q_g(a: Grey, b: Grey, f: Grey) -> float:
    """Gradient preservation Q^AB/F, 0..0.9748 (Xydeas & Petrovic 2000)."""
    if not a.any() and not b.any():
        raise Undefined("both sources are black: no gradient to preserve")
    fused = _edges(f)
    edges_a, edges_b = _edges(a), _edges(b)
    kept = edges_a[0] * _preservation(edges_a, fused) + edges_b[0] * _preservation(edges_b, fused)
    return float(kept.sum() / (edges_a[0] + edges_b[0]).sum())


def _edges(image: Grey) -> tuple[Array, Array]:
    """Sobel strength and orientation (-pi/2..pi/2) with zeros outside the image."""
    x = image.astype(np.float64)
    smooth, slope = np.array([1.0, 2.0, 1.0]), np.array([-1.0, 0.0, 1.0])
    sx, sy = correlate_same(x, smooth, slope), correlate_same(x, slope, smooth)
    strength = np.hypot(sx, sy)
    orientation = np.arctan(sy / np.where(sx == 0, _TINY, sx))
    return np.where(strength == 0, _TINY, strength), orientation


def _preservation(source: tuple[Array, Array], fused: tuple[Array, Array]) -> Array:
    strength = np.minimum(source[0], fused[0]) / np.maximum(source[0], fused[0])
    alignment = 1 - np.abs(source[1] - fused[1]) / (np.pi / 2)
    by_strength = 0.9994 / (1 + np.exp(-15 * (strength - 0.5)))
    by_alignment = 0.9879 / (1 + np.exp(-22 * (alignment - 0.8)))
    return np.asarray(by_strength * by_alignment, np.float64)
