"""Spectra that depend on the radial frequency alone: means over rings, and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_APART = 0.02  # cycles per pixel
_CELLS = 64


@dataclass(frozen=True)
class Rings:
    """Overlapping rings on the spectral grids of an operator, wherever coefficients are observed.

    ``counts``: how many of them each ring has.
    """

    counts: Tensor
    _cells: tuple[int, int]
    _weights: Tensor
    _below: Tensor
    _above: Tensor
    _share: Tensor

    @classmethod
    def of(cls, observed: Tensor, frequency: Tensor) -> Rings:
        """From the frequencies of an observation, ``h x w``, and of the scene, ``H x W``."""
        # Cells first: sums over few numbers come out alike on every device.
        cells = min(_CELLS, observed.shape[0]), min(_CELLS, observed.shape[1])
        at = F.adaptive_avg_pool2d(observed[None], cells).flatten()
        middles = _APART * torch.arange(int(at.max() / _APART) + 2).to(at)
        weights = (1 - (at[:, None] - middles).abs() / _APART).clamp_min(0)
        met = weights.sum(0) > 0.5
        middles, weights = middles[met], weights[:, met]
        above = torch.bucketize(frequency, middles).clamp(1, max(len(middles) - 1, 1))
        above = above.clamp_max(len(middles) - 1)
        below = (above - 1).clamp_min(0)
        width = (middles[above] - middles[below]).clamp_min(1e-6)
        return cls(
            weights.sum(0) * (observed.numel() / at.numel()),
            cells,
            weights / weights.sum(0),
            below,
            above,
            ((frequency - middles[below]) / width).clamp(0, 1),
        )

    def mean(self, observed: Tensor) -> Tensor:
        """Of each ring, ``... x rings`` from ``... x h x w``."""
        flat = observed.reshape(-1, 1, *observed.shape[-2:])
        cells = F.adaptive_avg_pool2d(flat, self._cells).flatten(-2)
        return (cells @ self._weights).reshape(*observed.shape[:-2], -1)

    def spread(self, values: Tensor) -> Tensor:
        """Over the frequencies of the scene, ``... x H x W`` from ``... x rings``."""
        below, above = values[..., self._below], values[..., self._above]
        return below + self._share * (above - below)
