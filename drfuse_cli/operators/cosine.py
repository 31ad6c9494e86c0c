"""The orthonormal DCT-II, the Fourier basis of images with mirrored borders."""

from __future__ import annotations

import math
from functools import lru_cache
from types import EllipsisType

import torch
from torch import Tensor

# Up to this length a matrix product is faster than the FFT, and exact enough for float32.
_MATRIX_LIMIT = 1536
_MATRIX_LIMIT_CPU = 256


@lru_cache(maxsize=32)
def _matrix(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    i = torch.arange(n, dtype=torch.float64)
    basis = torch.cos(math.pi / n * i[:, None] * (i[None, :] + 0.5)) * math.sqrt(2.0 / n)
    basis[0] = math.sqrt(1.0 / n)
    return basis.to(dtype=dtype, device=device)


@lru_cache(maxsize=32)
def _twiddle(n: int, dtype: torch.dtype, device: torch.device, inverse: bool) -> Tensor:
    """What the half spectrum of a folded signal is turned by; or turned back, for the inverse."""
    k = torch.arange(n // 2 + 1, dtype=torch.float64)
    scale = torch.full_like(k, math.sqrt(2.0 / n))
    scale[0] = math.sqrt(1.0 / n)
    angle = -math.pi / (2 * n) * k
    turn = torch.polar(1 / scale, -angle) if inverse else torch.polar(scale, angle)
    return turn.to(
        dtype=torch.complex128 if dtype == torch.float64 else torch.complex64, device=device
    )


def _dct_fft(x: Tensor, dim: int) -> Tensor:
    """By one real FFT of the even samples followed by the odd ones in reverse (Makhoul, 1980)."""
    n = x.shape[dim]
    even, odd = x[_at(dim, slice(0, None, 2))], x[_at(dim, slice(1, None, 2))]
    half = torch.fft.rfft(torch.cat((even, odd.flip(dim)), dim), dim=dim)
    half = half * _turn(n, x, dim, inverse=False)
    # The upper half of the coefficients are the imaginary parts of the lower half.
    upper = -half.imag[_at(dim, slice(1, (n + 1) // 2))].flip(dim)
    return torch.cat((half.real, upper), dim)


def _idct_fft(spectrum: Tensor, dim: int) -> Tensor:
    n = spectrum.shape[dim]
    lower = spectrum[_at(dim, slice(0, n // 2 + 1))]
    upper = -spectrum[_at(dim, slice(n - n // 2, n))].flip(dim)
    imaginary = torch.cat((torch.zeros_like(spectrum[_at(dim, slice(0, 1))]), upper), dim)
    half = torch.complex(lower, imaginary) * _turn(n, spectrum, dim, inverse=True)
    folded = torch.fft.irfft(half, n, dim=dim)
    out = torch.empty_like(folded)
    out[_at(dim, slice(0, None, 2))] = folded[_at(dim, slice(0, (n + 1) // 2))]
    out[_at(dim, slice(1, None, 2))] = folded[_at(dim, slice((n + 1) // 2, n))].flip(dim)
    return out


def _at(dim: int, part: slice) -> tuple[EllipsisType | slice, ...]:
    """The index of a part of the last axis or the one before it."""
    return (..., part) if dim == -1 else (..., part, slice(None))


def _turn(n: int, like: Tensor, dim: int, *, inverse: bool) -> Tensor:
    twiddle = _twiddle(n, like.dtype, like.device, inverse)
    return twiddle if dim == -1 else twiddle[:, None]


def _by_matrix(n: int, device: torch.device) -> bool:
    return n <= (_MATRIX_LIMIT_CPU if device.type == "cpu" else _MATRIX_LIMIT)


def _along_rows(x: Tensor, *, inverse: bool) -> Tensor:
    n = x.shape[-1]
    if not _by_matrix(n, x.device):
        return _idct_fft(x, -1) if inverse else _dct_fft(x, -1)
    basis = _matrix(n, x.dtype, x.device)
    return x @ basis if inverse else x @ basis.T


def _along_columns(x: Tensor, *, inverse: bool) -> Tensor:
    n = x.shape[-2]
    if not _by_matrix(n, x.device):
        return _idct_fft(x, -2) if inverse else _dct_fft(x, -2)
    basis = _matrix(n, x.dtype, x.device)
    return basis.T @ x if inverse else basis @ x


def dct2(x: Tensor) -> Tensor:
    """Orthonormal two-dimensional DCT-II over the last two axes, ``... x H x W`` real."""
    return _along_columns(_along_rows(x, inverse=False), inverse=False)


def idct2(spectrum: Tensor) -> Tensor:
    """The inverse of :func:`dct2`."""
    return _along_columns(_along_rows(spectrum, inverse=True), inverse=True)
