"""Guided-filter fusion (Li, Kang and Hu, Image fusion with guided filtering, IEEE TIP 2013)."""

from __future__ import annotations

import cv2
import numpy as np

_BASE = 31
"""Side of the mean that parts an image into base and detail."""
_SALIENCY = (11, 5.0)
"""Window and sigma of the Gaussian over the Laplacian's magnitude."""
_OF_BASE, _OF_DETAIL = (45, 0.3), (7, 1e-6)
"""Radius and regularisation of the guided filters over the weights, images in 0..1."""


def guided(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Base and detail of both luma images, each by weights that follow the edges of its source.

    ``H x W`` float32 in 0..1. Borders of the means are left out, as in the published code.
    """
    first = (1 + np.sign(_saliency(a) - _saliency(b))) / 2  # a tie counts half
    chosen = (first, 1 - first)
    layers = [_layers(x) for x in (a, b)]
    fused = np.zeros_like(a)
    for layer, (radius, regular) in enumerate((_OF_BASE, _OF_DETAIL)):
        weights = [
            np.clip(guided_filter(x, p, radius, regular), 0, 1)
            for x, p in zip((a, b), chosen, strict=True)
        ]
        total = weights[0] + weights[1] + 1e-12
        fused += sum(w / total * parts[layer] for w, parts in zip(weights, layers, strict=True))
    return fused


def _layers(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    base = _mean(x, _BASE)
    return base, x - base


def _saliency(x: np.ndarray) -> np.ndarray:
    size, sigma = _SALIENCY
    edges = np.abs(cv2.Laplacian(x, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE))
    return np.asarray(cv2.GaussianBlur(edges, (size, size), sigma))


def _mean(x: np.ndarray, size: int) -> np.ndarray:
    """Over the part of the window that lies inside the image."""
    both = [
        cv2.boxFilter(y, -1, (size, size), normalize=False, borderType=cv2.BORDER_CONSTANT)
        for y in (x, np.ones_like(x))
    ]
    return np.asarray(both[0] / both[1])


def guided_filter(guide: np.ndarray, x: np.ndarray, radius: int, regular: float) -> np.ndarray:
    """``x`` smoothed but at the edges of ``guide`` (He, Sun and Tang, ECCV 2010)."""
    # In float64: variances are differences of squares.
    guide, x, size = guide.astype(np.float64), x.astype(np.float64), 2 * radius + 1
    mean_guide, mean_x = _mean(guide, size), _mean(x, size)
    variance = _mean(guide * guide, size) - mean_guide**2
    slope = (_mean(guide * x, size) - mean_guide * mean_x) / (variance + regular)
    made = _mean(slope, size) * guide + _mean(mean_x - slope * mean_guide, size)
    smooth: np.ndarray = made.astype(np.float32)
    return smooth
