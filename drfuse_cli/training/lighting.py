"""What a dark picture would look like in light: where the restoration of nights is to go."""

from __future__ import annotations

import cv2
import numpy as np

LIT = 0.36
"""Mean luminance (0..1) from which on a picture is not dark."""
_AT_LEAST = 0.26
"""The mean that the darkest one gets."""
_FLATTEST = 0.3
"""Of the exponents: beyond, rounding of the dark levels shows."""
_HALVINGS = 16
_GRAIN = 2.0
"""Grey levels of noise and compression that light would bring out, taken away before."""
_LUMA = np.array([0.299, 0.587, 0.114])


def exponent(luma: np.ndarray) -> float:
    """Of the tone curve ``x ** exponent`` that lights a picture, 0.3 to 1; ``luma`` in 0..1.

    The mean becomes 0.26 to 0.36, the higher the brighter it was: nights stay darker than days.
    """
    mean = float(luma.mean())
    if mean >= LIT:
        return 1.0
    wanted = _AT_LEAST + (LIT - _AT_LEAST) * mean / LIT
    levels, counts = np.unique(np.rint(luma * 255), return_counts=True)
    shares = counts / counts.sum()
    low, high = _FLATTEST, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if float(shares @ (levels / 255) ** middle) > wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def lit(image: np.ndarray) -> np.ndarray:
    """A picture as it would look lit, uint8, ``H x W`` or RGB ``H x W x 3``.

    Grain of the dark is smoothed away by non-local means (Buades et al. 2005) first. Every channel
    goes through the same curve, the inverse of what darkness does to it. One that is not dark comes
    back as it is.
    """
    curve = exponent((image @ _LUMA if image.ndim == 3 else image) / 255)
    if curve == 1:
        return image
    if image.ndim == 3:
        smooth = cv2.fastNlMeansDenoisingColored(image, None, _GRAIN, _GRAIN, 5, 15)
    else:
        smooth = cv2.fastNlMeansDenoising(image, None, _GRAIN, 5, 15)
    return np.rint(255 * (smooth / 255) ** curve).astype(np.uint8)
