"""Crops as other cameras would have shown them, so that few pictures teach a denoiser more."""

from __future__ import annotations

import cv2
import numpy as np

_TONED, _FLATTENED = 0.3, 0.4
_INVERTED, _SWAPPED, _RECOLOURED = 0.15, 0.12, 0.3


def as_other_cameras(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Other tone curves, infrared with black for hot, other colours, or each source as the other.

    ``first``: ``H x W``; ``second``: ``H x W`` or RGB ``H x W x 3``; uint8 all of them.
    """
    if rng.random() < _TONED:
        first = _toned(first, rng)
    if rng.random() < _TONED:
        second = _toned(second, rng)
    if rng.random() < _INVERTED:
        first = 255 - first
    if second.ndim == 3 and rng.random() < _RECOLOURED:
        second = second[..., rng.permutation(3)]
    if rng.random() < _SWAPPED:
        first, second = _grey(second), first
    return first, second


def _toned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By a power of about one, at times between a raised black and a lowered white."""
    power, low, high = float(np.exp(rng.normal(0, 0.3))), 0.0, 1.0
    if rng.random() < _FLATTENED:
        low, high = rng.uniform(0, 0.35), rng.uniform(0.6, 1)
    curve = low + (high - low) * np.linspace(0, 1, 256) ** power
    return np.asarray(np.round(255 * curve).astype(np.uint8)[image])


def _grey(image: np.ndarray) -> np.ndarray:
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY))
