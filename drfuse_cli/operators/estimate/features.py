"""What tells blur and noise: power over frequency, the steepest edges, the calmest blocks."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from drfuse_cli.operators.estimate.levels import SCALES, Blocks, level_of
from drfuse_cli.operators.estimate.planes import Plane

Array = npt.NDArray[np.float64]

BINS = 24
SMALLEST = 64
"""Pixels per side below which spectra tell nothing."""

_EDGES = np.linspace(0.02, 0.5, BINS + 1)
_LARGEST = 768
_CONTRAST = 40.0
_PROBES = (1.0, 2.0)
_STEEPEST = (0.005, 0.03)
_SHARES = (0.1, 0.5, 0.9)
_CALM = (0.02, 0.1, 0.25, 0.5, 0.75)
FEATURES = BINS + len(_PROBES) * len(_STEEPEST) * len(_SHARES) + SCALES * (len(_CALM) + 1) + 3


def features(plane: Plane, scales: list[Blocks], noise: float, step: float, gain: float) -> Array:
    """The numbers that the networks read, :data:`FEATURES` of them.

    ``plane`` in grey levels (0..255) whose values are ``step`` apart; ``scales`` and ``noise``
    are what its blocks hold and what of that is white noise. All stand for the plane times
    ``gain``.
    """
    seen, noise, step = window(plane) * np.float32(gain), noise * gain, step * gain
    # Finer steps than those of 8 bits are taken for 8 bits: that is what was learned from.
    finer = (1 - step**2) / 12
    floor = noise**2 + step**2 / 12 + finer
    rings = np.log10(np.maximum((power(seen) + finer) / floor, 10**-0.5)).clip(-0.5, 6)
    edges = np.log(np.maximum(steepness(seen), 1e-3))
    black = float((seen <= 2).mean())
    contrast = np.log10(float(seen.std()) + 0.1)
    rest = [np.log10(noise + 0.1), contrast, black]
    return np.concatenate([rings, edges, calmness(scales, noise, gain), rest])


def contrast_gain(plane: Plane, step: float) -> float:
    """What brings a plane of little contrast up to that of others."""
    return min(max(_CONTRAST / (float(plane.std()) + 1e-3), 1), 1 / step)


def power(plane: Plane) -> Array:
    """Mean power of the cosine transform in rings of 0.02 cycles per pixel from 0.02 to 0.5.

    White noise of standard deviation s has power s^2 in every ring. The transform mirrors
    the borders; the two axes are left out, where stripes and borders would stand.
    """
    spectrum = cv2.dct(plane - plane.mean())
    rings, counts = _rings(*plane.shape)
    total = np.bincount(rings, (spectrum * spectrum).ravel(), BINS + 1)[:BINS]
    return total / np.maximum(counts, 1)


@lru_cache(maxsize=8)
def _rings(height: int, width: int) -> tuple[npt.NDArray[np.int64], Array]:
    fy = np.arange(height)[:, None] / (2 * height)
    fx = np.arange(width)[None, :] / (2 * width)
    ring = np.digitize(np.hypot(fy, fx), _EDGES) - 1
    ring[(np.minimum(fy, fx) < 0.02) | (ring < 0) | (ring >= BINS)] = BINS
    flat = ring.ravel()
    return flat, np.bincount(flat, minlength=BINS + 1)[:BINS].astype(np.float64)


def steepness(plane: Plane) -> Array:
    """How much a known blur flattens the steepest edges: much where they are sharp.

    An edge of width sigma loses a factor sqrt(1 + s^2 / sigma^2) under a blur of s.
    """
    blurred = (cv2.GaussianBlur(plane, (0, 0), s) for s in (0.7, *_PROBES))
    slopes = [_slope(np.asarray(x, np.float32)) for x in blurred]
    rows = []
    for share in _STEEPEST:
        top = slopes[0] >= np.quantile(slopes[0], 1 - share)
        for probe in slopes[1:]:
            ratio = slopes[0][top] / np.maximum(probe[top], 1e-3)
            rows.append(np.quantile(ratio, _SHARES))
    return np.concatenate(rows)


def _slope(plane: Plane) -> Plane:
    dy = plane[2:, 1:-1] - plane[:-2, 1:-1]
    dx = plane[1:-1, 2:] - plane[1:-1, :-2]
    return np.asarray(np.sqrt(dy * dy + dx * dx), np.float32)


def calmness(scales: list[Blocks], noise: float, gain: float) -> Array:
    """How much the calmer blocks hold at each size, relative to white noise, and agree on it."""
    rows, last = [], np.zeros(1)
    for i in range(SCALES):
        if i < len(scales) and scales[i].stds.size:
            last = scales[i].stds
        held = np.log10((np.quantile(last, _CALM) * gain + 0.3) / (noise + 0.3))
        rows.append(np.append(held, level_of(last)[1]))
    return np.concatenate(rows)


def window(plane: Plane) -> Plane:
    """The middle of a plane, of a size whose transform is quick."""
    height, width = (min(n, _LARGEST) // 8 * 8 for n in plane.shape)
    top, left = (plane.shape[0] - height) // 2, (plane.shape[1] - width) // 2
    return np.ascontiguousarray(plane[top : top + height, left : left + width])
