"""FMI: mutual information between the fused image and its sources in every 3 x 3 window.

A window's grey levels above its lowest one, divided by their sum, are read as a distribution
over its nine places. Two distributions p and q are joined by a mixture of independence and the
closest coupling there is (Frechet's bound), weighted so that the joint distribution has the
correlation of the two windows.

The closest coupling is the staircase of the sorted cumulative sums: at most 17 of its 81 cells
hold anything, and everywhere else the joint distribution is a product, whose entropy is known.
All sums are whole numbers until the weight is formed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from drfuse_cli.metrics.common import Array, Grey, is_numpy, log, look_up
from drfuse_cli.metrics.triple import Triple

Whole = npt.NDArray[np.int32]

_SIDE = 3
_CELLS = _SIDE**2
_PLACES = np.arange(1, _CELLS + 1, dtype=np.int32)
# Windows at a time: as many as the processor's cache holds, or a device's memory without effort.
_CHUNK = 8192
_DEVICE_CHUNK = 1 << 18
_TINY = np.finfo(np.float64).tiny

# A breakpoint of a cumulative sum in one number that sorts: its value (at most (8 * 255)^2),
# whose it is, and 255 less the grey level that ends there, so that of equal ones the place with
# a level comes before those without.
_LEVEL_BITS = 8
_LEVEL_MASK = (1 << _LEVEL_BITS) - 1


class Steps(NamedTuple):
    """The cells of a staircase, each 17 x windows."""

    length: Whole  # probability times both sums
    level_p: Grey
    level_q: Grey
    place_p: Grey
    place_q: Grey


def fmi(t: Triple) -> float:
    """Feature mutual information on pixels (Haghighat & Razian 2014)."""
    fused = _windows(t.f.placed)
    return float(np.mean([_mean_shared(_windows(x.placed), fused) for x in t.sources.both]))


def _windows(image: Grey) -> Grey:
    """Every window, read column by column: 9 x windows."""
    rows, columns = (n - _SIDE + 1 for n in image.shape)
    return np.stack(
        [image[i : i + rows, j : j + columns].ravel() for j in range(_SIDE) for i in range(_SIDE)]
    )


def _mean_shared(x: Grey, f: Grey) -> float:
    """Mean over the windows of 2 I(X; F) / (H(X) + H(F))."""
    same = (x == f).all(axis=0)
    p, q = x - np.min(x, axis=0), f - np.min(f, axis=0)
    flat_p, flat_q = (p == 0).all(axis=0), (q == 0).all(axis=0)
    total = float(np.sum(same | flat_p & flat_q))
    # A flat window shares nothing with one that is not.
    varied = np.flatnonzero(~(same | flat_p | flat_q))
    chunk = _CHUNK if is_numpy(x) else _DEVICE_CHUNK
    for start in range(0, len(varied), chunk):
        part = varied[start : start + chunk]
        total += float(_shared(_take(p, part), _take(q, part)).sum())
    return total / x.shape[1]


def _take(windows: Grey, chosen: npt.NDArray[np.intp]) -> Whole:
    # Contiguous, unlike windows[:, chosen].
    return np.take(windows, chosen, axis=1).astype(np.int32)


def _shared(p: Whole, q: Whole) -> Array:
    """2 I / (H + H) for distributions in whole numbers, 9 x windows, none of them flat."""
    sum_p, sum_q = _total(p), _total(q)
    correlation = _correlation(p, q)
    # A negative correlation is that of the window read backwards with the sign changed.
    against = correlation < 0
    p[:, against] = np.flip(p, axis=0)[:, against]
    steps = _staircase(p, q)
    weight = np.abs(correlation) * _over_closest_correlation(p, q, steps)
    scale = sum_p.astype(np.float64) * sum_q
    product = steps.level_p.astype(np.float64) * steps.level_q * ((1 - weight) / scale)
    joint = product + steps.length * (weight / scale)
    entropies = _entropy(p, sum_p) + _entropy(q, sum_q)
    rest: Array = 1 - weight
    everywhere = _x_log_x(rest[None])[0] - rest * entropies
    on_the_steps = (_x_log_x(joint) - _x_log_x(product)).sum(axis=0)
    shared = entropies + everywhere + on_the_steps
    return np.divide(2 * shared, entropies, out=np.zeros_like(shared), where=entropies > 0)


def _total(x: Whole, weights: Whole | int = 1) -> Whole:
    return np.sum(x * weights, axis=0, dtype=np.int32)


def _correlation(p: Whole, q: Whole) -> Array:
    """Pearson's correlation over the nine places."""
    sum_p, sum_q = _total(p), _total(q)
    covariance = _CELLS * _total(p, q) - sum_p * sum_q
    variance_p, variance_q = _CELLS * _total(p, p) - sum_p**2, _CELLS * _total(q, q) - sum_q**2
    return covariance / np.sqrt(variance_p.astype(np.float64) * variance_q)


