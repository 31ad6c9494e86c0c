"""A near and a far focus made from one sharp picture."""

from __future__ import annotations

import cv2
import numpy as np

_LEAST, _MOST = 1.0, 4.0
"""Radius of the circle of confusion in pixels."""


def near_and_far(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """``first`` sharp where things are near, ``second`` (of the same scene) where they are far.

    uint8, ``H x W`` and ``H x W`` or ``H x W x 3``. What lies near is a random shape; an
    out-of-focus foreground spreads over its edge, a background ends at it.
    """
    near = _shape(first.shape[0], first.shape[1], rng)
    radius = float(rng.uniform(_LEAST, _MOST))
    far_blurred, near_blurred = _defocus(first, radius), _defocus(second, radius)
    spread = _defocus(near, radius)
    return _mix(near, first, far_blurred), _mix(spread, near_blurred, second)


def _shape(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """1 where things are near, else 0: about half of the crop, in few large parts."""
    coarse = rng.normal(size=(int(rng.integers(3, 6)),) * 2).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth > np.quantile(smooth, rng.uniform(0.2, 0.8)), np.float32)


def _defocus(image: np.ndarray, radius: float) -> np.ndarray:
    """Convolution with a disc whose edge is smooth."""
    reach = int(np.ceil(radius + 1))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    blurred = cv2.filter2D(image, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred)


def _mix(share: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    share = share if one.ndim == 2 else share[..., None]
    return np.round(share * one + (1 - share) * other).astype(np.uint8)
