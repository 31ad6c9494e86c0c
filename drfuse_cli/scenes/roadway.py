"""Asphalt, markings and paving slabs."""

from __future__ import annotations

import numpy as np

from drfuse_cli.scenes.canvas import Paint
from drfuse_cli.scenes.ground import Ground
from drfuse_cli.scenes.palette import linear
from drfuse_cli.scenes.texture import Array, smoothstep

KERB = 4.6
"""Half the width of the street's road."""


def street_road(ground: Ground, night: bool) -> None:
    """A road that runs ahead, with its crossing and pavements."""
    stain, grit = ground.rough(6.0), ground.grit(0.035)
    tone = 0.125 + 0.012 * stain + 0.024 * grit + 0.008 * ground.grit(0.12)
    tracks = wheel_tracks(ground.x, (-3.0, -1.4, 1.4, 3.0))
    heat = (0.34 if night else 0.40) + 0.012 * stain + 0.035 * tracks + 0.004 * grit
    colour = (tone * (1 - 0.10 * tracks))[..., None] * linear("#f2f0f5")
    ground.surface(np.ones_like(ground.x), colour, heat)
    _patches(ground)
    _markings(ground)
    for side in (-1, 1):
        _pavement(ground, side)
    _manhole(ground, 2.2, 6.2)
    _manhole(ground, -2.6, 17.0)


def wheel_tracks(across: Array, places: tuple[float, ...]) -> Array:
    """Where tyres run, 0..1: polished in the light, warmer in the infrared."""
    total = np.zeros_like(across)
    for place in places:
        total += np.exp(-(((across - place) / 0.35) ** 2))
    return total


def worn(ground: Ground, size: float = 0.9) -> Array:
    """How much of a painted line is left, 0.35..1."""
    return np.clip(0.9 + 0.21 * ground.rough(size), 0.35, 1.0)


def paving(ground: Ground, cover: Array, slab: float, tone: float, heat: float) -> None:
    """Square slabs of ``slab`` metres over ``cover``, each of its own tone."""
    inner = (0.02 * slab, 0.98 * slab)
    joint = np.maximum(
        1 - ground.band(np.mod(ground.x, slab), *inner, ground.x_step),
        1 - ground.band(np.mod(ground.z, slab), *inner, ground.z_step),
    )
    joint = joint * smoothstep(0.65 * slab, 0.13 * slab, ground.z_step)
    tones = np.random.default_rng(7).uniform(-1, 1, (31, 37))
    row, column = (np.floor(v / slab).astype(int) for v in (ground.z, ground.x))
    own = tones[column % 31, row % 37]
    shade = tone + 0.025 * own + 0.012 * ground.rough(3.0) + 0.012 * ground.grit(0.03)
    colour = (shade * (1 - 0.5 * joint))[..., None] * linear("#f3eadc")
    ground.surface(cover, colour, heat + 0.012 * own - 0.015 * joint)


def _patches(ground: Ground) -> None:
    for x0, x1, z0, z1 in ((0.9, 3.3, 3.9, 5.4), (0.4, 3.4, 13.2, 16.0), (-3.4, -0.6, 11.6, 12.9)):
        patch = ground.across(x0, x1) * ground.along(z0, z1)
        tone = 0.09 + 0.012 * ground.grit(0.05)
        ground.paint(patch * 0.8, Paint(tone[..., None] * linear("#f2f0f5"), heat=0.43))


def _markings(ground: Ground) -> None:
    left = worn(ground)
    white = Paint(albedo=linear("#dcdcd6") * 0.85, heat=0.385)
    dashes = ground.band(np.mod(ground.z - 14.2, 6.0), 0, 3.0, ground.z_step) * (ground.z > 14)
    ground.paint(ground.across(-0.07, 0.07) * dashes * left, white)
    for edge in (-4.25, 4.25):
        line = ground.across(edge - 0.06, edge + 0.06) * (ground.z > 13.8)
        ground.paint(line * left, white)
    bars = ground.band(np.mod(ground.x + 4.5, 1.0), 0.0, 0.5, ground.x_step)
    ground.paint(bars * ground.along(7.0, 10.2) * left * (np.abs(ground.x) < 4.4), white)
    ground.paint(ground.along(11.2, 11.6) * ground.across(0.1, 4.3) * left, white)
    ground.paint(ground.along(5.7, 6.1) * ground.across(-4.3, -0.1) * left, white)


def _pavement(ground: Ground, side: int) -> None:
    limits = (KERB, 60.0) if side > 0 else (-60.0, -KERB)
    paving(ground, ground.across(*limits), 0.75, 0.30, 0.36)
    stone = Paint(albedo=linear("#b9b4aa") * 0.8, heat=0.37)
    edge = KERB * side
    ground.paint(ground.across(edge - 0.09, edge + 0.09), stone)
    gutter = edge - side * 0.19
    damp = Paint(albedo=linear("#2a2a2a"), heat=0.42)
    ground.paint(ground.across(gutter - 0.1, gutter + 0.1) * 0.6, damp)


def _manhole(ground: Ground, x: float, z: float) -> None:
    """An iron lid, warm from the sewer below."""
    near = ground.near(x, z, 1.6)
    if near is None:
        return
    dx, dz = ground.x[near] - x, ground.z[near] - z
    radius = np.hypot(dx, dz)
    lid = np.clip((0.36 - radius) / ground.z_step[near] + 0.5, 0, 1)
    pattern = 0.8 + 0.4 * (np.mod(dx * 9, 1) > 0.5) * (np.mod(dz * 9, 1) > 0.5)
    iron = (pattern * 0.09)[..., None] * linear("#d0c6bb")
    at = (near[0].start + ground.top, near[1].start)
    ground.canvas.paint(lid, Paint(albedo=iron, heat=0.58), at)
    ground.canvas.heat[ground.top :][near] += np.exp(-((radius / 0.6) ** 2)) * 0.1
