"""A head in axial section: how much of each tissue every pixel holds."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from drfuse_cli.scenes.texture import Array, generator, smoothstep, value_noise

TISSUES = (
    "scalp",
    "skull",
    "marrow",
    "fluid",
    "grey",
    "white",
    "nuclei",
    "ventricle",
    "oedema",
    "lesion",
    "calcium",
)

_BRAIN = 0.853
"""Radius of the brain as a share of the head's."""


@dataclass(frozen=True)
class Head:
    """Shares 0..1 of each tissue (H x W, summing to at most 1) and its coordinates."""

    tissue: dict[str, Array]
    x: Array
    y: Array
    radius: Array
    pixel: float

    def mix(self, weights: dict[str, float]) -> Array:
        """Sum of the tissues, each times its weight; absent ones count nothing."""
        total = np.zeros_like(self.x)
        for name, weight in weights.items():
            total += weight * self.tissue[name]
        return total


def head(height: int, width: int, seed: int, lesion: tuple[float, float, float]) -> Head:
    """A section of ``height`` x ``width`` pixels; ``lesion`` is x, y and radius in head units."""
    rng = generator(seed, "head")
    unit = 0.5 * min(height, width)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (x - width / 2 + 0.5) / unit, (y - height / 2 + 0.5) / unit
    wobble = 0.014 * _smooth(rng, x, 0.5) + 0.005 * _smooth(rng, x, 0.15)
    across = 0.70 * (1 + 0.07 * np.tanh(2 * y + 0.3) - 0.03 * y)
    radius = np.hypot(x / across, y / 0.90) + wobble
    shell = _Layers(x, y, radius, 1 / unit)
    _shells(shell, rng)
    _brain(shell, rng)
    _inner(shell, rng, lesion)
    return Head(shell.tissue, x, y, radius, 1 / unit)


class _Layers:
    """Tissues laid one over another; each new one pushes the others back."""

    def __init__(self, x: Array, y: Array, radius: Array, pixel: float) -> None:
        self.x, self.y, self.radius, self.pixel = x, y, radius, pixel
        self.tissue = {name: np.zeros_like(x) for name in TISSUES}

    def lay(self, name: str, cover: Array) -> None:
        for other in self.tissue.values():
            other *= 1 - cover
        self.tissue[name] += cover

    def inside(self, distance: Array) -> Array:
        """Soft coverage where ``distance`` (head units, positive inside) is above 0."""
        result: Array = np.clip(distance / (1.6 * self.pixel) + 0.5, 0, 1)
        return result

    def ellipse(
        self, centre: tuple[float, float], axes: tuple[float, float], turn: float, blur: float = 0.0
    ) -> Array:
        """Coverage of an ellipse turned by ``turn`` degrees, its edge ``blur`` wide."""
        angle = np.deg2rad(turn)
        dx, dy = self.x - centre[0], self.y - centre[1]
        u = (dx * np.cos(angle) + dy * np.sin(angle)) / axes[0]
        v = (dy * np.cos(angle) - dx * np.sin(angle)) / axes[1]
        gap = (1 - np.hypot(u, v)) * min(axes)
        return smoothstep(-blur, blur, gap) if blur else self.inside(gap)


def _smooth(rng: np.random.Generator, like: Array, size: float) -> Array:
    shape = like.shape[0], like.shape[1]
    return value_noise(rng, shape, max(size * min(shape) / 2, 1.0))


def _shells(layers: _Layers, rng: np.random.Generator) -> None:
    r = layers.radius
    thick = 0.012 * _smooth(rng, r, 0.4)
    layers.lay("scalp", layers.inside(0.985 - r))
    layers.lay("skull", layers.inside(0.935 + thick - r))
    layers.lay("marrow", layers.inside(0.014 + 0.3 * thick - np.abs(r - 0.903 - thick)) * 0.85)
    layers.lay("fluid", layers.inside(0.868 + 0.5 * thick - r))


