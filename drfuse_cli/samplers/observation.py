"""What the sampler is given of a pair: observations, their lifts, and their description."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from drfuse_cli.operators.lift import lift, prior_level, prior_variance
from drfuse_cli.operators.operator import Operator


@dataclass(frozen=True)
class Observation:
    """One degraded source ``y = A x + n`` in the units of the state.

    ``y``: ``B x C x h x w``; ``noise_var``: ``B x C x 1 x 1``; ``channels``: the part of the
    state it observes; ``level`` of the prior, ``B x C x 1 x 1``, where ``y`` is part of a whole.
    """

    operator: Operator
    y: Tensor
    noise_var: Tensor
    channels: slice
    level: Tensor | None = None

    def lift(self) -> Tensor:
        """The coloured-prior estimate at full resolution, ``B x C x H x W``."""
        return lift(self.operator, self.y, self.noise_var, self.prior, self.analysed)

    @cached_property
    def prior(self) -> Tensor:
        """The power-law prior of the scene over ``operator.frequency``, ``B x C x H x W``."""
        return prior_variance(self.operator, self.found_level)

    @cached_property
    def found_level(self) -> Tensor:
        """The level of the prior: that of the whole where it is given, else of ``y``."""
        if self.level is not None:
            return self.level
        return prior_level(self.operator, self.y, self.noise_var, self.analysed)

    @cached_property
    def analysed(self) -> Tensor:
        """``y`` as the operator looks at it in every step."""
        return self.operator.analyse(self.y)

    def enlarge(self) -> Tensor:
        """The observation itself, each pixel repeated up to full resolution."""
        s = self.operator.scale
        return self.y.repeat_interleave(s, -2).repeat_interleave(s, -1)


@dataclass(frozen=True)
class Inputs:
    """A batch ready for the sampler: the observations and the ``B x 9`` that describes them.

    Its images are ``B x 4 x H x W``: source 1, source 2, Cb, Cr; without colour zeros.
    """

    observations: tuple[Observation, ...]
    condition: Tensor

    @cached_property
    def lifted(self) -> Tensor:
        """The closed-form estimates."""
        return _four([o.lift() for o in self.observations])

    @cached_property
    def observed(self) -> Tensor:
        """The observations themselves, enlarged."""
        return _four([o.enlarge() for o in self.observations])


def _four(images: list[Tensor]) -> Tensor:
    joined = torch.cat(images, dim=1)
    missing = 4 - joined.shape[1]
    return F.pad(joined, (0, 0, 0, 0, 0, missing)) if missing else joined


_ROUNDING = 0.3
"""Grey levels that no flag states: rounding to 8 bits, a standard deviation of 0.29."""

_EXACT = 1e-10
"""Variance of a source that is stated to be the scene itself: the constraint is then exact."""


def noise_variance(noise_std: Tensor, untouched: Tensor, gain: Tensor | float = 1.0) -> Tensor:
    """Variance ``B x 1 x 1 x 1`` in image units from grey levels, ``B``.

    ``gain``: how much noise of the file's channels reaches this one, as in ``noise_std``;
    their rounding does alike.
    ``untouched`` marks sources with no noise, no blur and full resolution.
    """
    variance = (noise_std / 255) ** 2 + (gain * _ROUNDING / 255) ** 2
    return torch.where(untouched, torch.full_like(variance, _EXACT), variance)[:, None, None, None]


SOURCE1, SOURCE2, FUSED, CHROMA = slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 5)


def describe(
    noise_std: Tensor, blur_sigma: Tensor, scale: Tensor, chroma_std: Tensor, colour_from: Tensor
) -> Tensor:
    """The condition vector ``B x 9``, all components of order one.

    ``noise_std`` (luminance, grey levels), ``blur_sigma`` and ``scale``: ``B x 2``, one column a
    source; ``chroma_std``: ``B``; ``colour_from``: ``B``, 0 for a grey pair, else 1 or 2.
    """
    sources = torch.cat(
        (torch.log2(1 + noise_std) / 5, blur_sigma / 3, torch.log2(scale) / 2), dim=1
    )
    chroma = torch.log2(1 + chroma_std) / 5
    colour = torch.stack((chroma, (colour_from > 0).float(), (colour_from == 1).float()), dim=1)
    return torch.cat((sources, colour), dim=1)


def stated(condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of both sources, ``B x 2`` each: noise of luminance in grey levels, blur sigma, scale."""
    noise, blur, scale = condition[:, :2], condition[:, 2:4], condition[:, 4:6]
    return torch.exp2(5 * noise) - 1, 3 * blur, torch.exp2(2 * scale)


def with_noise(condition: Tensor, noise_std: Tensor) -> Tensor:
    """The same description with another noise of luminance, ``B x 2`` grey levels."""
    return torch.cat((torch.log2(1 + noise_std) / 5, condition[:, 2:]), dim=1)


def colour_source(condition: Tensor) -> int | None:
    """Which source of a batch, 0 or 1, its chroma is of; none of grey pairs."""
    if not bool(condition[:, 7].any()):
        return None
    return 0 if bool(condition[:, 8].any()) else 1
