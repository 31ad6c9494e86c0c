"""Metrics on first differences and wavelet bands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drfuse_cli.metrics.common import Array, Undefined, exp
from drfuse_cli.metrics.triple import Triple

_FINE, _COARSE = 2 / 3, 1 / 3  # exponents of the two levels of Q_M
_DIAGONAL = 1 / np.sqrt(2)

_DIFFERENCES: tuple[tuple[float, Callable[[Array], Array]], ...] = (
    (1, lambda x: x[:, 1:] - x[:, :-1]),
    (1, lambda x: x[1:] - x[:-1]),
    (_DIAGONAL, lambda x: x[1:, 1:] - x[:-1, :-1]),
    (_DIAGONAL, lambda x: x[1:, :-1] - x[:-1, 1:]),
)


def q_sf(t: Triple) -> float:
    """Spatial frequency beyond what the sources hold at best, -1 or more (Zheng et al. 2007)."""
    fused = reference = 0.0
    for weight, difference in _DIFFERENCES:
        a, b, f = (difference(x.real) for x in t.pictures)
        fused += weight * float(np.sum(f**2))
        reference += weight * float(np.sum(np.maximum(np.abs(a), np.abs(b)) ** 2))
    if reference == 0:
        raise Undefined("both sources are constant: no spatial frequency")
    return float(np.sqrt(fused / reference)) - 1


def q_m(t: Triple) -> float:
    """Edges kept in two levels of a Haar pyramid, 0..3 (Wang & Liu 2008)."""
    low = [x.real for x in t.pictures]
    value = 1.0
    for exponent in (_FINE, _COARSE):
        bands = [_haar(x) for x in low]
        low = [level[0] for level in bands]
        a, b, f = (level[1:] for level in bands)
        weight_a, weight_b = (sum(band**2 for band in x) for x in (a, b))
        total = np.sum(weight_a + weight_b)
        if total == 0:
            raise Undefined("the sources have no detail at one level of the pyramid")
        value *= float(np.sum(_kept(a, f) * weight_a + _kept(b, f) * weight_b) / total) ** exponent
    return value


def _haar(x: Array) -> tuple[Array, Array, Array, Array]:
    """Low band and the three detail bands of one orthonormal Haar step; an odd line is dropped."""
    rows, columns = (n // 2 * 2 for n in x.shape)
    top, bottom = x[0:rows:2, :columns], x[1:rows:2, :columns]
    total, change = top + bottom, top - bottom
    left, right = slice(0, None, 2), slice(1, None, 2)
    return (
        (total[:, left] + total[:, right]) / 2,
        (total[:, left] - total[:, right]) / 2,
        (change[:, left] + change[:, right]) / 2,
        (change[:, left] - change[:, right]) / 2,
    )


def _kept(source: tuple[Array, ...], fused: tuple[Array, ...]) -> Array:
    first, second, third = (exp(-np.abs(x - f)) for x, f in zip(source, fused, strict=True))
    return first + second + third
