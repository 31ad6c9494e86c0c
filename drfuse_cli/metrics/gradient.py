"""Metrics on image gradients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from drfuse_cli.metrics.common import (
    Array,
    Undefined,
    correlate_mirrored,
    correlate_same,
    magnitude,
    sigmoid,
)
from drfuse_cli.metrics.triple import Picture, Triple

SMOOTH, SLOPE = np.array([1.0, 2.0, 1.0]), np.array([-1.0, 0.0, 1.0])
_TINY = 1e-5  # stands for a zero gradient in the reference of Q_G
_STRONG = 2.0  # Sobel strength over 8 from which a gradient counts in N_ABF


class Edges(NamedTuple):
    """Strength and orientation (-pi/2..pi/2) of the gradient, each H x W."""

    strength: Array
    orientation: Array


def q_g(t: Triple) -> float:
    """Gradient preservation Q^AB/F, 0..0.9748 (Xydeas & Petrovic 2000)."""
    if t.a.levels == t.b.levels == (0, 0):
        raise Undefined("both sources are black: no gradient to preserve")
    a, b, f = (_edges(x) for x in t.pictures)
    kept = a.strength * _preservation(a, f) + b.strength * _preservation(b, f)
    return float(kept.sum() / (a.strength + b.strength).sum())


def n_abf(t: Triple) -> float:
    """Gradient that no source has, as a share of the sources' own, 0..1 (Kumar 2013)."""
    a, b, f = (_mirrored_edges(x) for x in t.pictures)
    added = (f.strength > a.strength) & (f.strength > b.strength)
    weights = [
        np.where(x.strength >= _STRONG, x.strength * np.sqrt(x.strength), 0.001) for x in (a, b)
    ]
    lost = [(1 - _similarity(x, f)) * weight for x, weight in zip((a, b), weights, strict=True)]
    return float((added * (lost[0] + lost[1])).sum() / (weights[0] + weights[1]).sum())


def sobel_strength(x: Array) -> Array:
    """Length of the Sobel gradient with zeros outside the image."""
    return magnitude(correlate_same(x, SMOOTH, SLOPE), correlate_same(x, SLOPE, SMOOTH))


def _edges(image: Picture) -> Edges:
    x = image.real
    sx, sy = correlate_same(x, SMOOTH, SLOPE), correlate_same(x, SLOPE, SMOOTH)
    strength = magnitude(sx, sy)
    orientation = np.arctan(sy / np.where(sx == 0, _TINY, sx))
    return Edges(np.where(strength == 0, _TINY, strength), orientation)


def _preservation(source: Edges, fused: Edges) -> Array:
    strength = _ratio(source, fused)
    alignment = 1 - np.abs(source.orientation - fused.orientation) / (np.pi / 2)
    return 0.9994 * sigmoid(strength, -15, 0.5) * 0.9879 * sigmoid(alignment, -22, 0.8)


def _mirrored_edges(image: Picture) -> Edges:
    sx = correlate_mirrored(image.real, SMOOTH, SLOPE / 8)
    sy = correlate_mirrored(image.real, SLOPE / 8, SMOOTH)
    with np.errstate(divide="ignore", invalid="ignore"):
        orientation = np.where((sx == 0) & (sy == 0), 0, np.arctan(sx / sy))
    return Edges(magnitude(sx, sy), orientation)


def _similarity(source: Edges, fused: Edges) -> Array:
    alignment = np.abs(np.abs(source.orientation - fused.orientation) - np.pi / 2) * 2 / np.pi
    by_strength = 0.9999 * sigmoid(_ratio(source, fused), -19, 0.5)
    by_alignment = 0.9995 * sigmoid(alignment, -22, 0.5)
    return np.sqrt(by_strength * by_alignment)


def _ratio(x: Edges, y: Edges) -> Array:
    """The weaker gradient over the stronger, 0 where both are."""
    stronger = np.maximum(x.strength, y.strength)
    return np.minimum(x.strength, y.strength) / np.where(stronger == 0, 1, stronger)
