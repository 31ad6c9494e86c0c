"""Q_P: phase congruency of the fused image against that of its sources."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from drfuse_cli.metrics.common import (
    Array,
    Grey,
    Undefined,
    correlate_same,
    gaussian_taps,
    require_contrast,
)

Mask = npt.NDArray[np.bool_]

SCALES = 4
ORIENTATIONS = 6
_EPSILON = 1e-4
_FEATURE = 0.1  # phase congruency from which a pixel counts as a feature


class Features(NamedTuple):
    """Phase congruency with its maximum and minimum moment over orientations, each H x W."""

    congruency: Array
    maximum: Array
    minimum: Array


class _FilterBank(NamedTuple):
    radial: Array  # SCALES x H x W, on the grid of np.fft.fft2
    angular: Array  # ORIENTATIONS x H x W
    noise_gain: Array  # expected noise energy per unit of noise power, one an orientation
    finest_power: Array  # sum of the squared finest filter, one an orientation


def q_p(a: Grey, b: Grey, f: Grey) -> float:
    """Product of the feature correlations of congruency and both moments (Zhao et al. 2007).

    Raises `Undefined` for a constant image, where the reference returns rounding noise or,
    for a constant fused image, nearly the best score.
    """
    require_contrast(a, b, f)
    in_a, in_b, in_f = (phase_congruency(image) for image in (a, b, f))
    from_a = in_a.congruency > in_b.congruency
    masks = [
        in_a.congruency > _FEATURE,
        in_b.congruency > _FEATURE,
        np.maximum(in_a.congruency, in_b.congruency) > _FEATURE,
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
    window = gaussian_taps(11, 1.5)
    mean_f = correlate_same(fused, window, window)
    var_f = correlate_same(fused * fused, window, window) - mean_f**2
    correlations = []
    for reference, mask in zip(references, masks, strict=True):
        x = reference * mask
        mean = correlate_same(x, window, window)
        var = correlate_same(x * x, window, window) - mean**2
        cov = correlate_same(x * fused, window, window) - mean * mean_f
        correlation = (cov + _EPSILON) / (np.sqrt(np.abs(var * var_f)) + _EPSILON)
        correlations.append(correlation * mask)
    return np.asarray(np.max(correlations, axis=0), np.float64)


def phase_congruency(image: Grey) -> Features:
    """Kovesi's phase congruency (phasecong2) of an H x W image, its moments over orientation."""
    bank = _filter_bank(*image.shape)
    spectrum = np.fft.fft2(image.astype(np.float64))
    energy_sum, amplitude_sum = np.zeros(image.shape), np.zeros(image.shape)
    cx, cy, cxy = np.zeros(image.shape), np.zeros(image.shape), np.zeros(image.shape)
    for orientation in range(ORIENTATIONS):
        energy, amplitude = _oriented_energy(spectrum, bank, orientation)
        energy_sum += energy
        amplitude_sum += amplitude
        congruency = np.divide(energy, amplitude, out=np.zeros_like(energy), where=amplitude > 0)
        angle = orientation * np.pi / ORIENTATIONS
        x, y = congruency * np.cos(angle), congruency * np.sin(angle)
        cx += x * x
        cy += y * y
        cxy += x * y
    cx, cy, cxy = cx / (ORIENTATIONS / 2), cy / (ORIENTATIONS / 2), cxy / ORIENTATIONS
    spread = np.sqrt(cxy**2 + (cx - cy) ** 2) + _EPSILON
    return Features(
        energy_sum / (amplitude_sum + _EPSILON), (cx + cy + spread) / 2, (cx + cy - spread) / 2
    )


def _oriented_energy(
    spectrum: npt.NDArray[np.complex128], bank: _FilterBank, orientation: int
) -> tuple[Array, Array]:
    """Weighted energy above the noise, and the amplitude summed over scales."""
    angular = bank.angular[orientation]
    responses = np.fft.ifft2(spectrum * (bank.radial * angular))
    amplitudes = np.abs(responses)
    amplitude = amplitudes.sum(axis=0)
    total = responses.sum(axis=0)
    mean = total / (np.abs(total) + _EPSILON)
    in_phase = responses * mean.conj()
    energy = (in_phase.real - np.abs(in_phase.imag)).sum(axis=0)
    noise_power = np.median(amplitudes[0] ** 2) / np.log(2) / bank.finest_power[orientation]
    tau2 = noise_power * bank.noise_gain[orientation] / 2
    threshold = (np.sqrt(tau2 * np.pi / 2) + 2 * np.sqrt((2 - np.pi / 2) * tau2)) / 1.7
    width = amplitude / (amplitudes.max(axis=0) + _EPSILON) / SCALES
    weight = 1 / (1 + np.exp(10 * (0.5 - width)))
    return weight * np.maximum(energy - threshold, 0), amplitude


@lru_cache(maxsize=2)
def _filter_bank(rows: int, columns: int) -> _FilterBank:
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
    return _FilterBank(
        np.stack(radial),
        np.stack(angular),
        np.array([2 * np.sum(part**2) for part in even]),
        np.array([np.sum((radial[0] * spread) ** 2) for spread in angular]),
    )


def _frequencies(n: int) -> Array:
    """Kovesi's frequency grid, zero first; an odd size is divided by n - 1."""
    return np.asarray(np.fft.fftfreq(n) * n / (n - n % 2), np.float64)


def _even_part(spectrum: Array) -> Array:
    mirrored = np.roll(spectrum[::-1, ::-1], 1, axis=(0, 1))
    return (spectrum + mirrored) / 2
