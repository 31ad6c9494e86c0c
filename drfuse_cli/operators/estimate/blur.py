"""The sigma of a Gaussian blur: bounds that a small network reads off the spectrum and edges."""

from __future__ import annotations

import numpy as np

from drfuse_cli.operators.estimate.features import BINS
from drfuse_cli.operators.estimate.findings import Estimate
from drfuse_cli.operators.estimate.learned import quantiles
from drfuse_cli.operators.estimate.look import Look

LEAST_BLUR = 0.7
"""Sigma below which a blur is not told from a soft lens."""

_TOLD_BELOW = 3.0
"""Bounds from here on are none: the network saw no blur beyond 3.5."""
NOISY = 1.5
"""Noise from which on a blur is estimated in the middle of what it can be, not low."""
_LEAST_NOISY = 0.6
_ABOVE_NOISE, _FEWEST_RINGS = np.log10(4), 2


def blur_of(look: Look) -> Estimate:
    """The blur of a plane, sigma in pixels.

    Only where hardly any sharp file looks like this one, and rather low than high: undoing a
    blur that is not there rings. Under noise, where it is undone less far, it hardly does.
    """
    if look.features is None:
        return Estimate(0.0, 0.0, "too small to judge")
    if np.sum(look.features[:BINS] > _ABOVE_NOISE) < _FEWEST_RINGS:
        return Estimate(0.0, 0.3, "too little above the noise to judge")
    least, low, middle = quantiles("blur", look.features)
    noisy = look.white.level >= NOISY
    if least >= (_LEAST_NOISY if noisy else LEAST_BLUR):
        why = f"power falls as under a blur of {low:.1f} to {middle:.1f}"
        return Estimate(middle if noisy else low, 0.5 + 0.5 * min(1.0, least / middle), why)
    if middle < LEAST_BLUR:
        confidence = 0.6 + 0.4 * (1 - max(middle, 0.0) / LEAST_BLUR)
        return Estimate(0.0, confidence, "as sharp as sharp files are")
    return Estimate(0.0, 0.4, f"perhaps a blur of {middle:.1f}, perhaps a soft scene")


def most_blur_of(look: Look) -> float | None:
    """The sigma that of the files that look like this one 95 % do not exceed."""
    if look.features is None:
        return None
    (most,) = quantiles("most", look.features)
    return round(max(most, 0.0), 2) if most < _TOLD_BELOW else None
