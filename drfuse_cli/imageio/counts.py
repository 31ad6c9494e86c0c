"""Floating-point measurements as 16-bit counts."""

from __future__ import annotations

import numpy as np

from drfuse_cli.errors import DrfuseError

_LEAST_BULK = 1 / 256


def counted(values: np.ndarray, name: str) -> tuple[np.ndarray, tuple[float, float]]:
    """Floating-point numbers as 16-bit counts, and the unit of these."""
    if not np.isfinite(values).all():
        raise DrfuseError(
            "holds values that are not numbers",
            hint="Replace them, for example by the smallest value of the picture.",
            path=name,
        )
    low, high = float(values.min()), float(values.max())
    first, last = np.percentile(values, (0.1, 99.9)).tolist()
    if last - first < _LEAST_BULK * (high - low):
        raise DrfuseError(
            f"a few values lie far outside all others: {low:.6g} to {high:.6g}, where most lie "
            f"from {first:.6g} to {last:.6g}",
            hint="If they mark missing data, replace them; else save the logarithm.",
            path=name,
        )
    step = (high - low) / 65535 or 1.0
    counts = np.floor((values.astype(np.float64) - low) / step + 0.5)
    return counts.clip(0, 65535).astype(np.uint16), (low, step)
