"""Windows: which range of values becomes black to white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Shape = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

_SAMPLES = 1_000_000
_QUANTILES = (0.001, 0.999)
_AIR = -500.0
_SOFT_TISSUE = (40.0, 400.0)


@dataclass(frozen=True)
class Window:
    """Centre and width in the units of the values, and how the file wants them applied."""

    centre: float
    width: float
    shape: Shape = "LINEAR_EXACT"

    @classmethod
    def between(cls, low: float, high: float) -> Window:
        """From black to white; one step above ``low`` where they are equal."""
        width = high - low if high > low else max(abs(low), 1.0) * 1e-6
        return cls(low + width / 2, width)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Values of any shape in 0..1, float32; what is no number becomes 0.

        Source: DICOM PS3.3 C.11.2.1.2 (LINEAR counts whole steps) and C.11.2.1.3.
        """
        offset = values.astype(np.float64) - self.centre
        with np.errstate(over="ignore"):
            if self.shape == "SIGMOID":
                unit = 1 / (1 + np.exp(-4 * offset / self.width))
            elif self.shape == "LINEAR" and self.width > 1:
                unit = (offset + 0.5) / (self.width - 1) + 0.5
            else:
                unit = offset / self.width + 0.5
        clipped: np.ndarray = np.clip(np.nan_to_num(unit), 0, 1).astype(np.float32)
        return clipped


def automatic(values: np.ndarray, hounsfield: bool) -> Window:
    """A window for values whose file names none, from a sample of up to a million of them.

    CT (``hounsfield``, with values down to air) gets the window of soft tissue. Anything else
    reaches from zero, or the 0.1 % darkest where there are negative values, to the 0.1 %
    brightest.
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return Window.between(0, 1)
    if hounsfield and finite.min() < _AIR:
        return Window(*_SOFT_TISSUE)
    low, high = (float(q) for q in np.quantile(finite, _QUANTILES))
    return Window.between(0.0 if finite.min() >= 0 else low, high)


def sample(voxels: np.ndarray) -> np.ndarray:
    """About a million voxels, evenly spread, of an array that may be mapped; flat."""
    step = max(1, round((voxels.size / _SAMPLES) ** (1 / 3)))
    return np.asarray(voxels[::step, ::step, ::step]).ravel()
