"""The noise of a plane: white where blocks agree on it, more where it is correlated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drfuse_cli.operators.estimate.findings import Estimate
from drfuse_cli.operators.estimate.learned import quantiles
from drfuse_cli.operators.estimate.look import Look

Array = npt.NDArray[np.float64]

_RISE, _LEAST, _SURELY = 1.33, 1.5, 1.0
_OFFSET = 0.3


def noise_of(look: Look) -> Estimate:
    """Its standard deviation in grey levels (0..255).

    Noise that was interpolated, smoothed or compressed is correlated between pixels: finest
    details hold less of it than the file. A small network bounds the noise of such files; the
    white part stands where that is no higher.
    """
    white = look.white
    if look.features is None or white.only:
        return white.estimate
    least, low, _ = bounds(look.features, look.gain)
    surely = least >= max(_RISE * white.bound, _SURELY)
    if not surely or low < _LEAST:
        return white.estimate
    return Estimate(low, 0.6, f"correlated between pixels; {white.level:.1f} in the finest details")


def bounds(features: Array, gain: float) -> list[float]:
    """Quantiles of the standard deviation in grey levels, in order."""
    return [from_target(value) / gain for value in quantiles("grain", features)]


def to_target(std: float) -> float:
    """What the network learns: a logarithm that ends at zero noise."""
    return float(np.log10(std + _OFFSET))


def from_target(value: float) -> float:
    return max(float(10**value) - _OFFSET, 0.0)
