"""Fetch the pixels of a source from where its motion says they lie."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.registration.motion import Motion, Shape, resized, translation

_LARGEST = 32767
"""Pixels per side that OpenCV warps."""


def attainable(motion: Motion, scale: int) -> Motion:
    """The motion that :func:`undo` undoes: shifts of a full-size source in whole pixels."""
    if motion.model == "homography" or scale > 1:
        return motion
    right, down = (round(n) for n in motion.shift)
    return translation(right, down, motion.shape)


def undo(image: Image, motion: Motion, scale: int) -> Image:
    """A source ``scale`` times smaller than the grid of ``motion``, moved to lie on the other.

    Shifts by whole pixels of the file keep every value, and so the noise as it was; all
    others are interpolated (Lanczos, 8 x 8 pixels). What the source does not show is
    mirrored. Raises ``DrfuseError`` where a side is too long to be interpolated.
    """
    own = _on_file(motion, (image.height, image.width), scale)
    right, down = np.round(own[:2, 2]).astype(int).tolist()
    if motion.model == "translation" and np.allclose(own[:2, 2], (right, down)):
        pixels = _shifted(image.pixels, right, down)
    else:
        pixels = _warped(image, own)
    return replace(image, pixels=pixels)


def _on_file(motion: Motion, size: Shape, scale: int) -> np.ndarray:
    return resized(motion.matrix, (size[0] * scale, size[1] * scale), size)


def _shifted(pixels: np.ndarray, right: int, down: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    rows, columns = _mirrored(height, down), _mirrored(width, right)
    return np.ascontiguousarray(pixels[rows][:, columns])


def _mirrored(n: int, start: int) -> np.ndarray:
    """Which of ``n`` pixels stand at ``start`` and after, the border pixel repeated."""
    place = np.arange(start, start + n) % (2 * n)
    return np.where(place < n, place, 2 * n - 1 - place)


def _warped(image: Image, matrix: np.ndarray) -> np.ndarray:
    if max(image.height, image.width) > _LARGEST:
        raise DrfuseError(
            f"{image.width}x{image.height} pixels are too many to be warped",
            hint=f"Use --register none, or images of at most {_LARGEST} pixels a side.",
            path=image.path,
        )
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    size = image.width, image.height
    warped = cv2.warpPerspective(
        image.pixels, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(warped, image.pixels.dtype)
