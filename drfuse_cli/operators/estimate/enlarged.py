"""Whether an image was enlarged: interpolation leaves copies of its spectrum behind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drfuse_cli.operators.estimate.features import SMALLEST, window
from drfuse_cli.operators.estimate.findings import Estimate
from drfuse_cli.operators.estimate.planes import Plane

Array = npt.NDArray[np.float64]
Spectrum = npt.NDArray[np.complex64]

FACTORS = (2, 3, 4)
_GRID = 24
_BAND = 0.05
_MARGIN = 0.02
_LEAST = {2: 0.3, 3: 0.25, 4: 0.18}
_JPEG = 8
_BEYOND_JPEG = 1.4


def enlargement(plane: Plane) -> Estimate:
    """How many times the image was enlarged, 1 for not: whole numbers up to 4.

    Enlarging by s repeats the spectrum at distance 1/s, weaker but in step with the original,
    whatever the interpolation (Gardner's spectral coherence). The lesser of both axes counts.
    Blocks of JPEG do the same at distance 1/8 and its multiples, and are told apart by that.
    """
    seen = window(plane)
    height, width = (n // _GRID * _GRID for n in seen.shape)
    if min(height, width) < SMALLEST:
        return Estimate(1.0, 0.0, "too small to judge")
    seen = seen[:height, :width]
    # Neighbouring lines tell the same: every second one is enough.
    axes = [_spectrum(lines[::2]) for lines in (seen, seen.T)]
    in_step = {s: min(coherence(axis, s) for axis in axes) for s in (*FACTORS, _JPEG)}
    found = {s: in_step[s] / _LEAST[s] for s in FACTORS if in_step[s] >= _LEAST[s]}
    for s in (2, 4):
        if s in found and in_step[s] < _BEYOND_JPEG * in_step[_JPEG]:
            del found[s]
    if not found:
        strongest = max(in_step[s] / _LEAST[s] for s in FACTORS)
        return Estimate(1.0, max(0.0, 1 - 0.5 * strongest), "the spectrum does not repeat")
    # An enlargement by 4 repeats at 1/2, too.
    factor = max(found) if 3 not in found else max(found, key=lambda s: found[s])
    confidence = min(1.0, 0.5 * found[factor])
    return Estimate(float(factor), confidence, f"the spectrum repeats at 1/{factor} of its width")


def _spectrum(lines: Plane) -> Spectrum:
    """Of the differences along every line, which are about white."""
    steps = np.diff(lines, axis=1, append=lines[:, -1:])
    return np.asarray(np.fft.rfft(steps * np.hanning(lines.shape[1]).astype(np.float32)))


def coherence(spectrum: Spectrum, factor: int) -> float:
    """How much a spectrum is in step with itself, shifted by 1/factor of the sampling rate."""
    width = 2 * (spectrum.shape[1] - 1)
    k = np.arange(spectrum.shape[1])
    other = k - width // factor
    partner = spectrum[:, np.abs(other)]
    partner = np.where(other < 0, partner, partner.conj())
    power = np.mean(np.abs(spectrum) ** 2, 0)
    cross = np.mean(spectrum * partner, 0) / np.sqrt(power * power[np.abs(other)] + 1e-9)
    f, g = k / width, np.abs(other) / width
    inside = (np.minimum(f, g) > _MARGIN) & (np.maximum(f, g) < 0.5 - _MARGIN)
    # Within a band the two are in step; from band to band the sign of the kernel may change.
    bands = (f[inside] / _BAND).astype(int)
    counts = np.bincount(bands)
    sums = np.bincount(bands, cross[inside].real) + 1j * np.bincount(bands, cross[inside].imag)
    return float(np.abs(sums)[counts >= 4].sum() / max(counts[counts >= 4].sum(), 1))
