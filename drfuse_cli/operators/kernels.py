"""Point-spread functions and their frequency responses."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.errors import DrfuseError


def gaussian_taps(sigma: float) -> np.ndarray:
    """A sampled Gaussian of ``2 ceil(4 sigma) + 1`` taps with sum 1 (one tap for sigma 0)."""
    radius = math.ceil(4 * sigma)
    if radius == 0:
        return np.ones(1)
    k = np.arange(-radius, radius + 1, dtype=np.float64)
    taps: np.ndarray = np.exp(-(k**2) / (2.0 * sigma * sigma))
    return taps / taps.sum()


def gaussian_response(n: int, sigma: Tensor) -> Tensor:
    """Eigenvalues of a mirrored Gaussian blur along an axis of length ``n``.

    ``sigma``: shape ``B`` in pixels, 0 for no blur. Returns ``B x n`` in float64, the
    cosine sums ``h(p) = sum_j k_j cos(pi p j / n)`` of the taps above.
    """
    radius = max(1, math.ceil(4 * float(sigma.max())))
    j = torch.arange(radius + 1, dtype=torch.float64)
    own_radius = torch.ceil(4 * sigma.double())[:, None]
    taps = torch.exp(-(j**2) / (2.0 * sigma.double().clamp_min(1e-6)[:, None] ** 2))
    taps = torch.where(j <= own_radius, taps, torch.zeros_like(taps))
    taps[:, 1:] *= 2
    taps = taps / taps.sum(-1, keepdim=True)
    p = torch.arange(n, dtype=torch.float64)
    return taps @ torch.cos(math.pi / n * j[:, None] * p)


def psf_response(psf: np.ndarray, height: int, width: int) -> Tensor:
    """Eigenvalues ``height x width`` (float64) of a mirrored blur with a mirror-symmetric PSF."""

    def half(taps: np.ndarray, axis: int) -> np.ndarray:
        centre = taps.shape[axis] // 2
        return np.take(taps, range(centre, taps.shape[axis]), axis)

    def cosines(radius: int, n: int) -> np.ndarray:
        weight = np.full(radius, 2.0)
        weight[0] = 1.0
        angle = np.pi / n * np.arange(n)[:, None] * np.arange(radius)
        return np.cos(angle) * weight

    quadrant = half(half(psf.astype(np.float64), 0), 1)
    response = cosines(quadrant.shape[0], height) @ quadrant @ cosines(quadrant.shape[1], width).T
    return torch.from_numpy(response)


def is_mirror_symmetric(psf: np.ndarray) -> bool:
    """True where flipping either axis leaves the PSF unchanged."""
    scale = float(np.abs(psf).max())
    return bool(
        np.allclose(psf, psf[::-1], atol=1e-6 * scale)
        and np.allclose(psf, psf[:, ::-1], atol=1e-6 * scale)
    )


def psf_sigma(psf: np.ndarray) -> float:
    """The Gaussian sigma with the PSF's mean second moment, in pixels."""
    weight = np.maximum(psf, 0) / np.maximum(psf, 0).sum()
    rows, columns = np.indices(psf.shape)
    moments = [
        float((weight * (axis - float((weight * axis).sum())) ** 2).sum())
        for axis in (rows, columns)
    ]
    return math.sqrt(sum(moments) / 2)


def normalise_psf(kernel: np.ndarray, name: str) -> np.ndarray:
    """Checks a point-spread function and scales it to sum 1 (float64, odd sizes).

    Raises DrfuseError where it is not two-dimensional, not odd, not finite, larger than
    127 pixels, or does not have a positive sum.
    """
    kernel = np.asarray(kernel, dtype=np.float64)
    if kernel.ndim != 2 or 0 in kernel.shape:
        raise DrfuseError("a point-spread function is a two-dimensional array", path=name)
    if kernel.shape[0] % 2 == 0 or kernel.shape[1] % 2 == 0:
        raise DrfuseError(
            f"the point-spread function has the even size {kernel.shape[1]}x{kernel.shape[0]}",
            hint="give it odd height and width, with the centre in the middle pixel",
            path=name,
        )
    if max(kernel.shape) > 127:
        raise DrfuseError("the point-spread function is larger than 127 pixels", path=name)
    total = float(kernel.sum())
    # A sum that is all but cancelled would blow the weights up.
    if not np.isfinite(total) or total <= 1e-6 * float(np.abs(kernel).sum()):
        raise DrfuseError(
            "the point-spread function has no finite, positive sum",
            path=name,
            hint="values are weights: zero or positive, at least one above zero",
        )
    return kernel / total
