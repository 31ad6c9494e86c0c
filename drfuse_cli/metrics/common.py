"""What several metrics share: the undefined result, windows and padded filtering."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]


class Undefined(Exception):
    """A metric has no value for these images; the message says why."""


def require_contrast(*images: Grey) -> None:
    """Raise `Undefined` where an image has one grey level only."""
    for image in images:
        if image.min() == image.max():
            raise Undefined(f"constant image (grey level {image.flat[0]} everywhere)")


def gaussian_taps(size: int, sigma: float) -> Array:
    """Taps of a sampled Gaussian of odd `size`, summing to 1; its outer product is G(n, s)."""
    x = np.arange(size) - size // 2
    taps = np.exp(-(x**2) / (2.0 * sigma**2))
    return np.asarray(taps / taps.sum(), np.float64)


def correlate_same(x: Array, column: Array, row: Array) -> Array:
    """Correlate with the window ``column x row``; zeros outside, output as large as `x`."""
    return np.asarray(
        cv2.sepFilter2D(x, cv2.CV_64F, row, column, borderType=cv2.BORDER_CONSTANT), np.float64
    )


def correlate_valid(x: Array, taps: Array) -> Array:
    """Correlate with the window ``taps x taps`` at the places where all of it lies inside."""
    size = len(taps)
    before, after = size // 2, size - 1 - size // 2
    full = correlate_same(x, taps, taps)
    return full[before : x.shape[0] - after, before : x.shape[1] - after]