def _brain(layers: _Layers, rng: np.random.Generator) -> None:
    """Folded cortex: sulci cut in from the surface, grey matter along every fold."""
    x, y, r = layers.x, layers.y, layers.radius
    cuts = sulci(layers, rng)
    midline = np.abs(x - 0.01 * np.sin(7 * y)) < 0.011 * smoothstep(0.16, 0.5, np.abs(y + 0.02))
    whole = (r < _BRAIN) & (cuts < 128) & ~midline
    depth = cv2.distanceTransform(whole.astype(np.uint8), cv2.DIST_L2, 5) * layers.pixel
    depth = cv2.GaussianBlur(depth, (0, 0), 0.8)
    ribbon = 0.034 + 0.006 * _smooth(rng, x, 0.15)
    layers.lay("grey", layers.inside(depth - 1.0 * layers.pixel))
    layers.lay("white", smoothstep(-0.010, 0.010, depth - ribbon))


def sulci(layers: _Layers, rng: np.random.Generator) -> Array:
    """The furrows of both hemispheres, nearly mirrored, drawn on a uint8 mask."""
    mask = np.zeros(layers.x.shape, np.uint8)
    starts = np.arange(-74.0, 78.0, 12.0)
    starts = starts[np.abs(starts + 9) > 8]
    starts = starts + rng.uniform(-3.2, 3.2, starts.size)
    depths = rng.uniform(0.09, 0.27, starts.size)
    for side in (-1, 1):
        for angle, depth in zip(starts, depths, strict=True):
            jitter = rng.normal(0, 1, 2)
            path = _furrow(np.deg2rad(angle + 2.0 * jitter[0]), depth * (1 + 0.2 * jitter[1]), rng)
            _draw(mask, layers, path, side, 0.016, 0.008)
            if depth > 0.15 and rng.random() < 0.8:
                _draw(mask, layers, _branch(path, rng), side, 0.010, 0.006)
        for y in (-0.63, -0.52, -0.42, -0.33, 0.40, 0.49, 0.58, 0.66):
            reach = rng.uniform(0.07, 0.15)
            steps = np.linspace(0, 1, 8)
            bow = np.cumsum(rng.normal(0, 0.012, 8)) + np.sign(y) * 0.05 * steps
            path = np.stack([reach * steps, y + rng.uniform(-0.02, 0.02) + bow], axis=1)
            _draw(mask, layers, path, side, 0.011, 0.007)
        _insula(mask, layers, side, rng)
    return mask


def _furrow(angle: float, depth: float, rng: np.random.Generator) -> Array:
    """A wavering path (N, 2) from the surface inwards, on the right side."""
    steps = np.linspace(0, 1, 14)
    sway = np.cumsum(rng.normal(0, 1, 14)) * 0.016 + 0.04 * np.sin(steps * rng.uniform(2, 5))
    radius = _BRAIN + 0.02 - depth * steps
    turn = angle + (sway - sway[0]) / 0.8
    return np.stack([0.70 * radius * np.cos(turn), 0.90 * radius * np.sin(turn)], axis=1)


def _branch(path: Array, rng: np.random.Generator) -> Array:
    start = path[int(rng.integers(5, 10))]
    ahead = path[-1] - path[0]
    way = np.deg2rad(rng.choice([-1, 1]) * rng.uniform(45, 75))
    turned = np.array([[np.cos(way), -np.sin(way)], [np.sin(way), np.cos(way)]]) @ ahead
    turned *= rng.uniform(0.05, 0.09) / max(float(np.linalg.norm(turned)), 1e-6)
    steps = np.linspace(0, 1, 6)[:, None]
    bend = 0.3 * (steps - steps**2) * turned[::-1]
    result: Array = start + steps * turned + bend
    return result


