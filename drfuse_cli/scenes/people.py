"""Walking figures made of round cones, shaded as bodies in light and as skin in heat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drfuse_cli.scenes.canvas import Canvas, Label, Paint
from drfuse_cli.scenes.palette import linear
from drfuse_cli.scenes.texture import Array, value_noise

_SKIN_HEAT = 0.97


@dataclass(frozen=True)
class Person:
    """Where somebody stands, the way they face (degrees, 0 = away), and what they wear."""

    x: float
    z: float
    facing: float = 180.0
    stride: float = 0.5
    height: float = 1.74
    top: str = "#b03a2e"
    bottom: str = "#2c3e50"
    hair: str = "#3b2a20"
    skin: str = "#d8a488"
    coat: bool = False
    bag: str | None = None
    phase: float = 1.0


@dataclass(frozen=True)
class Limb:
    """A round cone between two points of the body (side, up, ahead), metres."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: tuple[float, float]
    colour: Array
    heat: float


def limbs(person: Person) -> list[Limb]:
    """The body of ``person`` at its own origin, 1.74 m tall, facing ahead."""
    top, bottom = linear(person.top), linear(person.bottom)
    skin, hair = linear(person.skin), linear(person.hair)
    parts = _legs(person, bottom) + _arms(person, top, skin)
    if person.coat:
        parts += [
            Limb((s * 0.07, 1.0, 0), (s * 0.10, 0.62, 0), (0.135, 0.15), top * 0.92, 0.66)
            for s in (-1, 1)
        ]
    parts += [
        Limb((s * 0.075, 0.95, 0), (s * 0.10, 1.36, 0), (0.115, 0.12), top, 0.76) for s in (-1, 1)
    ]
    parts += [
        Limb((0, 1.0, 0.01), (0, 1.36, 0.02), (0.12, 0.13), top, 0.78),
        Limb((-0.15, 1.41, 0), (0.15, 1.41, 0), (0.075, 0.075), top * 1.05, 0.8),
        Limb((0, 1.42, 0), (0, 1.53, 0.02), (0.058, 0.055), skin * 0.85, _SKIN_HEAT),
        Limb((0, 1.60, 0.025), (0, 1.65, 0.015), (0.083, 0.098), skin, _SKIN_HEAT),
        Limb((0, 1.655, -0.028), (0, 1.675, -0.012), (0.1, 0.1), hair, 0.8),
    ]
    if person.bag is not None:
        bag = linear(person.bag)
        parts.append(Limb((0, 1.08, -0.17), (0, 1.32, -0.17), (0.13, 0.12), bag, 0.5))
    return parts


def _legs(person: Person, cloth: Array) -> list[Limb]:
    parts: list[Limb] = []
    for side, swing in ((-1, person.phase), (1, -person.phase)):
        step = person.stride * swing
        hip = (side * 0.085, 0.92, 0.0)
        knee = (side * 0.09, 0.5 + 0.02 * abs(step), 0.32 * step + 0.05 * abs(step))
        lift = 0.1 * person.stride if swing < 0 else 0.0
        ankle = (side * 0.09, 0.1 + lift, 0.72 * step - (0.08 * person.stride if swing < 0 else 0))
        toe = (side * 0.1, 0.045 + lift * 0.6, ankle[2] + 0.16)
        dark = cloth * (0.86 if side < 0 else 1.0)
        parts += [
            Limb(hip, knee, (0.098, 0.068), dark, 0.70),
            Limb(knee, ankle, (0.066, 0.05), dark, 0.66),
            Limb(ankle, toe, (0.052, 0.042), linear("#2a2422"), 0.5),
        ]
    return parts


def _arms(person: Person, cloth: Array, skin: Array) -> list[Limb]:
    parts: list[Limb] = []
    for side, swing in ((-1, -person.phase), (1, person.phase)):
        step = person.stride * swing * 0.75
        shoulder = (side * 0.195, 1.40, 0.0)
        elbow = (side * 0.235, 1.13, 0.20 * step - 0.03)
        wrist = (side * 0.225, 0.92 + 0.08 * max(step, 0), 0.50 * step + 0.06)
        hand = (side * 0.22, 0.84 + 0.1 * max(step, 0), 0.58 * step + 0.08)
        parts += [
            Limb(shoulder, elbow, (0.062, 0.05), cloth * 0.96, 0.74),
            Limb(elbow, wrist, (0.05, 0.038), cloth * 0.96, 0.72),
            Limb(wrist, hand, (0.038, 0.036), skin, 0.92),
        ]
    return parts


def draw_person(
    canvas: Canvas, person: Person, rng: np.random.Generator, shade: float = 1.0
) -> None:
    """Draw ``person`` standing on the ground of ``canvas``."""
    parts = limbs(person)
    starts = _place(person, np.array([p.start for p in parts]))
    ends = _place(person, np.array([p.end for p in parts]))
    radii = np.array([p.radius for p in parts]) * person.height / 1.74
    first, near = canvas.camera.project(starts)
    second, far = canvas.camera.project(ends)
    if min(near.min(), far.min()) < 0.5:
        return
    scale = canvas.camera.focal / np.stack([near, far], axis=1)
    box = canvas.box(np.concatenate([first, second]), int((radii * scale).max()) + 2)
    if box is None:
        return
    body = _Body(box)
    for i, part in enumerate(parts):
        body.add(first[i], second[i], (near[i], far[i]), radii[i], scale[i], part)
    _finish(canvas, body, rng, shade)


