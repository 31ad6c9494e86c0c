"""Blur with mirrored borders followed by average pooling, diagonal in the cosine basis."""

from __future__ import annotations

import math
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from drfuse_cli.operators.cosine import dct2, idct2
from drfuse_cli.operators.operator import Operator


@lru_cache(maxsize=64)
def _aliases(n: int, scale: int) -> tuple[Tensor, Tensor]:
    """Where each cosine of length ``n`` lands after ``scale``-fold pooling, and its gain.

    The mean of ``scale`` neighbours turns cosine ``p`` into ``b(p)`` times a cosine of the
    small grid, whose index folds back at multiples of ``n / scale`` with changing sign.
    """
    m = n // scale
    p = torch.arange(n)
    wraps = (p + m) // (2 * m)
    index = (p - 2 * m * wraps).abs()
    half_angle = math.pi * p.double() / (2 * n)
    box = torch.sin(scale * half_angle) / (scale * torch.sin(half_angle).clamp_min(1e-300))
    box[0] = 1.0
    gain = box * (1 - 2 * (wraps % 2)).double() / math.sqrt(scale)
    gain[index == m] = 0.0
    index[index == m] = 0
    return index, gain


class MirrorOperator(Operator):
    """``y = pool_s(k * x)`` for kernels symmetric in both axes, half-sample mirrored borders.

    ``response``: ``... x H x W`` eigenvalues of the blur in the cosine basis; ``scale``
    divides ``H`` and ``W``. Sources: drfusion.md sections 6 and 7 (exact aliased form).
    """

    def __init__(self, response: Tensor, scale: int = 1) -> None:
        height, width = response.shape[-2:]
        if height % scale or width % scale:
            raise ValueError(f"scale {scale} does not divide {width}x{height}")
        self.response = response
        self.scale = scale
        self.shape = (height, width)
        self.out_shape = (height // scale, width // scale)

    @cached_property
    def frequency(self) -> Tensor:
        rows, columns = (torch.arange(n, dtype=torch.float64) / (2 * n) for n in self.shape)
        return torch.hypot(rows[:, None], columns[None, :]).to(self.response)

    @property
    def observed_frequency(self) -> Tensor:
        return self.frequency[: self.out_shape[0], : self.out_shape[1]]

    @property
    def blur(self) -> MirrorOperator:
        return MirrorOperator(self.response)

    def _fold(self, spectrum: Tensor, power: int = 1) -> Tensor:
        if self.scale == 1:
            return spectrum
        for axis, n in ((-2, self.shape[0]), (-1, self.shape[1])):
            index, gain = _aliases(n, self.scale)
            weight = (gain**power).to(spectrum)
            if axis == -2:
                weight = weight[:, None]
            size = list(spectrum.shape)
            size[axis] = n // self.scale
            zeros = spectrum.new_zeros(size)
            spectrum = zeros.index_add(axis, index.to(spectrum.device), spectrum * weight)
        return spectrum

    def _unfold(self, spectrum: Tensor) -> Tensor:
        if self.scale == 1:
            return spectrum
        for axis, n in ((-2, self.shape[0]), (-1, self.shape[1])):
            index, gain = _aliases(n, self.scale)
            weight = gain.to(spectrum)
            if axis == -2:
                weight = weight[:, None]
            spectrum = spectrum.index_select(axis, index.to(spectrum.device)) * weight
        return spectrum

    def A(self, x: Tensor) -> Tensor:
        if self._changes_nothing:
            return x
        return idct2(self._fold(self.response * dct2(x)))

    def adjoint(self, r: Tensor) -> Tensor:
        return idct2(self.response * self._unfold(dct2(r)))

    def gram(self, variance: Tensor | float) -> Tensor:
        return self._fold(self._squared * variance, power=2)

    @cached_property
    def _changes_nothing(self) -> bool:
        return self.scale == 1 and bool((self.response == 1).all())

    @cached_property
    def _squared(self) -> Tensor:
        return self.response**2

    def analyse(self, y: Tensor) -> Tensor:
        return dct2(y)

    def power(self, analysed: Tensor) -> Tensor:
        return analysed**2

    def _spectrum(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != (1, 1):
            return dct2(x)
        flat = x.new_zeros((*x.shape[:-2], *self.shape))
        flat[..., :1, :1] = x * math.sqrt(self.shape[0] * self.shape[1])
        return flat

    def residual(self, x: Tensor, analysed: Tensor) -> Tensor:
        return analysed - self._fold(self.response * self._spectrum(x))

    def correct(
        self, x: Tensor, residual: Tensor, variance: Tensor | float, noise_var: Tensor
    ) -> Tensor:
        weighted = residual / (self.gram(variance) + noise_var)
        return x + idct2(variance * self.response * self._unfold(weighted))
