"""The full-resolution grid that two sources of different size share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from drfuse_cli.errors import DrfuseError


@dataclass(frozen=True)
class Grid:
    """``shape`` of the output, and the ``canvas`` around it that every scale divides."""

    shape: tuple[int, int]
    canvas: tuple[int, int]

    @classmethod
    def of(cls, sizes: tuple[tuple[int, int], tuple[int, int]], scales: tuple[int, int]) -> Grid:
        """The grid of two sources of ``(height, width)`` that are ``scales`` times too small.

        Raises DrfuseError where the enlarged sources do not cover the same scene.
        """
        full = [(size[0] * s, size[1] * s) for size, s in zip(sizes, scales, strict=True)]
        height, width = (max(pair) for pair in zip(*full, strict=True))
        slack = max(scales)
        if any(height - h >= slack or width - w >= slack for h, w in full):
            (h1, w1), (h2, w2) = full
            raise DrfuseError(
                f"the sources do not cover the same grid: {w1}x{h1} and {w2}x{h2} pixels"
                f" at scales {scales[0]} and {scales[1]}",
                hint="crop or resize one of them, or state the scales with --sr-scale A,B",
            )
        step = math.lcm(*scales)
        canvas = (-(-height // step) * step, -(-width // step) * step)
        # A coarse source may have been rounded up: the finer one knows the size of the scene.
        return cls(full[0] if scales[0] <= scales[1] else full[1], canvas)

    def extend(self, image: np.ndarray, scale: int) -> np.ndarray:
        """``image`` continued by mirroring, or by repetition where it is too small for that."""
        pad = [
            (0, n // scale - have) for n, have in zip(self.canvas, image.shape[-2:], strict=True)
        ]
        if not any(after for _, after in pad):
            return image
        mirrored = all(after <= n for (_, after), n in zip(pad, image.shape[-2:], strict=True))
        mode = "symmetric" if mirrored else "edge"
        return np.pad(image, [(0, 0)] * (image.ndim - 2) + pad, mode=mode)  # type: ignore[call-overload]
