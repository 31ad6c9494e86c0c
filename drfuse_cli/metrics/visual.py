"""Visual information fidelity: how much of a source's information reaches the eye through F."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from drfuse_cli.metrics.common import Array, correlate_valid, gaussian_taps, log
from drfuse_cli.metrics.similarity import Local
from drfuse_cli.metrics.triple import Triple, once, require_contrast

_WINDOWS = tuple(gaussian_taps(size, size / 5) for size in (17, 9, 5, 3))
_GUARD = 1e-10
_LN_10 = np.log(10)
_VIF_NOISE = 2.0  # variance of the noise in the eye
_VIFF_NOISE = 0.005 * 255**2
_VIFF_GUARD = 1e-7
_VIFF_WEIGHTS = (1 / 2.15, 0.0, 0.15 / 2.15, 1 / 2.15)  # fine to coarse


class Channel(NamedTuple):
    """A source seen through the fused image: F = gain x source + noise, window by window."""

    gain: Array
    noise: Array
    variance: Array  # of the source

    def information(self, eye: float) -> tuple[Array, Array]:
        """Information that arrives, and that the source holds."""
        arriving = log(1 + self.gain**2 * self.variance / (self.noise + eye))
        return arriving / _LN_10, log(1 + self.variance / eye) / _LN_10


class Fidelity(NamedTuple):
    """Sums over all scales: information arriving from A, B and held by A, B; then VIFF."""

    arriving: tuple[float, float]
    held: tuple[float, float]
    fusion: float


def vif(t: Triple) -> float:
    """Sum of the visual information fidelity to both sources, 0 or more (Sheikh & Bovik 2006)."""
    require_contrast(t.a, t.b)
    arriving, held, _ = _fidelity(t)
    return arriving[0] / held[0] + arriving[1] / held[1]


def viff(t: Triple) -> float:
    """Visual information fidelity for fusion, 0 or more (Han et al. 2013)."""
    require_contrast(t.a, t.b)
    return _fidelity(t).fusion


@once
def _fidelity(t: Triple) -> Fidelity:
    a, b, f = (x.real for x in t.pictures)
    arriving, held, fusion = np.zeros(2), np.zeros(2), 0.0
    for scale, (window, weight) in enumerate(zip(_WINDOWS, _VIFF_WEIGHTS, strict=True)):
        if scale > 0:
            a, b, f = (correlate_valid(x, window)[::2, ::2] for x in (a, b, f))
        fused = Local(f, window)
        channels = [_channel(Local(x, window), fused) for x in (a, b)]
        for i, channel in enumerate(channels):
            through, whole = channel.information(_VIF_NOISE)
            arriving[i] += float(through.sum())
            held[i] += float(whole.sum())
        if weight:
            fusion += weight * _fusion_ratio(*channels)
    return Fidelity((arriving[0], arriving[1]), (held[0], held[1]), fusion)


def _channel(source: Local, fused: Local) -> Channel:
    variance, spread = np.maximum(source.variance, 0), np.maximum(fused.variance, 0)
    covariance = source.covariance(fused)
    gain = covariance / (variance + _GUARD)
    noise = spread - gain * covariance
    # Nothing to send, nothing received, or an inverted image: all of F is noise.
    lost = (variance < _GUARD) | (spread < _GUARD) | (gain < 0)
    gain = np.where(lost, 0, gain)
    noise = np.maximum(np.where(lost, spread, noise), _GUARD)
    return Channel(gain, noise, np.where(variance < _GUARD, 0, variance))


def _fusion_ratio(a: Channel, b: Channel) -> float:
    """Information arriving over held, each taken from the source of the smaller gain."""
    from_a = a.gain < b.gain
    arriving, held = (
        np.where(from_a, of_a, of_b)
        for of_a, of_b in zip(a.information(_VIFF_NOISE), b.information(_VIFF_NOISE), strict=True)
    )
    return float(np.sum(arriving + _VIFF_GUARD) / np.sum(held + _VIFF_GUARD))
