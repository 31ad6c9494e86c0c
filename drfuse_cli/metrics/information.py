"""Metrics on grey-level histograms: what the fused image tells about its sources, in bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drfuse_cli.metrics.common import Array, Grey, Undefined

LEVELS = 256


def q_mi(a: Grey, b: Grey, f: Grey) -> float:
    """Normalised mutual information, 0..2 (Hossny et al. 2008)."""
    _require_stretchable(a, b, f)
    return 2.0 * (_shared_fraction(a, f) + _shared_fraction(b, f))


def q_ncie(a: Grey, b: Grey, f: Grey) -> float:
    """Nonlinear correlation information entropy, 1 - log_256 3 .. 1 (Wang et al. 2005)."""
    _require_stretchable(a, b, f)
    ab, af, bf = (mutual_information(x, y) / np.log2(LEVELS) for x, y in ((a, b), (a, f), (b, f)))
    correlation = np.array([[1, ab, af], [ab, 1, bf], [af, bf, 1]])
    share = np.linalg.eigvalsh(correlation) / 3
    return 1.0 - entropy(share) / float(np.log2(LEVELS))


def entropy(p: Array) -> float:
    """Shannon entropy in bits of a distribution of any shape, with 0 log 0 = 0."""
    p = p[p > 0]
    return float(-np.sum(p * np.log2(p)))


def mutual_information(x: Grey, y: Grey) -> float:
    """I(X; Y) in bits from the 256 x 256 joint histogram."""
    joint = joint_histogram(x, y)
    return entropy(joint.sum(axis=1)) + entropy(joint.sum(axis=0)) - entropy(joint)


def joint_histogram(x: Grey, y: Grey) -> Array:
    """Joint distribution of grey levels, 256 x 256, rows for `x`."""
    index: npt.NDArray[np.intp] = x.ravel().astype(np.intp) * LEVELS + y.ravel()
    counts = np.bincount(index, minlength=LEVELS * LEVELS)
    return counts.reshape(LEVELS, LEVELS) / x.size


def _shared_fraction(x: Grey, f: Grey) -> float:
    joint = joint_histogram(x, f)
    total = entropy(joint.sum(axis=1)) + entropy(joint.sum(axis=0))
    if total == 0:
        raise Undefined("constant images: no entropy to share")
    return (total - entropy(joint)) / total


def _require_stretchable(*images: Grey) -> None:
    # The reference stretches every image to 0..255 first. On 8-bit levels that is injective,
    # so no histogram metric changes and it is left out; but it fails on a constant image,
    # unless that is black.
    for image in images:
        if image.min() == image.max() != 0:
            raise Undefined(f"constant image (grey level {image.flat[0]} everywhere)")
