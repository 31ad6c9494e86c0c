"""What a degradation operator can do; `mirror` and `general` are the two families."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import torch
from torch import Tensor

from drfuse_cli.operators.rings import Rings

# Natural images: power falls as frequency^-2.2 (ideas.md section 3, measured).
_SLOPE = 2.2


def natural_spectrum(frequency: Tensor, shape: tuple[int, int]) -> Tensor:
    """Expected power of a natural image over frequency, up to one factor."""
    lowest = 0.5 / max(shape)
    return (frequency**2 + lowest**2) ** (-_SLOPE / 2)


class Operator(ABC):
    """A linear degradation ``A`` from ``H x W`` images to ``h x w`` ones, immutable.

    Images are real tensors ``B x C x H x W``; every method works on the last two axes and
    keeps dtype and device. Source: DRFusion, eqs. (6)-(8), in the proximal form.
    """

    shape: tuple[int, int]
    out_shape: tuple[int, int]
    scale: int

    @abstractmethod
    def A(self, x: Tensor) -> Tensor:
        """Degrades ``B x C x H x W`` to ``B x C x h x w``."""

    @abstractmethod
    def adjoint(self, r: Tensor) -> Tensor:
        """The transpose: ``<A x, r> = <x, adjoint(r)>``."""

    @property
    @abstractmethod
    def frequency(self) -> Tensor:
        """Radial frequency of every spectral coefficient, cycles per full-resolution pixel."""

    @cached_property
    def log_frequency(self) -> Tensor:
        """Its logarithm, from a hundredth of a cycle on."""
        return torch.log(self.frequency.clamp_min(0.01))

    @cached_property
    def natural_spectrum(self) -> Tensor:
        """Expected power of a natural image over :attr:`frequency`, up to one factor."""
        return natural_spectrum(self.frequency, self.shape)

    @property
    @abstractmethod
    def blur(self) -> Operator:
        """The same blur without the pooling."""

    @property
    @abstractmethod
    def observed_frequency(self) -> Tensor:
        """The same for every coefficient of an observation, on the grid of :meth:`gram`."""

    @cached_property
    def rings(self) -> Rings:
        """Rings of frequencies on both grids."""
        return Rings.of(self.observed_frequency, self.frequency)

    def analyse(self, y: Tensor) -> Tensor:
        """An observation in the form that the methods below look at it."""
        return y

    @abstractmethod
    def residual(self, x: Tensor, analysed: Tensor) -> Tensor:
        """``analyse(y - A x)`` from ``x`` and ``analyse(y)``."""

    @abstractmethod
    def correct(
        self, x: Tensor, residual: Tensor, variance: Tensor | float, noise_var: Tensor
    ) -> Tensor:
        """:meth:`prox` for a residual that is known already."""

    def prox(
        self,
        x: Tensor,
        y: Tensor,
        variance: Tensor | float,
        noise_var: Tensor,
        analysed: Tensor | None = None,
    ) -> Tensor:
        """The noise-aware correction ``x + C A'(A C A' + s2 I)^-1 (y - A x)``.

        ``x``: ``B x C x H x W``, or ``B x C x 1 x 1`` where it is flat; ``variance``: the diagonal
        of the error covariance ``C`` of ``x`` over :attr:`frequency`, or one number for white
        errors; ``noise_var``: ``s2``, broadcast against ``B x C x 1 x 1``; ``analysed``: what
        :meth:`analyse` makes of ``y``, where it is known already. As ``s2`` falls to 0 this
        becomes the projection (8).
        """
        analysed = self.analyse(y) if analysed is None else analysed
        return self.correct(x, self.residual(x, analysed), variance, noise_var)

    @abstractmethod
    def gram(self, variance: Tensor | float) -> Tensor:
        """The spectrum of ``A C A'``: the signal power that reaches each observed frequency."""

    @abstractmethod
    def power(self, analysed: Tensor) -> Tensor:
        """Squared spectral coefficients of an analysed observation, on the grid of :meth:`gram`."""