def _entropy(p: Whole, total: Whole) -> Array:
    """Shannon entropy in nats of grey levels over their total."""
    return np.log(total.astype(np.float64)) - look_up(_LEVEL_LOG_LEVEL, p).sum(axis=0) / total


def _staircase(p: Whole, q: Whole) -> Steps:
    """The closest coupling of `p` and `q`: what lies between neighbouring breakpoints."""
    sum_p, sum_q = _total(p), _total(q)
    of_p, of_q = _breakpoints(p, sum_q, 0), _breakpoints(q, sum_p, 1)
    keys = _merge(np.concatenate([of_p, np.flip(of_q, axis=0)]))
    ends = np.concatenate([keys >> _LEVEL_BITS + 1, (sum_p * sum_q)[None]])
    length = np.copy(ends)
    length[1:] -= ends[:-1]
    # Backwards, since a cell belongs to the breakpoints of p and of q that follow. Its levels
    # and places are the four bytes of one word.
    whose = keys >> _LEVEL_BITS & 1
    level = ~keys & _LEVEL_MASK
    kept = ~0xFF ^ whose * 0xFFFF
    change = (level << 8 * whose) - (1 << 16 << 8 * whose)
    words = np.empty_like(length)
    words[-1] = p[-1] | q[-1] << 8 | _CELLS << 16 | _CELLS << 24
    for k in reversed(range(len(keys))):
        np.bitwise_and(words[k + 1], kept[k], out=words[k])
        words[k] += change[k]
    return Steps(length, *np.moveaxis(words.view(np.uint8).reshape(*words.shape, 4), -1, 0))


def _breakpoints(p: Whole, scale: Whole, whose: int) -> Whole:
    value = p[:-1] * scale
    for k in range(1, len(value)):
        value[k] += value[k - 1]
    return value << _LEVEL_BITS + 1 | whose << _LEVEL_BITS | (_LEVEL_MASK - p[:-1])


def _merge(keys: Whole) -> Whole:
    """Sort a rising half and a falling half along the first axis (Batcher's bitonic merge)."""
    shape = keys.shape
    width = shape[0] // 2
    while width:
        pairs = keys.reshape(-1, 2, width, shape[1])
        low, high = pairs[:, 0], pairs[:, 1]
        keys = np.stack([np.minimum(low, high), np.maximum(low, high)], axis=1).reshape(shape)
        width //= 2
    return keys


def _over_closest_correlation(p: Whole, q: Whole, steps: Steps) -> Array:
    """1 / correlation of the places in the closest coupling; 0 where one place holds all."""
    places = steps.place_p.astype(np.int32) * steps.place_q
    first_p, first_q = (_total(x, _PLACES[:, None]) for x in (p, q))
    covariance = _total(steps.length, places) - first_p * first_q
    variance_p = _total(p) * _total(p, _PLACES[:, None] ** 2) - first_p**2
    variance_q = _total(q) * _total(q, _PLACES[:, None] ** 2) - first_q**2
    spread = np.sqrt(variance_p.astype(np.float64) * variance_q)
    return np.divide(spread, covariance, out=np.zeros_like(spread), where=spread > 0)


def _x_log_x(x: Array) -> Array:
    """x log |x| of a two-dimensional array, 0 for 0."""
    return x * log(np.maximum(np.abs(x), _TINY))


_LEVEL_LOG_LEVEL = _x_log_x(np.arange(256.0)[None])
