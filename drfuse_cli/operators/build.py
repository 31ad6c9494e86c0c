"""From a stated degradation to its operator."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.config import Degradation
from drfuse_cli.operators.general import GeneralOperator
from drfuse_cli.operators.kernels import (
    gaussian_response,
    gaussian_taps,
    is_mirror_symmetric,
    psf_response,
    psf_sigma,
)
from drfuse_cli.operators.mirror import MirrorOperator
from drfuse_cli.operators.operator import Operator


def gaussian_operator(
    sigma: Tensor,
    shape: tuple[int, int],
    scale: int = 1,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> MirrorOperator:
    """Gaussian blur, one ``sigma`` per image of the batch (shape ``B``), then pooling."""
    rows, columns = (gaussian_response(n, sigma.cpu()) for n in shape)
    response = (rows[:, :, None] * columns[:, None, :])[:, None]
    return MirrorOperator(response.to(device=device, dtype=dtype), scale)


def build_operator(
    degradation: Degradation,
    shape: tuple[int, int],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Operator:
    """The operator of one source on a full-resolution grid ``shape`` = (H, W)."""
    scale = degradation.sr_scale
    if degradation.psf is None:
        sigma = torch.tensor([degradation.blur_sigma])
        return gaussian_operator(sigma, shape, scale, dtype=dtype, device=device)
    if is_mirror_symmetric(degradation.psf):
        response = psf_response(degradation.psf, *shape).to(device=device, dtype=dtype)
        return MirrorOperator(response, scale)
    return GeneralOperator(degradation.psf, shape, scale, dtype=dtype, device=device)


def equivalent_sigma(degradation: Degradation) -> float:
    """The Gaussian sigma the network is told: that of the blur or of the PSF's spread."""
    if degradation.psf is None:
        return degradation.blur_sigma
    return psf_sigma(degradation.psf)


def border_coverage(degradation: Degradation, shape: tuple[int, int]) -> np.ndarray:
    """How much of each observed pixel lies inside the scene, for zero-padded blur.

    Returns ``h x w`` in (0, 1], float64: dividing the observation by it brings data that
    was blurred with zero padding close to the mirrored model (ideas.md section 4).
    """

    def axis(n: int, taps: np.ndarray) -> np.ndarray:
        inside: np.ndarray = np.convolve(np.ones(n), taps)[len(taps) // 2 :][:n]
        scale = degradation.sr_scale
        return inside.reshape(n // scale, scale).mean(1)

    if degradation.psf is None:
        taps_y = taps_x = gaussian_taps(degradation.blur_sigma)
    else:
        # Exact for separable kernels; close for others.
        taps_y, taps_x = degradation.psf.sum(1), degradation.psf.sum(0)
    coverage: np.ndarray = np.outer(axis(shape[0], taps_y), axis(shape[1], taps_x))
    return np.maximum(coverage, 0.05)
