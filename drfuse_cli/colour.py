"""Luma and chroma: full-range BT.601, forward, exactly back, and how noise passes through."""

from __future__ import annotations

import numpy as np

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import Image

RGB_TO_YCBCR = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.299 / 1.772, -0.587 / 1.772, 0.5],
        [0.5, -0.587 / 1.402, -0.114 / 1.402],
    ]
)
YCBCR_TO_RGB = np.linalg.inv(RGB_TO_YCBCR)

# Standard deviation of Y, Cb and Cr for independent noise of standard deviation 1 in R, G, B.
LUMA_NOISE_GAIN, CB_NOISE_GAIN, CR_NOISE_GAIN = np.linalg.norm(RGB_TO_YCBCR, axis=1).tolist()
CHROMA_NOISE_GAIN = (CB_NOISE_GAIN + CR_NOISE_GAIN) / 2


def rgb_to_ycbcr(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y in [0, 1], Cb and Cr in [-0.5, 0.5], each H x W, of RGB H x W x 3 in [0, 1].

    The floating dtype is kept. Source: ITU-R BT.601 luma weights, full range as in JFIF.
    """
    y, cb, cr = np.moveaxis(rgb @ RGB_TO_YCBCR.T.astype(rgb.dtype), -1, 0)
    return y, cb, cr


def ycbcr_to_rgb(y: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    """The inverse of :func:`rgb_to_ycbcr`, H x W x 3, neither clipped nor rounded."""
    ycbcr = np.stack([y, cb, cr], axis=-1)
    rgb: np.ndarray = ycbcr @ YCBCR_TO_RGB.T.astype(ycbcr.dtype)
    return rgb


def luma(pixels: np.ndarray, max_value: int) -> np.ndarray:
    """Luma in [0, 1], H x W float32, of integer pixels H x W or H x W x 3."""
    scaled = pixels.astype(np.float32) / np.float32(max_value)
    if pixels.ndim == 2:
        return scaled
    weighted: np.ndarray = scaled @ RGB_TO_YCBCR[0].astype(np.float32)
    return weighted


def luma8(image: Image) -> np.ndarray:
    """Luma on 8 bits, H x W uint8: floor(0.299 R + 0.587 G + 0.114 B + 0.5).

    In integers, so that halves round up on every machine; 16 bits are divided by 257.
    """
    scale = image.max_value // 255
    values = image.pixels.astype(np.int32)
    if image.colour:
        values = 299 * values[..., 0] + 587 * values[..., 1] + 114 * values[..., 2]
        scale *= 1000
    return ((values + scale // 2) // scale).astype(np.uint8)


def split(image: Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Luma H x W in [0, 1] and chroma 2 x H x W (Cb, Cr) in [-0.5, 0.5], float32.

    Chroma is ``None`` for a grey image.
    """
    if not image.colour:
        return luma(image.pixels, image.max_value), None
    y, cb, cr = rgb_to_ycbcr(image.pixels.astype(np.float32) / np.float32(image.max_value))
    return np.ascontiguousarray(y), np.stack([cb, cr])


def join(y: np.ndarray, chroma: np.ndarray | None, bits: int) -> Image:
    """The inverse of :func:`split`: clipped, rounded half up; grey where chroma is ``None``.

    Raises ``DrfuseError`` where a value is not finite.
    """
    if chroma is None:
        return Image(quantise(y, bits))
    with np.errstate(invalid="ignore"):  # quantise says it better
        rgb = ycbcr_to_rgb(y, chroma[0], chroma[1])
    return Image(quantise(rgb, bits))


def quantise(values: np.ndarray, bits: int) -> np.ndarray:
    """Values in [0, 1], clipped and rounded half up to uint8 (8 bits) or uint16 (16 bits).

    Raises ``DrfuseError`` where a value is not finite.
    """
    if not np.isfinite(values).all():
        raise DrfuseError("the result holds values that are not numbers", code=ExitCode.FAILED)
    max_value, dtype = {8: (255, np.uint8), 16: (65535, np.uint16)}[bits]
    levels: np.ndarray = np.floor(np.clip(values, 0, 1) * max_value + 0.5).astype(dtype)
    return levels
