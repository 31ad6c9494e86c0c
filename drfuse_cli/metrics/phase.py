"""Q_P: phase congruency of the fused image against that of its sources."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from drfuse_cli.metrics.common import (
    Array,
    Undefined,
    correlate_same,
    gaussian_taps,
    is_numpy,
    magnitude,
    place,
    sigmoid,
)
from drfuse_cli.metrics.triple import Picture, Triple, once, require_contrast

Mask = npt.NDArray[np.bool_]
Spectrum = npt.NDArray[np.complex128]

SCALES = 4
ORIENTATIONS = 6
_EPSILON = 1e-4
FEATURE = 0.1  # phase congruency from which a pixel counts as a feature
_WINDOW = gaussian_taps(11, 1.5)
_ROWS = 16


class Features(NamedTuple):
    """Phase congruency with its maximum and minimum moment over orientations, each H x W."""

    congruency: Array
    maximum: Array
    minimum: Array


class _Response(NamedTuple):
    """What one orientation answers, each H x W."""

    energy: Array  # before the noise is taken off
    amplitude: Array  # sum over scales
    weight: Array  # of a response at many scales
    finest: Array  # amplitude at the finest scale


class FilterBank(NamedTuple):
    radial: Array  # SCALES x H x W, on the grid of np.fft.fft2
    angular: Array  # ORIENTATIONS x H x W
    noise_gain: Array  # expected noise energy per unit of noise power, one an orientation
    finest_power: Array  # sum of the squared finest filter, one an orientation


def q_p(t: Triple) -> float:
    """Product of the feature correlations of congruency and both moments (Zhao et al. 2007).

    Raises `Undefined` for a constant image, where the reference returns rounding noise or,
    for a constant fused image, nearly the best score.
    """
    require_contrast(*t.pictures)
    in_a, in_b, in_f = (phase_congruency(picture) for picture in t.pictures)
    from_a = in_a.congruency > in_b.congruency
    masks = [
        in_a.congruency > FEATURE,
        in_b.congruency > FEATURE,
        np.maximum(in_a.congruency, in_b.congruency) > FEATURE,
    ]
    count = int(masks[2].sum())
    if count == 0:
        raise Undefined("no pixel of either source is a feature")
    product = 1.0
    for of_a, of_b, of_f in zip(in_a, in_b, in_f, strict=True):
        references = (of_a, of_b, np.where(from_a, of_a, of_b))
        best = _best_correlation(references, masks, of_f)
        product *= float(best.sum() / count)
    return product


def _best_correlation(references: tuple[Array, ...], masks: list[Mask], fused: Array) -> Array:
    """The largest local correlation with any masked reference; 0 where its mask is off."""
    mean_f = _windowed(fused)
    var_f = _windowed(fused * fused) - mean_f**2
    best = np.full_like(fused, -np.inf)
    for reference, mask in zip(references, masks, strict=True):
        x = reference * mask
        mean = _windowed(x)
        var = _windowed(x * x) - mean**2
        cov = _windowed(x * fused) - mean * mean_f
        correlation = (cov + _EPSILON) / (np.sqrt(np.abs(var * var_f)) + _EPSILON)
        np.maximum(best, correlation * mask, out=best)
    return best


def _windowed(x: Array) -> Array:
    return correlate_same(x, _WINDOW, _WINDOW)


@once
def phase_congruency(image: Picture) -> Features:
    """Kovesi's phase congruency (phasecong2) of an image, its moments over orientation."""
    x, shape = image.real, image.pixels.shape
    bank = filter_bank(*shape, image.device)
    spectrum = np.fft.fft2(x)
    energy, amplitude = np.zeros_like(x), np.zeros_like(x)
    # Of the congruency in each orientation.
    squares = np.empty_like(x, shape=(ORIENTATIONS, *shape))
    transforms = np.empty_like(x, np.complex128, shape=(SCALES, *shape))
    response = _Response(*np.empty_like(x, shape=(4, *shape)))
    for orientation in range(ORIENTATIONS):
        _respond(spectrum * bank.angular[orientation], bank.radial, transforms, response)
        noise_power = _median_square(response.finest) / np.log(2) / bank.finest_power[orientation]
        tau2 = noise_power * bank.noise_gain[orientation] / 2
        noise = (np.sqrt(tau2 * np.pi / 2) + 2 * np.sqrt((2 - np.pi / 2) * tau2)) / 1.7
        for rows in _bands(x):
            above = response.weight[rows] * np.maximum(response.energy[rows] - noise, 0)
            size = response.amplitude[rows]
            energy[rows] += above
            amplitude[rows] += size
            squares[orientation, rows] = np.square(above / (size + (size == 0)))
    angle = np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS
    cos, sin = np.cos(angle), np.sin(angle)
    moments = np.array([2 * cos * cos, 2 * sin * sin, cos * sin])
    cx, cy, cxy = np.tensordot(moments, squares, 1) / ORIENTATIONS
    spread = np.sqrt(cxy**2 + (cx - cy) ** 2) + _EPSILON
    return Features(energy / (amplitude + _EPSILON), (cx + cy + spread) / 2, (cx + cy - spread) / 2)


