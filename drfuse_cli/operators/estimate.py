"""What a file tells about its own degradation: the noise level, a zero-padded blur."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_DARK, _BRIGHT, _REACH = 10.0, 245.0, 5
"""Grey levels beyond which values may have been clipped, and how far around them is unsafe."""

_MAD_TO_STD = 0.6745
_LEAST_SHARE, _LEAST_COUNT = 0.02, 400

# Mean and fraction of zeros of normal noise around black, clipped at 0.
_CLIPPED_MEAN, _ZEROS = 0.399, 0.4
_BLOCK = 8


def noise_std(image: Image) -> float:
    """The standard deviation of white noise in grey levels (0..255), per channel.

    The median absolute Haar HH coefficient, away from clipped values; for images that are
    nearly all black, the statistics of noise clipped at zero. Colour: the median of the
    channels. Zero for images of one row, one column or one value. Source: Donoho 1994;
    ideas measured on files whose noise is known.
    """
    step = 255.0 / image.max_value
    planes = np.moveaxis(np.atleast_3d(image.pixels), -1, 0)
    return float(np.median([_plane_noise(plane * step, step) for plane in planes]))


def has_zero_border(image: Image, blur_sigma: float) -> bool:
    """Whether an image was blurred with zero padding, which darkens all four borders.

    ``blur_sigma`` in pixels; below 1 the effect is too small to tell, as it is in images
    under 32 pixels or with borders that are black anyway.
    """
    if blur_sigma <= 1 or min(image.height, image.width) < 32:
        return False
    grey = image.pixels.reshape(image.height, image.width, -1).mean(2) * (255.0 / image.max_value)
    return all(_fades_to_the_edge(side) for side in (grey, grey[::-1], grey.T, grey.T[::-1]))


def _fades_to_the_edge(rows: Array) -> bool:
    outermost, inner = float(rows[0].mean()), float(rows[8:13].mean())
    # Zero padding takes half of the light at most: a border darker than that is content.
    return inner > 4 and 0.3 < outermost / inner < 0.75


def _plane_noise(plane: Array, step: float) -> float:
    if min(plane.shape) < 2 or plane.min() == plane.max():
        return 0.0
    # Without the dither, quantised flat areas have a median of exactly zero.
    dither = np.random.default_rng(0).uniform(-step / 2, step / 2, plane.shape)
    details = np.abs(_haar_hh(plane + dither))
    safe = ~_any_in_block(_near((plane < _DARK) | (plane > _BRIGHT), _REACH))
    trusted = safe.sum() >= max(_LEAST_COUNT, _LEAST_SHARE * safe.size)
    background = _clipped_background(plane)
    if background is not None and not trusted:
        return background
    values = details[safe] if trusted else details
    variance = (float(np.median(values)) / _MAD_TO_STD) ** 2 - step**2 / 12
    estimate = math.sqrt(max(variance, 0.0))
    # White noise is the same everywhere, texture is not: a calmer background wins. One that
    # is perfectly black was perhaps masked after the fact, and says nothing.
    return min(estimate, background) if background and background > 0.5 else estimate


def _blocks(plane: npt.NDArray[np.generic], size: int) -> npt.NDArray[np.generic]:
    """``size x size`` blocks, rows x columns x size x size; what is left over is cut off."""
    rows, columns = plane.shape[0] // size, plane.shape[1] // size
    cut = plane[: rows * size, : columns * size]
    return cut.reshape(rows, size, columns, size).swapaxes(1, 2)


def _haar_hh(plane: Array) -> Array:
    """The diagonal band of one orthonormal Haar level."""
    (a, b), (c, d) = np.moveaxis(_blocks(plane, 2), (2, 3), (0, 1))
    return np.asarray((a - b - c + d) / 2, np.float64)


def _any_in_block(mask: Mask) -> Mask:
    return np.asarray(_blocks(mask, 2).any((2, 3)), np.bool_)


def _near(mask: Mask, reach: int) -> Mask:
    """The mask grown by ``reach`` pixels in every direction."""
    for axis in (0, 1):
        grown = mask.copy()
        for shift in range(1, min(reach, mask.shape[axis] - 1) + 1):
            ahead, behind = [slice(None)] * 2, [slice(None)] * 2
            ahead[axis], behind[axis] = slice(shift, None), slice(None, -shift)
            grown[tuple(ahead)] |= mask[tuple(behind)]
            grown[tuple(behind)] |= mask[tuple(ahead)]
        mask = grown
    return mask


def _clipped_background(plane: Array) -> float | None:
    """Noise std from blocks of black background, or None where there are none."""
    if min(plane.shape) < _BLOCK:
        return None
    blocks = _blocks(plane, _BLOCK)
    zeros = (blocks == 0).mean((2, 3))
    background = blocks.mean((2, 3))[zeros >= _ZEROS]
    if background.size < 4:
        return None
    return float(np.median(background)) / _CLIPPED_MEAN
