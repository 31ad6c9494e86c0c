"""A pattern that repeats in every row, or in every column: uneven detector lines."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from drfuse_cli.operators.estimate.findings import Estimate
from drfuse_cli.operators.estimate.planes import Plane

Array = npt.NDArray[np.float64]

_AROUND = 31
"""Columns that one is compared with, itself in the middle: stripes may come in bands."""
_ROWS = 64
"""As many at most are looked at for it, each the mean of some."""
_BANDS = 12
_WIDTH = 5
SMALLEST = 64
"""Pixels a side from which on stripes can be told."""
_LEAST, _ALIKE = 0.4, 0.75
_LIMIT = 3.7
_STANDS_OUT = 3.0
"""Times the median offset from which on one may be a pole or the edge of a wall."""
_PARTS, _MOST = 8, 6 / 8
_NEARLY, _APART, _STRONGEST = 0.5, 8.0, 24.0
"""It is neither where six of eight parts of the height agree on it, within half of itself and
eight grey levels, and it is no stronger than a stripe may be."""


def striping(plane: Plane) -> Estimate:
    """The standard deviation of the stronger of column and row stripes, in grey levels.

    Stripes stand in every part of the image at the same place; edges of things do not.
    """
    if min(plane.shape) < SMALLEST:
        return Estimate(0.0, 0.0, "too small to judge")
    found = {"columns": _pattern(plane), "rows": _pattern(np.ascontiguousarray(plane.T))}
    name, (std, alike) = max(found.items(), key=lambda item: item[1][0] * item[1][1])
    if std >= _LEAST and alike >= _ALIKE:
        return Estimate(std, min(1.0, alike), f"{name} keep their offset over the whole image")
    return Estimate(0.0, 1 - max(alike, 0.0), "no pattern repeats over the whole image")


def is_striped(plane: Plane) -> bool:
    """Whether columns keep an offset of their own over the whole plane."""
    std, alike = _pattern(plane) if min(plane.shape) >= SMALLEST else (0.0, 0.0)
    return std >= _LEAST and alike >= _ALIKE


def column_offsets(plane: Plane) -> Array:
    """By how much every column departs from those around it, in grey levels.

    Sides are ``SMALLEST`` pixels and more. Where an offset is far from all others and not alike
    from top to bottom, a part of the scene stands there, and little of it counts.
    """
    rows = _pooled(plane, math.ceil(len(plane) / _ROWS))
    padded = np.pad(rows, ((0, 0), (_AROUND // 2, _AROUND // 2)), mode="reflect")
    # A median keeps edges, which a mean would spread over all columns around.
    departs = rows - np.median(sliding_window_view(padded, _AROUND, axis=1), axis=-1)
    offsets = np.median(departs, axis=0)
    bands = np.stack([np.median(band, axis=0) for band in np.array_split(departs, _PARTS)])
    strength = np.abs(offsets)
    alike = np.abs(bands - offsets) < np.minimum(_NEARLY * strength, _APART)
    sure = (alike.mean(axis=0) >= _MOST) & (strength < _STRONGEST)
    limit = _STANDS_OUT * float(np.median(strength))
    return np.asarray(np.where(sure, offsets, offsets.clip(-limit, limit)), np.float64)


def _pooled(plane: Plane, count: int) -> Plane:
    """Means of so many rows each; the last that are fewer are left out."""
    whole = plane[: len(plane) // count * count]
    return whole.reshape(-1, count, plane.shape[1]).mean(axis=1)


def _pattern(plane: Plane) -> tuple[float, float]:
    """Standard deviation of column offsets, and how alike they are in both halves."""
    # Every second row tells as much, and is half the work.
    details = (plane - cv2.blur(plane, (_WIDTH, 1), borderType=cv2.BORDER_REFLECT))[::2]
    bands = [np.median(band, 0) for band in np.array_split(details, _BANDS)]
    upper, lower = (np.median(half, 0) for half in (bands[: _BANDS // 2], bands[_BANDS // 2 :]))
    shared, own = _spread((upper + lower) / 2), _spread((upper - lower) / 2)
    variance = max(shared**2 - own**2, 0.0)
    return math.sqrt(variance * _WIDTH / (_WIDTH - 1)), variance / (shared**2 + 1e-6)


def _spread(values: Array) -> float:
    """Standard deviation, with little weight for the few columns where edges stand."""
    centred = values - np.median(values)
    limit = _LIMIT * float(np.median(np.abs(centred)))
    return float(np.std(centred.clip(-limit, limit)))
