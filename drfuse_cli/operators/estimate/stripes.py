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
_ROWS = 160
"""The most that are looked at for it."""
_BANDS = 12
_WIDTH = 5
_SMALLEST = 64
_LEAST, _ALIKE = 0.4, 0.75
_LIMIT = 3.7
_STANDS_OUT = 6.0
"""Times the median offset from which on one is a pole or the edge of a wall."""


def striping(plane: Plane) -> Estimate:
    """The standard deviation of the stronger of column and row stripes, in grey levels.

    Stripes stand in every part of the image at the same place; edges of things do not.
    """
    if min(plane.shape) < _SMALLEST:
        return Estimate(0.0, 0.0, "too small to judge")
    found = {"columns": _pattern(plane), "rows": _pattern(np.ascontiguousarray(plane.T))}
    name, (std, alike) = max(found.items(), key=lambda item: item[1][0] * item[1][1])
    if std >= _LEAST and alike >= _ALIKE:
        return Estimate(std, min(1.0, alike), f"{name} keep their offset over the whole image")
    return Estimate(0.0, 1 - max(alike, 0.0), "no pattern repeats over the whole image")


def without_stripes(plane: Plane) -> Plane:
    """A plane in grey levels less the offsets of its columns; as it is if none are seen.

    Columns alone: rows of a scene hold horizons.
    """
    std, alike = _pattern(plane) if min(plane.shape) >= _SMALLEST else (0.0, 0.0)
    if std < _LEAST or alike < _ALIKE:
        return plane
    rows = plane[:: math.ceil(len(plane) / _ROWS)]
    padded = np.pad(rows, ((0, 0), (_AROUND // 2, _AROUND // 2)), mode="reflect")
    # A median keeps edges, which a mean would spread over all columns around.
    around = np.median(sliding_window_view(padded, _AROUND, axis=1), axis=-1)
    offsets = np.median(rows - around, axis=0)
    limit = _STANDS_OUT * float(np.median(np.abs(offsets)))
    return np.asarray(plane - offsets.clip(-limit, limit), np.float32)


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
