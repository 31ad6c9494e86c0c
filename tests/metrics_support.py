"""Small pictures drawn by formulas, to score."""

from __future__ import annotations

import numpy as np

Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


def infrared(height: int = 48, width: int = 64) -> np.ndarray:
    """A warm disc on a slope."""
    y, x = np.mgrid[:height, :width]
    disc = (y - 20) ** 2 + (x - 24) ** 2 < 100
    return np.where(disc, 230, 40 + x + y // 2).astype(np.uint8)


def visible(height: int = 48, width: int = 64) -> np.ndarray:
    """Slanted stripes that fade, with a dark bar."""
    y, x = np.mgrid[:height, :width]
    stripes = 120 + (80 - x) * ((x + 2 * y) // 7 % 2)
    return np.where((y > 30) & (y < 36), 15, stripes).astype(np.uint8)


def fused(height: int = 48, width: int = 64) -> np.ndarray:
    """Two parts of `infrared` and one of `visible`."""
    a, b = infrared(height, width).astype(int), visible(height, width).astype(int)
    return ((2 * a + b + 1) // 3).astype(np.uint8)


def scene(height: int = 48, width: int = 64) -> Triple:
    """A, B and F."""
    return infrared(height, width), visible(height, width), fused(height, width)


def textured(height: int = 47, width: int = 58) -> Triple:
    """A, B and F without flat areas: waves of other directions, and the stronger of the two."""
    y, x = np.mgrid[:height, :width]
    a = 110 + 60 * np.sin(x / 3.1) * np.cos(y / 7.3) + 35 * np.sin(x * y / 90)
    b = 130 + 70 * np.cos((x + 2 * y) / 5.7) + 40 * np.sin((x - y) / 2.3)
    f = np.where(abs(a - 110) > abs(b - 130), a, b)
    return tuple(np.floor(image + 0.5).astype(np.uint8) for image in (a, b, f))  # type: ignore[return-value]


def ramps() -> Triple:
    """A rises to the right, B downwards, F is the larger of them; 48 x 64."""
    y, x = np.mgrid[:48, :64]
    return tuple(np.array(image, np.uint8) for image in (4 * x, 5 * y, np.maximum(4 * x, 5 * y)))  # type: ignore[return-value]
