"""What several metrics share: the undefined result, windows, padded filtering, where it is done.

An `Array` of a picture that lies on a torch device is a `drfuse_cli.metrics.device.DeviceArray`,
which numpy's functions take as well; those of OpenCV are called for numpy's own arrays only.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]

_BORDERS = {"constant": cv2.BORDER_CONSTANT, "reflect": cv2.BORDER_REFLECT_101}


def place(x: npt.NDArray[Any], device: str | None) -> Any:
    """`x` on the torch device of this name; as it is where none is named."""
    if device is None:
        return x
    from drfuse_cli.metrics.device import DeviceArray

    return DeviceArray.of(x, device)


def is_numpy(x: Any) -> bool:
    """Whether an array is numpy's own, in the processor's memory."""
    return isinstance(x, np.ndarray)


class Undefined(Exception):
    """A metric has no value for these images; the message says why."""


def gaussian_taps(size: int, sigma: float) -> Array:
    """Taps of a sampled Gaussian of odd `size`, summing to 1; its outer product is G(n, s)."""
    x = np.arange(size) - size // 2
    taps = np.exp(-(x**2) / (2.0 * sigma**2))
    return np.asarray(taps / taps.sum(), np.float64)


def single_precision_taps(size: int, sigma: float) -> Array:
    """The same computed in single precision, as pytorch-msssim does; off the sum 1 by 3e-8."""
    x = np.arange(size) - size // 2
    taps = np.exp(-(x**2) / (2.0 * sigma**2)).astype(np.float32)
    return np.asarray(taps / np.float32(taps.sum(dtype=np.float64)), np.float64)


def correlate_same(x: Array, column: Array, row: Array) -> Array:
    """Correlate with the window ``column x row``; zeros outside, output as large as `x`."""
    return _correlate(x, column, row, "constant")


def correlate_mirrored(x: Array, column: Array, row: Array) -> Array:
    """As `correlate_same`, with the image mirrored about its edge pixels."""
    return _correlate(x, column, row, "reflect")


def correlate_valid(x: Array, taps: Array) -> Array:
    """Correlate with the window ``taps x taps`` at the places where all of it lies inside."""
    size = len(taps)
    before, after = size // 2, size - 1 - size // 2
    full = correlate_same(x, taps, taps)
    return full[before : x.shape[0] - after, before : x.shape[1] - after]


def exp(x: Array) -> Array:
    """Exponential of an H x W map, as exact as numpy's and several times as fast."""
    return np.asarray(cv2.exp(x), np.float64) if is_numpy(x) else np.exp(x)


def log(x: Array) -> Array:
    """Natural logarithm of an H x W map, as exact as numpy's and several times as fast."""
    return np.asarray(cv2.log(x), np.float64) if is_numpy(x) else np.log(x)


def look_up(table: Array, levels: Any) -> Array:
    """The entries of a 1 x 256 table at whole numbers 0..255."""
    if not is_numpy(levels):
        return levels.looked_up(table)
    return np.asarray(cv2.LUT(levels.astype(np.uint8), table), np.float64)


def magnitude(x: Array, y: Array) -> Array:
    """Length of the vectors (x, y), arrays of one shape."""
    if not is_numpy(x):
        return np.sqrt(x * x + y * y)
    flat = -1, x.shape[-1]
    length = np.asarray(cv2.magnitude(x.reshape(flat), y.reshape(flat)), np.float64)
    return length.reshape(x.shape)


def sigmoid(x: Array, slope: float, centre: float) -> Array:
    """1 / (1 + exp(slope (x - centre))) of an H x W map."""
    return 1 / (1 + exp(slope * (x - centre)))


def filter_radially(x: Array, gain: Array) -> Array:
    """Multiply the spectrum of `x`, taken as periodic, by a `gain` on the grid of `cycles`."""
    return np.fft.irfft2(np.fft.rfft2(x) * gain, s=x.shape)


def cycles(shape: tuple[int, ...]) -> Array:
    """Radial frequency in cycles per image, on the grid of a real Fourier transform."""
    rows, columns = shape
    v = np.fft.fftfreq(rows)[:, None] * rows
    u = np.fft.rfftfreq(columns)[None, :] * columns
    return np.asarray(np.hypot(u, v), np.float64)


def _correlate(x: Any, column: Array, row: Array, border: str) -> Array:
    if not is_numpy(x):
        return x.correlated(column, row, border)
    outside = _BORDERS[border]
    return np.asarray(cv2.sepFilter2D(x, cv2.CV_64F, row, column, borderType=outside), np.float64)