def _insula(mask: Array, layers: _Layers, side: int, rng: np.random.Generator) -> None:
    """The lateral fissure and the two arms it opens into."""
    shift = rng.uniform(-0.015, 0.015, 2)
    t = np.linspace(0, 1, 12)
    hub = np.array([0.425 + shift[0], -0.13 + shift[1]])
    outer = np.array([0.70 * 0.87, -0.16 + shift[1]])
    stem = outer + t[:, None] * (hub - outer) + np.stack([0 * t, 0.02 * np.sin(3 * t)], axis=1)
    upper = hub + np.stack([-0.09 * t**2, -0.15 * t], axis=1)
    lower = hub + np.stack([0.01 * np.sin(3 * t) - 0.05 * t**2, 0.2 * t], axis=1)
    _draw(mask, layers, stem, side, 0.020, 0.013)
    _draw(mask, layers, upper, side, 0.012, 0.008)
    _draw(mask, layers, lower, side, 0.012, 0.008)


def _draw(mask: Array, layers: _Layers, path: Array, side: int, first: float, last: float) -> None:
    """Draw a path of the right side (mirrored for -1), ``first`` to ``last`` thick."""
    height, width = mask.shape
    fine = np.linspace(0, len(path) - 1, 4 * len(path))
    smooth = np.stack([np.interp(fine, np.arange(len(path)), path[:, i]) for i in (0, 1)], axis=1)
    centre = (width / 2 - 0.5, height / 2 - 0.5)
    pixels = smooth * (side, 1) / layers.pixel + centre
    fixed = np.rint(pixels * 16).astype(np.int32)
    for i in range(len(fixed) - 1):
        thick = (first + (last - first) * i / len(fixed)) / layers.pixel
        ends = (int(fixed[i, 0]), int(fixed[i, 1])), (int(fixed[i + 1, 0]), int(fixed[i + 1, 1]))
        cv2.line(mask, *ends, 255, max(round(float(thick)), 1), cv2.LINE_AA, 4)


def _inner(layers: _Layers, rng: np.random.Generator, lesion: tuple[float, float, float]) -> None:
    """Nuclei, ventricles, a lesion with its swelling, specks of calcium."""
    lean = rng.uniform(-0.01, 0.01, 8)
    for side in (-1, 1):
        layers.lay(
            "nuclei",
            layers.ellipse((side * 0.245, -0.06 + lean[0]), (0.06, 0.16), side * -14, 0.018),
        )
        layers.lay(
            "nuclei",
            layers.ellipse((side * 0.105, 0.13 + lean[1]), (0.085, 0.115), side * 18, 0.02) * 0.85,
        )
        layers.lay(
            "nuclei",
            layers.ellipse((side * 0.15, -0.20 + lean[2]), (0.042, 0.10), side * 22, 0.014),
        )
    for side in (-1, 1):
        horn = layers.ellipse((side * 0.082, -0.205 + lean[3]), (0.036, 0.13), side * 22)
        body = layers.ellipse((side * 0.042, -0.06), (0.024, 0.09), side * 4)
        trigone = layers.ellipse((side * 0.185, 0.285 + lean[4]), (0.040, 0.125), side * -26)
        layers.lay("ventricle", np.maximum.reduce([horn, body, trigone]))
        layers.lay(
            "calcium",
            layers.ellipse((side * 0.185, 0.30 + lean[4]), (0.014, 0.03), side * -26) * 0.8,
        )
    layers.lay("white", layers.ellipse((0.0, -0.17), (0.008, 0.12), 0))
    layers.lay("ventricle", layers.ellipse((0.0, 0.11), (0.012, 0.11), 0))
    layers.lay("calcium", layers.ellipse((0.0, 0.245), (0.016, 0.018), 0) * 0.9)
    cx, cy, size = lesion
    if size > 0:
        edge = 0.25 * size * _smooth(rng, layers.x, 0.12)
        gap = size - np.hypot(layers.x - cx, (layers.y - cy) / 1.15) + edge
        swollen = smoothstep(-0.9 * size, 0.1 * size, gap) * (layers.radius < _BRAIN - 0.06)
        layers.tissue["oedema"][:] = 0
        layers.lay("oedema", swollen * layers.tissue["white"] * 0.9)
        layers.lay("lesion", layers.inside(gap) * (layers.radius < _BRAIN - 0.02))
