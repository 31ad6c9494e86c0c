"""Metrics on grey-level histograms: what the fused image tells about its sources, in bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drfuse_cli.metrics.common import Array, Undefined
from drfuse_cli.metrics.triple import (
    Picture,
    Sources,
    Triple,
    once,
    require_stretchable,
    stretched_levels,
)

LEVELS = 256
_NAVA_ORDER = 0.43137


def mi(t: Triple) -> float:
    """Mutual information with both sources in bits, 0..16 (Qu et al. 2002)."""
    with_a, with_b = _mutual_informations(t)
    return with_a + with_b


def q_mi(t: Triple) -> float:
    """Normalised mutual information, 0..2 (Hossny et al. 2008)."""
    require_stretchable(*t.pictures)
    value = 0.0
    for x, shared in zip(t.sources.both, _mutual_informations(t), strict=True):
        total = entropy(x) + entropy(t.f)
        if total == 0:
            raise Undefined("constant images: no entropy to share")
        value += 2 * shared / total
    return value


def q_ncie(t: Triple) -> float:
    """Nonlinear correlation information entropy, 1 - log_256 3 .. 1 (Wang et al. 2005)."""
    require_stretchable(*t.pictures)
    ab = _mutual_information(t.a, t.b, _joint_of_sources(t.sources)) / np.log2(LEVELS)
    af, bf = (shared / np.log2(LEVELS) for shared in _mutual_informations(t))
    correlation = np.array([[1, ab, af], [ab, 1, bf], [af, bf, 1]])
    share = np.linalg.eigvalsh(correlation) / 3
    return 1.0 - _entropy(share) / float(np.log2(LEVELS))


def q_te(t: Triple) -> float:
    """Mutual information in Tsallis entropy of order 0.43137 (Nava et al. 2007)."""
    require_stretchable(*t.pictures)
    af, bf = (_tsallis(x, t.f, joint) for x, joint in zip(t.sources.both, _joints(t), strict=True))
    ab = _tsallis(t.a, t.b, _joint_of_sources(t.sources))
    scale = entropy(t.a) ** _NAVA_ORDER + entropy(t.b) ** _NAVA_ORDER + ab
    if scale == 0:
        raise Undefined("constant sources: no entropy to share")
    return (af + bf) / scale


@once
def entropy(x: Picture) -> float:
    """Shannon entropy of the grey levels in bits."""
    return _entropy(np.bincount(x.pixels.ravel(), minlength=LEVELS) / x.pixels.size)


def joint_histogram(x: Picture, y: Picture) -> Array:
    """Joint distribution of grey levels, 256 x 256, rows for `x`."""
    index: npt.NDArray[np.intp] = x.pixels.ravel().astype(np.intp) * LEVELS + y.pixels.ravel()
    counts = np.bincount(index, minlength=LEVELS * LEVELS)
    return counts.reshape(LEVELS, LEVELS) / x.pixels.size


@once
def _joint_of_sources(sources: Sources) -> Array:
    return joint_histogram(sources.a, sources.b)


@once
def _joints(t: Triple) -> tuple[Array, Array]:
    return joint_histogram(t.a, t.f), joint_histogram(t.b, t.f)


@once
def _mutual_informations(t: Triple) -> tuple[float, float]:
    joint_a, joint_b = _joints(t)
    return _mutual_information(t.a, t.f, joint_a), _mutual_information(t.b, t.f, joint_b)


def _mutual_information(x: Picture, y: Picture, joint: Array) -> float:
    return max(entropy(x) + entropy(y) - _entropy(joint), 0.0)  # rounding may leave less


def _entropy(p: Array) -> float:
    """Shannon entropy in bits of a distribution of any shape, with 0 log 0 = 0."""
    p = p[p > 0]
    return float(-np.sum(p * np.log2(p)))


def _tsallis(x: Picture, y: Picture, joint: Array) -> float:
    # The reference multiplies the marginal of y at the row's level by that of x at the column's.
    # This ties the levels to each other, so that the stretching matters here.
    q = _NAVA_ORDER
    (x_low, x_high), (y_low, y_high) = x.levels, y.levels
    places = np.ix_(*(stretched_levels(picture).astype(np.intp) for picture in (x, y)))
    stretched = np.zeros_like(joint)
    stretched[places] = joint[x_low : x_high + 1, y_low : y_high + 1]
    crossed = np.outer(stretched.sum(axis=0), stretched.sum(axis=1))
    met = stretched > 0
    return float((1 - np.sum(stretched[met] ** q * crossed[met] ** (1 - q))) / (1 - q))
