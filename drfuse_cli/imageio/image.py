"""Pixels as they stand in a file."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

StrPath = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels as they stand in a file: H x W (grey) or H x W x 3 (RGB), uint8 or uint16.

    ``path`` and ``sha256`` name the file and its bytes where the image was read from one.
    ``unit``: the value of count 0 and of one count, where the file held floating-point numbers.
    Raises ``ValueError`` for any other shape or dtype.
    """

    pixels: np.ndarray
    path: str | None = None
    sha256: str | None = None
    unit: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if dtype not in (np.uint8, np.uint16):
            raise ValueError(f"pixels are {dtype}, not uint8 or uint16")
        if 0 in shape or not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)):
            raise ValueError(f"pixels have shape {shape}, not H x W or H x W x 3")

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def bits(self) -> int:
        """Bits per channel, 8 or 16."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def colour(self) -> bool:
        return self.pixels.ndim == 3

    @property
    def max_value(self) -> int:
        """The value of white, 255 or 65535."""
        return 255 if self.bits == 8 else 65535
