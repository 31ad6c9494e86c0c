"""The orthonormal DCT-II, the Fourier basis of images with mirrored borders."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

# Up to this length a matrix product is faster than the FFT, and exact enough for float32.
_MATRIX_LIMIT = 1536


@lru_cache(maxsize=32)
def _matrix(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    i = torch.arange(n, dtype=torch.float64)
    basis = torch.cos(math.pi / n * i[:, None] * (i[None, :] + 0.5)) * math.sqrt(2.0 / n)
    basis[0] = math.sqrt(1.0 / n)
    return basis.to(dtype=dtype, device=device)


@lru_cache(maxsize=32)
def _twiddle(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    angle = -math.pi / (2 * n) * torch.arange(n, dtype=torch.float64)
    scale = torch.full((n,), math.sqrt(2.0 / n), dtype=torch.float64)
    scale[0] = math.sqrt(1.0 / n)
    return (torch.polar(torch.ones_like(angle), angle) * scale).to(
        dtype=torch.complex128 if dtype == torch.float64 else torch.complex64, device=device
    )


def _dct_fft(x: Tensor) -> Tensor:
    n = x.shape[-1]
    folded = torch.cat((x[..., ::2], x[..., 1::2].flip(-1)), dim=-1)
    return (torch.fft.fft(folded) * _twiddle(n, x.dtype, x.device)).real


def _idct_fft(spectrum: Tensor) -> Tensor:
    n = spectrum.shape[-1]
    twiddle = _twiddle(n, spectrum.dtype, spectrum.device)
    phase = twiddle.conj() / twiddle.abs() ** 2
    # The transform of a real signal: imaginary parts come from the mirrored coefficients.
    mirrored = torch.cat((torch.zeros_like(spectrum[..., :1]), spectrum[..., 1:].flip(-1)), -1)
    full = (spectrum - 1j * mirrored) * phase
    folded = torch.fft.ifft(full).real
    out = torch.empty_like(folded)
    half = (n + 1) // 2
    out[..., ::2] = folded[..., :half]
    out[..., 1::2] = folded[..., half:].flip(-1)
    return out


def _along_rows(x: Tensor, *, inverse: bool) -> Tensor:
    n = x.shape[-1]
    if n > _MATRIX_LIMIT:
        return _idct_fft(x) if inverse else _dct_fft(x)
    basis = _matrix(n, x.dtype, x.device)
    return x @ basis if inverse else x @ basis.T


def _along_columns(x: Tensor, *, inverse: bool) -> Tensor:
    n = x.shape[-2]
    if n > _MATRIX_LIMIT:
        return _along_rows(x.transpose(-1, -2), inverse=inverse).transpose(-1, -2)
    basis = _matrix(n, x.dtype, x.device)
    return basis.T @ x if inverse else basis @ x


def dct2(x: Tensor) -> Tensor:
    """Orthonormal two-dimensional DCT-II over the last two axes, ``... x H x W`` real."""
    return _along_columns(_along_rows(x, inverse=False), inverse=False)


def idct2(spectrum: Tensor) -> Tensor:
    """The inverse of :func:`dct2`."""
    return _along_columns(_along_rows(spectrum, inverse=True), inverse=True)
