"""Degrade clean images: blur, then noise, then pooling, seeded and reproducible to the bit."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from drfuse_cli.config import Degradation
from drfuse_cli.errors import DrfuseError
from drfuse_cli.operators.kernels import gaussian_taps

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image

Array = npt.NDArray[np.float64]


def generator(seed: int, name: str, source: str) -> np.random.Generator:
    """The noise generator of one source of one pair, whatever else is degraded beside it.

    Seeded with the SHA-256 of ``seed:name:source`` as a big-endian integer; `name` is the
    file name without extension, `source` the folder's role: ir, vis, mri, pet...
    """
    digest = hashlib.sha256(f"{seed}:{name}:{source}".encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def degrade_image(image: Image, degradation: Degradation, rng: np.random.Generator) -> Image:
    """Apply ``y = pool_s(blur(x) + s * noise)`` in float64; clip and round once, at the end.

    Every channel is degraded alone; the noise reaches `noise_std` in the pooled result.
    Depth (8 or 16 bits; one grey level is 257 of 16 bits) and colour stay. Raises
    `DrfuseError` where the scale does not divide height and width: crop first.
    """
    scale = degradation.sr_scale
    if image.height % scale or image.width % scale:
        raise DrfuseError(
            f"{image.width}x{image.height} pixels cannot be pooled {scale}x{scale}",
            hint=f"crop height and width to multiples of {scale}",
            path=image.path,
        )
    x = image.pixels.astype(np.float64).reshape(image.height, image.width, -1)
    x = _blur(x, degradation)
    if degradation.noise_std > 0:
        # Pooling averages scale^2 independent draws, which divides their std by the scale.
        std = degradation.noise_std * scale * (image.max_value / 255)
        x = x + std * rng.standard_normal(x.shape)
    x = _pool(x, scale)
    pixels = np.floor(np.clip(x, 0, image.max_value) + 0.5).astype(image.pixels.dtype)
    return replace(image, pixels=pixels if image.colour else pixels[..., 0], path=None, sha256=None)


def _blur(x: Array, degradation: Degradation) -> Array:
    border = "constant" if degradation.zero_border else "symmetric"
    if degradation.psf is not None:
        return _convolve(x, degradation.psf, border)
    if degradation.blur_sigma > 0:
        taps = gaussian_taps(degradation.blur_sigma)
        for axis in (0, 1):
            x = _correlate_axis(x, taps, axis, border)
    return x


def _correlate_axis(x: Array, taps: Array, axis: int, border: str) -> Array:
    # Tap by tap in this order: the last bit of the sum decides how a half is rounded.
    radius, size = len(taps) // 2, x.shape[axis]
    padding = [(radius, radius) if i == axis else (0, 0) for i in range(x.ndim)]
    padded = np.moveaxis(_pad(x, padding, border), axis, 0)
    total = np.zeros((size, *padded.shape[1:]))
    for offset, tap in enumerate(taps):
        total += tap * padded[offset : offset + size]
    return np.moveaxis(total, 0, axis)


def _convolve(x: Array, psf: Array, border: str) -> Array:
    """Convolve each channel with an odd-sized point-spread function."""
    radius_y, radius_x = psf.shape[0] // 2, psf.shape[1] // 2
    padded = _pad(x, [(radius_y, radius_y), (radius_x, radius_x), (0, 0)], border)
    flipped = np.ascontiguousarray(psf[::-1, ::-1], dtype=np.float64)  # OpenCV correlates
    rows = slice(radius_y, radius_y + x.shape[0])
    columns = slice(radius_x, radius_x + x.shape[1])
    channels = [
        cv2.filter2D(np.ascontiguousarray(padded[..., c]), cv2.CV_64F, flipped)[rows, columns]
        for c in range(x.shape[2])
    ]
    return np.stack(channels, axis=-1)


def _pad(x: Array, padding: list[tuple[int, int]], border: str) -> Array:
    if border == "constant":
        return np.pad(x, padding)
    return np.pad(x, padding, mode="symmetric")


def _pool(x: Array, scale: int) -> Array:
    if scale == 1:
        return x
    height, width, channels = x.shape
    blocks = x.reshape(height // scale, scale, width // scale, scale, channels)
    return np.asarray(blocks.mean((1, 3)), np.float64)