def _place(person: Person, points: Array) -> Array:
    angle = np.deg2rad(person.facing)
    right = np.array([np.cos(angle), 0, -np.sin(angle)])
    ahead = np.array([np.sin(angle), 0, np.cos(angle)])
    points = points * person.height / 1.74
    placed = points[:, :1] * right + points[:, 2:] * ahead
    placed[:, 1] = points[:, 1]
    result: Array = placed + np.array([person.x, 0.0, person.z])
    return result


class _Body:
    """Depth, normal and material of the limbs drawn so far, in camera axes."""

    def __init__(self, box: tuple[int, int, int, int]) -> None:
        y0, y1, x0, x1 = box
        self.box = box
        shape = (y1 - y0, x1 - x0)
        self.depth = np.full(shape, np.inf, np.float32)
        self.cover = np.zeros(shape, np.float32)
        self.normal = np.zeros((*shape, 3), np.float32)
        self.colour = np.zeros((*shape, 3), np.float32)
        self.heat = np.zeros(shape, np.float32)

    def add(
        self,
        start: Array,
        end: Array,
        depths: tuple[float, float],
        radius: Array,
        scale: Array,
        part: Limb,
    ) -> None:
        """One limb between pixels ``start`` and ``end``; ``scale`` is pixels a metre at each."""
        y0, y1, x0, x1 = self.box
        reach = float((radius * scale).max()) + 2
        left, top = np.maximum(np.floor(np.minimum(start, end) - reach), (x0, y0)).astype(int)
        right, low = np.minimum(np.ceil(np.maximum(start, end) + reach) + 1, (x1, y1)).astype(int)
        if left >= right or top >= low:
            return
        y = np.arange(top, low, dtype=np.float32)[:, None]
        x = np.arange(left, right, dtype=np.float32)[None]
        at = slice(top - y0, low - y0), slice(left - x0, right - x0)
        axis = end - start
        dx, dy = x - start[0], y - start[1]
        t = np.clip((dx * axis[0] + dy * axis[1]) / max(float(axis @ axis), 1e-6), 0, 1)
        r = (radius[0] * scale[0]) * (1 - t) + (radius[1] * scale[1]) * t
        dx, dy = dx - t * axis[0], dy - t * axis[1]
        distance = np.sqrt(dx * dx + dy * dy)
        cover = np.clip(r - distance + 0.5, 0, 1)
        bulge = np.sqrt(np.maximum(r * r - distance * distance, 0))
        metres = bulge / float(scale.mean())
        depth = depths[0] * (1 - t) + depths[1] * t - metres
        self._merge(at, cover, depth, np.dstack([dx, dy, -bulge]) / r[..., None], part)

    def _merge(
        self,
        at: tuple[slice, slice],
        cover: Array,
        depth: Array,
        normal: Array,
        part: Limb,
    ) -> None:
        nearer = (cover > 0.05) & (depth < self.depth[at])
        mix = (cover * nearer)[..., None]
        self.normal[at] += mix * (normal - self.normal[at])
        self.colour[at] += mix * (part.colour - self.colour[at])
        self.heat[at] += mix[..., 0] * (part.heat - self.heat[at])
        inside = nearer & (cover > 0.5)
        self.depth[at][inside] = depth[inside]
        np.maximum(self.cover[at], cover, out=self.cover[at])


def _finish(canvas: Canvas, body: _Body, rng: np.random.Generator, shade: float) -> None:
    shape = body.cover.shape
    toward = np.clip(-body.normal[..., 2], 0, 1)
    fold = value_noise(rng, (shape[0], shape[1]), max(shape[0] / 22, 1.0))
    colour = body.colour * (1 + 0.16 * fold)[..., None]
    heat = body.heat - 0.16 * (1 - toward) + 0.045 * fold
    length = np.maximum(np.linalg.norm(body.normal, axis=2, keepdims=True), 1e-3)
    world = (body.normal / length) @ canvas.camera.rotation
    sky = 0.55 + 0.45 * toward
    known = np.isfinite(body.depth)
    depth = np.where(known, body.depth, body.depth[known].min() if known.any() else 1.0)
    paint = Paint(colour, 0.0, heat, world, shade, sky, depth, Label.PERSON)
    canvas.paint(body.cover, paint, (body.box[0], body.box[2]))


def person_outlines(person: Person) -> list[Array]:
    """World outlines of the limbs, for their shadow on the ground."""
    outlines = []
    around = np.linspace(0, 2 * np.pi, 9)[:-1]
    ring = np.stack([np.cos(around), np.sin(around), np.zeros(8)], axis=1)
    turned = np.stack([np.zeros(8), np.sin(around), np.cos(around)], axis=1)
    for part in limbs(person):
        ends = _place(person, np.array([part.start, part.end]))
        rings = [
            c + r * shape
            for c, r in zip(ends, part.radius, strict=True)
            for shape in (ring, turned)
        ]
        outline = np.concatenate(rings)
        outline[:, 1] = np.maximum(outline[:, 1], 0)
        outlines.append(outline)
    return outlines
