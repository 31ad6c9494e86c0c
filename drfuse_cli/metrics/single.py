"""Metrics of the fused image alone: how much it shows, whether or not a source had it."""

from __future__ import annotations

import numpy as np

from drfuse_cli.metrics.common import magnitude
from drfuse_cli.metrics.information import entropy
from drfuse_cli.metrics.triple import Triple


def en(t: Triple) -> float:
    """Entropy of the grey levels in bits, 0..8."""
    return entropy(t.f)


def sd(t: Triple) -> float:
    """Standard deviation of the grey levels, divided by their number."""
    return float(np.std(t.f.real))


def sf(t: Triple) -> float:
    """Spatial frequency: root of the summed mean squares of first differences."""
    x = t.f.real
    return float(np.sqrt(np.mean(np.diff(x, axis=0) ** 2) + np.mean(np.diff(x, axis=1) ** 2)))


def ag(t: Triple) -> float:
    """Average gradient: central differences inside, one-sided at the border."""
    rows, columns = t.f.pixels.shape
    total = magnitude(*np.gradient(t.f.real)).sum() / np.sqrt(2)
    return float(total / ((rows - 1) * (columns - 1)))