def _respond(spectrum: Spectrum, radial: Array, transforms: Spectrum, response: _Response) -> None:
    """Fill `response` for one orientation; `transforms` (scales x H x W) is scratch space."""
    for band, transform in zip(radial, transforms, strict=True):
        np.multiply(spectrum, band, out=transform)
        _invert(transform)
    for rows in _bands(response.energy):
        answers = transforms[:, rows]
        even, odd = np.copy(answers.real), np.copy(answers.imag)
        sizes = magnitude(even, odd)
        response.finest[rows] = sizes[0]
        response.amplitude[rows] = sizes.sum(axis=0)
        # Energy along the direction of the sum over scales, less what points across it.
        x, y = even.sum(axis=0), odd.sum(axis=0)
        across = np.abs(odd * x - even * y).sum(axis=0)
        length = magnitude(x, y)
        response.energy[rows] = (length * length - across) / (length + _EPSILON)
        width = response.amplitude[rows] / (np.max(sizes, axis=0) + _EPSILON) / SCALES
        response.weight[rows] = sigmoid(width, -10, 0.5)


def _bands(x: Array) -> Iterator[slice]:
    """Slices of rows that let what is computed of them stay in the processor's cache."""
    step = _ROWS if is_numpy(x) else len(x)
    return (slice(start, start + step) for start in range(0, len(x), step))


def _invert(spectrum: Spectrum) -> None:
    """Inverse Fourier transform in place."""
    # OpenCV is slow where a side has a large factor.
    if is_numpy(spectrum) and all(cv2.getOptimalDFTSize(n) == n for n in spectrum.shape):
        pairs = spectrum.view(np.float64).reshape(*spectrum.shape, 2)
        cv2.dft(pairs, dst=pairs, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE)
    else:
        spectrum[:] = np.fft.ifft2(spectrum)


def _median_square(x: Array) -> float:
    """Median of the squares of an array without negative numbers."""
    size = math.prod(x.shape)
    half = size // 2
    parted = np.partition(x, half, axis=None)
    below = parted[half] if size % 2 else parted[:half].max()
    return float((below**2 + parted[half] ** 2) / 2)


@lru_cache(maxsize=2)
def filter_bank(rows: int, columns: int, device: str | None) -> FilterBank:
    y, x = np.meshgrid(_frequencies(rows), _frequencies(columns), indexing="ij")
    radius, theta = np.hypot(x, y), np.arctan2(-y, x)
    radius[0, 0] = 1  # avoids log 0; the filters are zero there
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    low_pass[0, 0] = 1
    radial = []
    for scale in range(SCALES):
        centre = 1 / (3 * 2.1**scale)
        band = np.exp(-(np.log(radius / centre) ** 2) / (2 * np.log(0.55) ** 2)) * low_pass
        band[0, 0] = 0
        radial.append(band)
    sigma = np.pi / ORIENTATIONS / 1.2
    angular = []
    for orientation in range(ORIENTATIONS):
        away = theta - orientation * np.pi / ORIENTATIONS
        away = np.abs(np.arctan2(np.sin(away), np.cos(away)))
        angular.append(np.exp(-(away**2) / (2 * sigma**2)))
    # The energies of the impulse responses' real parts, by Parseval from their even spectra.
    even = [_even_part(sum(radial) * spread) for spread in angular]
    return FilterBank(
        place(np.stack(radial), device),
        place(np.stack(angular), device),
        np.array([2 * np.sum(part**2) for part in even]),
        np.array([np.sum((radial[0] * spread) ** 2) for spread in angular]),
    )


def _frequencies(n: int) -> Array:
    """Kovesi's frequency grid, zero first; an odd size is divided by n - 1."""
    return np.asarray(np.fft.fftfreq(n) * n / (n - n % 2), np.float64)


def _even_part(spectrum: Array) -> Array:
    mirrored = np.roll(spectrum[::-1, ::-1], 1, axis=(0, 1))
    return (spectrum + mirrored) / 2
