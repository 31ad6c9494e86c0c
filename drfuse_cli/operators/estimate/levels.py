"""How much noise each block of an image can hold, at full size and at smaller ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from drfuse_cli.operators.estimate.planes import Plane

Array = npt.NDArray[np.float64]

SCALES = 3
COMMON = 0.4
"""Share of blocks that must agree on one level for it to be that of noise."""

_BLOCK, _SMALL_BLOCK = 16, 8
_SCATTER = {_BLOCK: 0.13, _SMALL_BLOCK: 0.26}
_KERNEL = np.array([1, -2, 1], np.float32)
# Share of the pixels at the end of the range beyond which a block says nothing.
_MOST_ZEROS, _MOST_WHITE = 0.72, 0.02
# Blocks that lie on black throughout hold noise alone: from this share of zeros, if they are many.
_ON_BLACK, _MANY_ON_BLACK = 0.4, 0.15
# Quantiles of blocks of 16 that hold white noise alone, relative to its level (measured).
_CALM = {0.02: 0.84, 0.1: 0.90, 0.25: 0.945}


@dataclass(frozen=True)
class Blocks:
    """The noise level in each block that can be judged, and the share of blocks without any.

    ``background``: the same for blocks on a black ground, empty where that is too small.
    ``scatter``: by how much blocks of one level differ from it, up or down.
    """

    stds: Array
    background: Array
    dead: float
    scatter: float


def blocks(plane: Plane, step: float) -> list[Blocks]:
    """At full, half and quarter size, as far as there are blocks; empty for tiny planes.

    Second differences in both directions leave noise and little else. White noise has one
    level at all sizes: halving averages it, for which is made up.
    """
    dark, white = (np.asarray(m, np.float32) for m in (plane <= 0, plane >= 254.5))
    found = []
    for number in range(SCALES):
        if number:
            plane, dark, white = (_halve(x) for x in (plane, dark, white))
            plane = plane * 2
        block = _BLOCK if min(plane.shape) >= 4 * _BLOCK else _SMALL_BLOCK
        if min(plane.shape) < block:
            break
        found.append(_blocks(plane, dark, white, block, step))
    return found


def level_of(stds: Array, scatter: float = _SCATTER[_BLOCK]) -> tuple[float, float]:
    """The noise level of blocks, and the share of them that agree on it.

    Texture differs from place to place, noise does not. Where blocks do not agree
    (:data:`COMMON`), the level of the calmest, which bounds the noise from above.
    """
    if stds.size == 0:
        return 0.0, 0.0
    ordered = np.sort(stds)
    ends = np.searchsorted(ordered, ordered * (1 + scatter) / (1 - scatter), "right")
    counts = ends - np.arange(ordered.size)
    counts[ordered < 1e-3] = 0
    start = int(counts.argmax())
    share = float(counts[start] / ordered.size)
    if share >= COMMON:
        inside = ordered[start : ends[start]]
        return float(np.sqrt(np.mean(inside**2))), share
    return min(float(np.quantile(ordered, q)) / low for q, low in _CALM.items()), share


def _blocks(plane: Plane, dark: Plane, white: Plane, block: int, step: float) -> Blocks:
    details = cv2.sepFilter2D(plane, cv2.CV_32F, _KERNEL, _KERNEL, borderType=cv2.BORDER_REFLECT)
    energy = _block_means(details * details, block) / 36
    zeros, whites = _block_means(dark, block), _block_means(white, block)
    judged = (zeros <= _MOST_ZEROS) & (whites <= _MOST_WHITE)
    dead = (energy < 1e-6) | (zeros > 0.9) | (whites > 0.995)
    stds = _unclipped(np.sqrt(np.maximum(energy - step**2 / 12, 0)), zeros, step)
    on_black = judged & (zeros >= _ON_BLACK)
    enough = on_black.mean() >= _MANY_ON_BLACK
    background = stds[on_black] if enough else stds[:0].ravel()
    return Blocks(stds[judged], background, float(dead.mean()), _SCATTER[block])


def _halve(plane: Plane) -> Plane:
    height, width = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    if 0 in (height, width):
        return plane[:0, :0]
    half = cv2.resize(
        plane[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA
    )
    return np.asarray(half, np.float32)


def _block_means(plane: Plane, size: int) -> Array:
    rows, columns = plane.shape[0] // size, plane.shape[1] // size
    small = cv2.resize(
        plane[: rows * size, : columns * size], (columns, rows), interpolation=cv2.INTER_AREA
    )
    return np.asarray(small, np.float64)


# ---- clipping at black ------------------------------------------------------------------------


def _clipping() -> tuple[Array, Array, Array]:
    """Levels above black in standard deviations, the share of zeros there, and the standard
    deviation that clipping leaves of 1."""
    at = np.linspace(-2, 5, 281)
    density = np.exp(-at * at / 2) / math.sqrt(2 * math.pi)
    above = np.array([0.5 * math.erfc(-a / math.sqrt(2)) for a in at])
    mean = at * above + density
    return at, 1 - above, np.sqrt((1 + at * at) * above + at * density - mean**2)


_AT, _ZEROS, _LEFT = _clipping()


def _unclipped(stds: Array, zeros: Array, step: float) -> Array:
    """What the noise was before values below black became zero, as did those up to half a step."""
    at = np.interp(-zeros, -_ZEROS, _AT)
    first = stds / np.interp(at, _AT, _LEFT)
    up = np.minimum(step / 2 / np.maximum(first, 1e-3), 2)
    return stds / np.interp(at + up, _AT, _LEFT)
