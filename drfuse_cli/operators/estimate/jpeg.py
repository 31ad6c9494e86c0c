"""Marks of JPEG: cosine coefficients of its blocks that keep to multiples of a step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drfuse_cli.operators.estimate.features import SMALLEST
from drfuse_cli.operators.estimate.findings import Estimate
from drfuse_cli.operators.estimate.planes import Plane

Array = npt.NDArray[np.float64]

# Positions of low frequencies, and the steps of the standard luminance table there (ITU-T T.81,
# annex K).
_TABLE = {
    (0, 1): 11, (1, 0): 12, (2, 0): 14, (1, 1): 12, (0, 2): 10, (0, 3): 16, (1, 2): 14,
    (2, 1): 13, (3, 0): 14, (2, 2): 16, (1, 3): 19, (3, 1): 17,
}  # fmt: skip
_STEPS = np.arange(2, 61)
_MOST_BLOCKS = 1500
_FEWEST = 25
_CLOSE = 0.5
_POSITIONS = 5


def compression(plane: Plane) -> Estimate:
    """The quality (1..100, that of libjpeg) of an earlier compression; 100 where there is no mark.

    Only for blocks that begin in the corner, as they do unless the image was cropped.
    """
    if min(plane.shape) < SMALLEST:
        return Estimate(100.0, 0.0, "too small to judge")
    coefficients = _coefficients(plane)
    steps = {at: _step(coefficients[:, at[0], at[1]]) for at in _TABLE}
    judged = {at: step for at, step in steps.items() if step is not None}
    ratios = [step / _TABLE[at] for at, step in judged.items() if step > 1]
    if len(judged) < _POSITIONS:
        return Estimate(100.0, 0.3, "too little detail to judge")
    share = len(ratios) / len(judged)
    if share < 0.6 or len(ratios) < _POSITIONS:
        return Estimate(100.0, 1 - share, "coefficients of 8x8 blocks keep to no step")
    ratio = float(np.median(ratios))
    quality = 50 / ratio if ratio > 1 else 100 - 50 * ratio
    return Estimate(round(quality), share, "coefficients of 8x8 blocks keep to steps")


def _coefficients(plane: Plane) -> Array:
    rows, columns = plane.shape[0] // 8, plane.shape[1] // 8
    grid = plane[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).swapaxes(1, 2)
    every = -(-rows * columns // _MOST_BLOCKS)
    blocks = grid.reshape(-1, 8, 8)[::every].astype(np.float64)
    k, n = np.arange(8)[:, None], np.arange(8)[None]
    transform = np.cos(np.pi * (2 * n + 1) * k / 16) / 2
    transform[0] /= np.sqrt(2)
    return np.asarray(transform @ blocks @ transform.T)


def _step(values: Array) -> float | None:
    """The largest step whose multiples all sizeable values are close to; None for too few."""
    sizes = np.abs(values)
    sizes = sizes[sizes > 1]
    if len(sizes) < _FEWEST:
        return None
    best = 1.0
    phases = np.cos(2 * np.pi * sizes[:, None] / _STEPS)
    sizeable = sizes[:, None] > 0.6 * _STEPS
    counts = sizeable.sum(0)
    scores = (phases * sizeable).sum(0) / np.maximum(counts, 1)
    # What lies below half a step must be next to nothing: it was rounded away.
    between = ((sizes[:, None] > 1) & ~sizeable & (sizes[:, None] > 0.25 * _STEPS)).sum(0)
    fits = (scores > _CLOSE) & (counts >= _FEWEST) & (between < 0.2 * counts)
    return float(_STEPS[fits][-1]) if fits.any() else best
