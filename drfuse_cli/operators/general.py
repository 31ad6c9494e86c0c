"""Blur with any point-spread function (motion, say), mirrored borders, average pooling."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.operators.operator import Operator


def _mirror(x: Tensor) -> Tensor:
    x = torch.cat((x, x.flip(-1)), dim=-1)
    return torch.cat((x, x.flip(-2)), dim=-2)


def _unmirror(x: Tensor) -> Tensor:
    """The transpose of :func:`_mirror`: folds the three mirror images back and adds them."""
    height, width = x.shape[-2] // 2, x.shape[-1] // 2
    x = x[..., :height, :] + x[..., height:, :].flip(-2)
    return x[..., :width] + x[..., width:].flip(-1)


def _transfer(psf: np.ndarray, rows: int, columns: int) -> Tensor:
    """Spectrum of the PSF with its centre at (0, 0), wrapped onto ``rows x columns``."""
    canvas = np.zeros((rows, columns))
    radius_y, radius_x = psf.shape[0] // 2, psf.shape[1] // 2
    y = (np.arange(psf.shape[0]) - radius_y) % rows
    x = (np.arange(psf.shape[1]) - radius_x) % columns
    np.add.at(canvas, (y[:, None], x[None, :]), psf)
    return torch.fft.rfft2(torch.from_numpy(canvas))


class GeneralOperator(Operator):
    """``y = pool_s(psf * x)`` for any odd-sized PSF, half-sample mirrored borders.

    ``A`` and ``adjoint`` are exact. An asymmetric kernel is not diagonal on the mirrored
    image, so ``prox`` takes the closed form of the kernel averaged over its mirror images as the
    preconditioner of a few conjugate gradient steps.
    """

    def __init__(
        self,
        psf: np.ndarray,
        shape: tuple[int, int],
        scale: int = 1,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        iterations: int = 8,
    ) -> None:
        if shape[0] % scale or shape[1] % scale:
            raise ValueError(f"scale {scale} does not divide {shape[1]}x{shape[0]}")
        self.psf, self.shape, self.scale = psf, shape, scale
        self.out_shape = (shape[0] // scale, shape[1] // scale)
        self.iterations = iterations
        self._canvas = (2 * shape[0], 2 * shape[1])
        transfer = _transfer(psf, *self._canvas)
        if scale > 1:
            # (D x)_m is the mean of x at s m .. s m + s - 1: a box looking forward.
            box = np.zeros((2 * scale - 1, 2 * scale - 1))
            box[:scale, :scale] = 1.0 / scale**2
            transfer = transfer * _transfer(box, *self._canvas)
        complex_dtype = torch.complex128 if dtype == torch.float64 else torch.complex64
        self.transfer = transfer.to(dtype=complex_dtype, device=device)
        self.dtype, self.device = dtype, torch.device(device)

    @cached_property
    def frequency(self) -> Tensor:
        rows = torch.fft.fftfreq(self._canvas[0], dtype=torch.float64)
        columns = torch.fft.rfftfreq(self._canvas[1], dtype=torch.float64)
        return torch.hypot(rows[:, None], columns[None, :]).to(self.device, self.dtype)

    @cached_property
    def observed_frequency(self) -> Tensor:
        rows, columns = (
            torch.fft.fftfreq(n // self.scale, self.scale, dtype=torch.float64)
            for n in self._canvas
        )
        return torch.hypot(rows[:, None], columns[None, :]).to(self.device, self.dtype)

    @property
    def blur(self) -> GeneralOperator:
        return GeneralOperator(
            self.psf,
            self.shape,
            dtype=self.dtype,
            device=self.device,
            iterations=self.iterations,
        )

    def _filter(self, x: Tensor, spectrum: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(x) * spectrum, s=self._canvas)

    def _insert(self, r: Tensor, canvas: tuple[int, int]) -> Tensor:
        out = r.new_zeros((*r.shape[:-2], *canvas))
        height, width = r.shape[-2:]
        s = self.scale
        out[..., : height * s : s, : width * s : s] = r
        return out

    def A(self, x: Tensor) -> Tensor:
        full = self._filter(_mirror(x), self.transfer)
        return full[..., : self.shape[0] : self.scale, : self.shape[1] : self.scale]

    def adjoint(self, r: Tensor) -> Tensor:
        return _unmirror(self._filter(self._insert(r, self._canvas), self.transfer.conj()))

    def _coloured(self, x: Tensor, variance: Tensor | float) -> Tensor:
        """``C x`` for the covariance that is diagonal on the mirrored image."""
        if isinstance(variance, float):
            return variance * x
        return self._filter(_mirror(x), variance)[..., : self.shape[0], : self.shape[1]]

    def gram(self, variance: Tensor | float) -> Tensor:
        """Spectrum of ``A C A'`` on the mirrored low-resolution grid, full (not half) columns."""
        power = self.transfer.abs() ** 2 * variance
        rows, columns = self._canvas
        s = self.scale
        flipped = torch.roll(power[..., 1 : columns // 2].flip(-2, -1), 1, -2)
        power = torch.cat((power, flipped), dim=-1)
        blocks = power.reshape(*power.shape[:-2], s, rows // s, s, columns // s)
        return blocks.mean((-4, -2))

    def power(self, analysed: Tensor) -> Tensor:
        return torch.fft.fft2(_mirror(analysed), norm="ortho").abs() ** 2

    def residual(self, x: Tensor, analysed: Tensor) -> Tensor:
        return analysed - self.A(x.expand(*x.shape[:-2], *self.shape))

    def correct(
        self, x: Tensor, residual: Tensor, variance: Tensor | float, noise_var: Tensor
    ) -> Tensor:
        gram = self.gram(variance)
        # Averaged over one flip it is symmetric on mirrored images, as the iteration needs.
        gain = 1 / ((gram + torch.roll(gram.flip(-1), 1, -1)) / 2 + noise_var)
        gain = gain[..., : self.out_shape[1] + 1]

        def closed_form(r: Tensor) -> Tensor:
            full = torch.fft.irfft2(torch.fft.rfft2(_mirror(r)) * gain)
            return full[..., : r.shape[-2], : r.shape[-1]]

        def system(z: Tensor) -> Tensor:
            return self.A(self._coloured(self.adjoint(z), variance)) + noise_var * z

        z = _conjugate_gradient(system, closed_form, residual, self.iterations)
        return x + self._coloured(self.adjoint(z), variance)


def _conjugate_gradient(system, precondition, b: Tensor, iterations: int) -> Tensor:  # type: ignore[no-untyped-def]
    """Preconditioned conjugate gradients for each image of the batch apart."""

    def inner(u: Tensor, v: Tensor) -> Tensor:
        return (u * v).sum((-2, -1), keepdim=True)

    tiny = torch.finfo(b.dtype).tiny
    z = precondition(b)
    r = b - system(z)
    p = q = precondition(r)
    rho = inner(r, q)
    for _ in range(iterations):
        step = system(p)
        alpha = rho / inner(p, step).clamp_min(tiny)
        z, r = z + alpha * p, r - alpha * step
        q = precondition(r)
        rho, previous = inner(r, q), rho
        p = q + rho / previous.clamp_min(tiny) * p
    return z
