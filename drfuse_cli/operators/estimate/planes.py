"""Pixels as the estimators take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_LARGEST = 1536
"""Pixels per side beyond which the middle of an image speaks for all of it."""


def channels_of(image: Image) -> list[Plane]:
    """The channels in grey levels (0..255), H x W float32, of the middle of a large image."""
    pixels = image.pixels[_middle(image.height), _middle(image.width)]
    scaled = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32) * (255 / image.max_value)
    return [np.ascontiguousarray(scaled[..., c]) for c in range(scaled.shape[2])]


def luma(channels: list[Plane]) -> Plane:
    """Y of BT.601 in grey levels."""
    if len(channels) == 1:
        return channels[0]
    red, green, blue = channels
    return np.asarray(0.299 * red + 0.587 * green + 0.114 * blue, np.float32)


def _middle(size: int) -> slice:
    start = max(0, size - _LARGEST) // 2
    # A multiple of 8 keeps the grid of JPEG where it was.
    return slice(start // 8 * 8, start // 8 * 8 + _LARGEST)
