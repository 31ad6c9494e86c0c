"""The ground plane: where each pixel meets it, and how it is surfaced and shaded."""

from __future__ import annotations

import cv2
import numpy as np

from drfuse_cli.scenes.camera import Camera
from drfuse_cli.scenes.canvas import Canvas, Paint, fill
from drfuse_cli.scenes.texture import Array, sample, smoothstep, tile

_FAR = 400.0


class Ground:
    """World x and z of the rows of ``canvas`` that see the ground (from ``top`` down)."""

    def __init__(self, canvas: Canvas, rng: np.random.Generator) -> None:
        self.canvas = canvas
        camera = canvas.camera
        fall = -camera.rays[:, camera.width // 2, 1]
        seen = np.flatnonzero(fall > camera.eye[1] / _FAR)
        self.top = int(seen[0]) if seen.size else camera.height - 1
        rays = camera.rays[self.top :]
        self.depth = camera.eye[1] / np.maximum(-rays[..., 1], 1e-4)
        self.x = camera.eye[0] + rays[..., 0] * self.depth
        self.z = camera.eye[2] + rays[..., 2] * self.depth
        self.x_step, self.z_step = _step(self.x), _step(self.z)
        self._tile = tile(rng)
        self._grit = rng.standard_normal((256, 256)).astype(np.float32)

    def band(self, value: Array, low: float, high: float, step: Array | None = None) -> Array:
        """Smooth coverage 0..1 of the stripe ``low < value < high``."""
        step = _step(value) if step is None else step
        inside = np.minimum(value - low, high - value) / step + 0.5
        result: Array = np.clip(inside, 0, 1) * np.minimum(1, (high - low) / step)
        return result

    def across(self, low: float, high: float) -> Array:
        """Stripe ``low < x < high``, running ahead."""
        return self.band(self.x, low, high, self.x_step)

    def along(self, low: float, high: float) -> Array:
        """Stripe ``low < z < high``, running across."""
        return self.band(self.z, low, high, self.z_step)

    def rough(self, metres: float, turn: float = 0.0) -> Array:
        """Fractal noise whose largest features are ``metres`` wide, fading where too fine."""
        scale = 64.0 / metres
        noise = sample(self._tile, (self.x + turn) * scale, (self.z - turn) * scale)
        result: Array = noise * smoothstep(4.0, 0.3, self.z_step / metres)
        return result

    def grit(self, metres: float) -> Array:
        """Fine grain of ``metres``, fading where a pixel covers several grains."""
        noise = sample(self._grit, self.x / metres, self.z / metres)
        result: Array = noise * smoothstep(3.0, 0.4, self.z_step / metres)
        return result

    def near(self, x: float, z: float, reach: float) -> tuple[slice, slice] | None:
        """Rows (of the ground) and columns within about ``reach`` metres of a place, if seen."""
        corners = [(x + dx, 0, z + dz) for dx in (-reach, reach) for dz in (-reach, reach)]
        pixels, depth = self.canvas.camera.project(np.array(corners))
        box = self.canvas.box(pixels) if depth.min() > 0.4 else None
        if box is None or box[1] <= self.top:
            return None
        return slice(max(box[0] - self.top, 0), box[1] - self.top), slice(box[2], box[3])

    def paint(self, alpha: Array, paint: Paint) -> None:
        """Lay ``paint`` over the ground with coverage ``alpha`` of the ground rows."""
        rows = np.flatnonzero(alpha.any(axis=1))
        if not rows.size:
            return
        cols = np.flatnonzero(alpha.any(axis=0))
        at = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        self.canvas.paint(alpha[at], paint.crop(at), (self.top + int(rows[0]), int(cols[0])))

    def surface(self, alpha: Array, albedo: Array, heat: Array) -> None:
        """A new surface, lit from above: albedo H x W x 3 (or colour), heat H x W."""
        up = (0.0, 1.0, 0.0)
        paint = Paint(albedo, 0.0, heat, up, 1.0, 1.0, depth=self.depth)
        self.paint(alpha, paint)

    def shadow(self, outlines: list[Array], sun: tuple[float, float, float]) -> Array:
        """Shadow 0..1 on the ground rows of world outlines (each N x 3) along the sun."""
        camera = self.canvas.camera
        shape = (camera.height - self.top, camera.width)
        total = np.zeros(shape, np.float32)
        for outline in outlines:
            flat = cast(outline, sun)
            hull = cv2.convexHull(flat[:, [0, 2]].astype(np.float32))[:, 0]
            seen = _in_front(hull, camera)
            if len(seen) < 3:
                continue
            pixels, _ = camera.project(seen)
            box = self.canvas.box(pixels)
            if box is None or box[1] <= self.top:
                continue
            y0, y1, x0, x1 = max(box[0], self.top), *box[1:]
            mask = fill((y1 - y0, x1 - x0), pixels - (x0, y0))
            part = total[y0 - self.top : y1 - self.top, x0:x1]
            np.maximum(part, mask, out=part)
        return total

    def darken(self, shadow: Array, sun: float = 1.0, sky: float = 0.25) -> None:
        """Take sun and some sky from the ground under ``shadow`` 0..1."""
        self.canvas.shade[self.top :] *= 1 - sun * shadow
        self.canvas.sky[self.top :] *= 1 - sky * shadow


def cast(points: Array, sun: tuple[float, float, float]) -> Array:
    """Where the shadows of world points (N, 3) fall on the ground."""
    points = np.asarray(points, np.float32)
    direction = np.asarray(sun, np.float32)
    result: Array = points - points[:, 1:2] / direction[1] * direction
    return result


def _in_front(outline: Array, camera: Camera, near: float = 0.4) -> Array:
    """World points of the part of a ground outline (N, 2: x, z) that the camera can see."""
    points = np.stack([outline[:, 0], np.zeros(len(outline)), outline[:, 1]], axis=1)
    depth = camera.view(points)[:, 2] - near
    kept: list[Array] = []
    for i, point in enumerate(points):
        other, here, there = points[i - 1], depth[i], depth[i - 1]
        if (here > 0) != (there > 0):
            kept.append(point + (other - point) * here / (here - there))
        if here > 0:
            kept.append(point)
    return np.array(kept).reshape(-1, 3)


def _step(value: Array) -> Array:
    """How much ``value`` changes from one pixel to the next."""
    down = np.abs(np.diff(value, axis=0, prepend=value[:1]))
    right = np.abs(np.diff(value, axis=1, prepend=value[:, :1]))
    if len(value) > 1:
        down[0] = down[1]
    right[:, 0] = right[:, 1]
    result: Array = np.maximum(np.maximum(down, right), 1e-4)
    return result
