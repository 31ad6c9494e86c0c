"""Borders that a blur with zero padding has darkened."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from drfuse_cli.operators.estimate.findings import Estimate
from drfuse_cli.operators.estimate.planes import Plane

Array = npt.NDArray[np.float64]

_SMALLEST = 32
_DARK = 4.0
_SIGMAS = tuple(round(0.1 * i, 1) for i in range(10, 51))
_DEPTH = 16
_FEWEST_SIDES = 3
_BETTER = 0.5
_SURE = 0.15


def darkened(plane: Plane, blur_sigma: float, scale: int = 1) -> bool:
    """Whether the borders are as dark as zero padding under a known blur makes them.

    ``blur_sigma`` in pixels before a pooling by ``scale``; where less than a tenth of the
    light is missing, or fewer than three borders have any, it cannot be told.
    """
    depth = math.ceil(4 * blur_sigma / scale) + 6
    missing = 1 - _coverage(blur_sigma, depth, scale)[0]
    profiles = _profiles(plane, depth)
    if missing < 0.1 or len(profiles) < _FEWEST_SIDES:
        return False
    return all(_fits(profile, blur_sigma, scale) for profile in profiles)


def zero_border(plane: Plane) -> Estimate:
    """The sigma of the blur whose zero padding explains how all borders darken; 0 for none."""
    profiles = _profiles(plane, _DEPTH)
    if len(profiles) < _FEWEST_SIDES:
        return Estimate(0.0, 0.0, "the borders are black, or too short to judge")
    plain = sum(_misfit(profile, 0.0) for profile in profiles)
    misfits = [sum(_misfit(profile, sigma) for profile in profiles) for sigma in _SIGMAS]
    best = int(np.argmin(misfits))
    sigma, left = _SIGMAS[best], misfits[best] / (plain + 1e-9)
    if left < _BETTER and all(_fits(profile, sigma) for profile in profiles):
        confidence = min(1.0, 0.5 + 0.5 * (_BETTER - left) / (_BETTER - _SURE))
        return Estimate(sigma, confidence, "all borders darken as a blur with zero padding does")
    return Estimate(0.0, 0.9, "the borders are as bright as what lies behind them")


def _profiles(plane: Plane, depth: int) -> list[Array]:
    """Mean brightness from each border inwards, where there is any."""
    if min(plane.shape) < max(_SMALLEST, 2 * depth):
        return []
    rows, columns = plane.mean(1, dtype=np.float64), plane.mean(0, dtype=np.float64)
    sides = (side[:depth] for side in (rows, rows[::-1], columns, columns[::-1]))
    return [side for side in sides if side[depth // 2 :].mean() > _DARK]


@lru_cache(maxsize=256)
def _coverage(sigma: float, depth: int, scale: int = 1) -> Array:
    """The share of the light that zero padding leaves in the rows from a border inwards."""
    if sigma == 0:
        return np.ones(depth)
    at = (np.arange(depth * scale) + 0.5) / (sigma * math.sqrt(2))
    share = np.array([0.5 + 0.5 * math.erf(x) for x in at])
    return np.asarray(share.reshape(depth, scale).mean(1))


@lru_cache(maxsize=256)
def _basis(sigma: float, depth: int, scale: int) -> Array:
    """Orthonormal profiles of brightness that changes evenly under the coverage."""
    coverage = _coverage(sigma, depth, scale)
    return np.linalg.qr(np.stack([coverage, coverage * np.arange(depth)], 1))[0]


def _misfit(profile: Array, sigma: float, scale: int = 1) -> float:
    """What is left of a profile after even brightness under the coverage, relative to it."""
    basis = _basis(sigma, len(profile), scale)
    left = profile - basis @ (basis.T @ profile)
    return float(np.mean(left**2) / profile.mean() ** 2)


def _fits(profile: Array, sigma: float, scale: int = 1) -> bool:
    outermost = profile[0] / profile[len(profile) // 2 :].mean()
    expected = _coverage(sigma, len(profile), scale)[0]
    near = abs(outermost - expected) < 0.5 * (1 - expected)
    return bool(near and _misfit(profile, sigma, scale) < _BETTER * _misfit(profile, 0.0))
