"""Bodies of cars, vans and buses as lofted meshes dressed in paint, glass and lamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drfuse_cli.scenes.palette import linear
from drfuse_cli.scenes.texture import Array


@dataclass(frozen=True)
class Shape:
    """A body seen from the side, metres: z runs ahead from the rear bumper, y up.

    ``roof`` holds (z, y) knots of the outline; glass and wheels are ranges and places of z.
    """

    length: float
    half_width: float
    roof: tuple[tuple[float, float], ...]
    belt: float
    side_glass: tuple[tuple[float, float], ...]
    rear_glass: tuple[float, float]
    windscreen: tuple[float, float]
    wheels: tuple[float, float]
    wheel_radius: float = 0.33
    tumble: float = 0.24
    sill: float = 0.26
    lamp_height: float = 0.075


SEDAN = Shape(
    length=4.6,
    half_width=0.91,
    roof=(
        (0, 0.62), (0.06, 0.98), (0.75, 1.08), (1.45, 1.38), (2.0, 1.46), (2.7, 1.44),
        (3.45, 1.02), (4.2, 0.86), (4.52, 0.72), (4.6, 0.55),
    ),
    belt=0.95,
    side_glass=((1.05, 1.95), (2.05, 3.0)),
    rear_glass=(0.72, 1.42),
    windscreen=(2.72, 3.45),
    wheels=(0.85, 3.65),
)  # fmt: skip
HATCH = Shape(
    length=4.1,
    half_width=0.89,
    roof=(
        (0, 0.6), (0.05, 1.0), (0.35, 1.3), (0.75, 1.5), (1.5, 1.55), (2.4, 1.52),
        (3.2, 1.05), (3.8, 0.88), (4.04, 0.74), (4.1, 0.55),
    ),
    belt=0.98,
    side_glass=((0.6, 1.45), (1.55, 2.75)),
    rear_glass=(0.12, 0.72),
    windscreen=(2.42, 3.2),
    wheels=(0.72, 3.3),
)  # fmt: skip
SUV = Shape(
    length=4.7,
    half_width=0.96,
    roof=(
        (0, 0.7), (0.05, 1.1), (0.25, 1.45), (0.6, 1.72), (1.6, 1.78), (2.6, 1.74),
        (3.4, 1.2), (4.3, 1.04), (4.62, 0.85), (4.7, 0.65),
    ),
    belt=1.12,
    side_glass=((0.5, 1.6), (1.7, 2.95)),
    rear_glass=(0.1, 0.58),
    windscreen=(2.65, 3.4),
    wheels=(0.9, 3.75),
    wheel_radius=0.38,
    tumble=0.2,
    sill=0.32,
)  # fmt: skip
VAN = Shape(
    length=5.2,
    half_width=1.0,
    roof=(
        (0, 1.0), (0.04, 1.9), (0.2, 2.2), (1.5, 2.28), (3.4, 2.26), (3.75, 2.12),
        (4.55, 1.28), (5.05, 1.05), (5.14, 0.85), (5.2, 0.6),
    ),
    belt=1.25,
    side_glass=((3.5, 4.2),),
    rear_glass=(0.05, 0.1),
    windscreen=(3.72, 4.55),
    wheels=(1.0, 4.2),
    wheel_radius=0.35,
    tumble=0.12,
    sill=0.3,
)  # fmt: skip
BUS = Shape(
    length=10.5,
    half_width=1.25,
    roof=(
        (0, 1.0), (0.05, 2.7), (0.3, 2.98), (5.0, 3.02), (10.2, 2.98), (10.38, 2.75),
        (10.46, 1.3), (10.5, 0.5),
    ),
    belt=1.35,
    side_glass=((0.5, 2.2), (2.3, 4.0), (4.1, 5.8), (5.9, 7.6), (7.7, 9.4)),
    rear_glass=(0.03, 0.06),
    windscreen=(10.36, 10.47),
    wheels=(2.6, 8.6),
    wheel_radius=0.48,
    tumble=0.06,
    sill=0.32,
    lamp_height=0.12,
)  # fmt: skip


@dataclass(frozen=True)
class Finish:
    """Colour of the paint, how warm the engine is (0..1), whether the lamps are on."""

    colour: str
    engine: float
    lights: bool


@dataclass(frozen=True)
class Mesh:
    """Quads (N, 4, 3) in the vehicle's axes with one row of material each.

    ``bias`` brings a face forward by so many metres when faces are put in order.
    """

    quads: Array
    albedo: Array
    emit: Array
    heat: Array
    gloss: Array
    bias: Array

    @staticmethod
    def plain(quads: Array, heat: float, gloss: float, bias: float = 0.0) -> Mesh:
        """Faces of one material, still black."""
        count = len(quads)
        full = [np.full(count, value, np.float32) for value in (heat, gloss, bias)]
        return Mesh(quads, *(np.zeros((count, 3), np.float32) for _ in range(2)), *full)

    def dress(self, where: Array, colour: str, heat: float | None, gloss: float) -> None:
        """Change the material of the faces ``where`` (N, bool)."""
        self.albedo[where] = linear(colour)
        self.gloss[where] = gloss
        if heat is not None:
            self.heat[where] = heat


def build(shape: Shape, finish: Finish, detail: int) -> Mesh:
    """The whole vehicle; ``detail`` is about how many faces lie along it."""
    stations = _stations(shape, detail)
    rings = np.stack([_ring(shape, z, max(detail // 2, 14)) for z in stations])
    a, b = rings[:-1, :-1], rings[1:, :-1]
    c, d = rings[1:, 1:], rings[:-1, 1:]
    quads = np.stack([a, d, c, b], axis=2).reshape(-1, 4, 3)
    mirrored = quads[:, ::-1] * np.array([-1, 1, 1])
    parts = [_body(shape, finish, np.concatenate([quads, mirrored]))]
    parts += [_plate(shape, end) for end in (-1, 1)]
    parts += [_wheel(shape, finish, side, z) for side in (-1, 1) for z in shape.wheels]
    return Mesh(*(np.concatenate([getattr(p, f) for p in parts]) for f in Mesh.__annotations__))


def _stations(shape: Shape, detail: int) -> Array:
    """Places along the body, dense where it rounds off at both ends."""
    even = np.linspace(0, 1, detail)
    ends = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0, 1, detail // 2))
    tight = np.concatenate([np.linspace(0, 0.03, detail // 4), np.linspace(0.97, 1, detail // 4)])
    result: Array = np.unique(np.concatenate([even, ends, tight]).round(5)) * shape.length
    return result


def _ring(shape: Shape, z: float, count: int) -> Array:
    """Half a cross-section at ``z``, from the sill up to the middle of the roof, (count, 3)."""
    knots = np.array(shape.roof)
    top = float(np.interp(z, knots[:, 0], knots[:, 1]))
    end = abs(2 * z / shape.length - 1)
    wide = shape.half_width * (1 - min(end, 1.0) ** 14) ** (1 / 5)
    belt = min(shape.belt, top - 0.03)
    lean = shape.tumble * np.clip((top - belt) / 0.5, 0.12, 1)
    upper = wide * (1 - lean)
    sill = shape.sill + 0.1 * min(end, 1.0) ** 8
    x = np.array([0.90, 0.985, 1.0, 0.985, 0.975]) * wide
    x = np.concatenate([x, [upper + 0.03 * wide, upper * 0.93, upper * 0.6, 0.0]])
    y = np.array([sill, sill + 0.1, 0.55 * belt + 0.45 * sill, belt - 0.05, belt])
    y = np.concatenate([y, [max(top - 0.09, belt + 0.005), top - 0.02, top, top + 0.015]])
    y = np.maximum.accumulate(np.minimum(y, top + 0.02))
    path = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)) + 1e-3)])
    even = np.linspace(0, path[-1], count)
    ring = np.stack([np.interp(even, path, x), np.interp(even, path, y), np.full(count, z)], axis=1)
    smooth = ring.copy()
    smooth[1:-1] = 0.25 * ring[:-2] + 0.5 * ring[1:-1] + 0.25 * ring[2:]
    return smooth


def _body(shape: Shape, finish: Finish, quads: Array) -> Mesh:
    """Painted metal with its glass, wheel arches, lamps and bumpers."""
    mesh = Mesh.plain(quads, 0.34, 1.3)
    mesh.albedo[:] = linear(finish.colour)
    x, y, z = np.moveaxis(quads.mean(axis=1), 1, 0)
    bonnet = np.exp(-(((z - shape.length * 0.86) / 0.7) ** 2)) * (y < shape.belt + 0.1)
    mesh.heat[:] += finish.engine * (0.30 * bonnet + 0.06 * np.exp(-y / 0.4))
    mesh.dress(y < shape.sill + 0.14, "#17181a", None, 0.4)
    mesh.dress(_glass_faces(shape, x, y, z), "#0c1013", 0.24, 2.6)
    for wheel in shape.wheels:
        gap = np.hypot(z - wheel, y - shape.wheel_radius)
        arch = (gap < shape.wheel_radius * 1.16) & (np.abs(x) > shape.half_width * 0.8)
        mesh.dress(arch, "#050505", 0.45, 0.1)
    _ends(mesh, shape, finish, (x, y, z))
    return mesh


def _glass_faces(shape: Shape, x: Array, y: Array, z: Array) -> Array:
    knots = np.array(shape.roof)
    top = np.interp(z, knots[:, 0], knots[:, 1])
    tall = (top - shape.belt > 0.12) & (y > shape.belt + 0.03)
    side = np.zeros(len(x), bool)
    for start, stop in shape.side_glass:
        side |= (z > start) & (z < stop) & (y < top - 0.1)
    inner = np.abs(x) < shape.half_width * 0.73
    front = (z > shape.windscreen[0] + 0.05) & (z < shape.windscreen[1]) & inner
    rear = (z > shape.rear_glass[0]) & (z < shape.rear_glass[1] - 0.05) & inner
    result: Array = tall & (side | front | rear)
    return result


def _ends(mesh: Mesh, shape: Shape, finish: Finish, at: tuple[Array, Array, Array]) -> None:
    """Lamps, grille and bumpers, chosen by where the middle of a face lies."""
    x, y, z = at
    aside = np.abs(x) / shape.half_width
    nose, tail = z > shape.length - 0.42, z < 0.32
    lamp_y, tall = (shape.sill + shape.belt) / 2 + 0.08, shape.lamp_height
    front_lamp = nose & (aside > 0.58) & (np.abs(y - lamp_y) < tall)
    rear_lamp = tail & (aside > 0.62) & (np.abs(y - lamp_y - 0.12) < tall * 1.3)
    grille = (z > shape.length - 0.25) & (aside < 0.5) & (np.abs(y - lamp_y + 0.06) < 0.12)
    front_bumper = (z > shape.length - 0.12) & (y < lamp_y - 0.2)
    rear_bumper = (z < 0.1) & (y < shape.sill + 0.22)
    mesh.dress(grille, "#08090a", 0.45 + 0.5 * finish.engine, 0.5)
    mesh.dress(front_bumper, "#1b1c1e", 0.4 + 0.25 * finish.engine, 0.5)
    mesh.dress(rear_bumper, "#1b1c1e", 0.38 + 0.2 * finish.engine, 0.5)
    mesh.dress(front_lamp, "#cfd6da", 0.42 + 0.3 * finish.engine * finish.lights, 2.5)
    mesh.dress(rear_lamp, "#a80d10", 0.38, 1.2)
    mesh.emit[rear_lamp] = linear("#ff1a12") * (2.2 if finish.lights else 0.12)
    if finish.lights:
        mesh.emit[front_lamp] = linear("#fff3d6") * 14


def _plate(shape: Shape, end: int) -> Mesh:
    """A number plate at the back (-1) or the front (1)."""
    z = -0.015 if end < 0 else shape.length + 0.015
    low = shape.sill + (0.36 if end < 0 else 0.16)
    x = np.linspace(-0.26, 0.26, 12) * -end
    left, right = x[:-1], x[1:]
    flat = np.full(11, z)
    rows = [(left, low), (left, low + 0.115), (right, low + 0.115), (right, low)]
    quads = np.stack([np.stack([px, np.full(11, py), flat], axis=1) for px, py in rows], axis=1)
    mesh = Mesh.plain(quads, 0.36, 0.3, 0.3)
    pattern = np.array([1, 1, 0.45, 1, 0.5, 0.9, 0.45, 1, 0.55, 1, 1])[:, None]
    mesh.albedo[:] = linear("#e6e3cf") * pattern
    return mesh


def _wheel(shape: Shape, finish: Finish, side: int, z: float) -> Mesh:
    """A tyre with a spoked rim, seen from outside."""
    count, spokes = 30, 5
    quads = _wheel_quads(shape, side, z, count)
    warm = 0.3 + 0.42 * max(finish.engine, 0.1)
    mesh = Mesh.plain(quads.reshape(-1, 4, 3), warm, 0.3, 0.25)
    heat, albedo = mesh.heat.reshape(5, count), mesh.albedo.reshape(5, count, 3)
    heat += np.array([0.08, 0.0, 0.0, 0.1, 0.14])[:, None]
    albedo[:3], albedo[3:] = linear("#8d9196"), linear("#101011")
    gap = np.arange(count) * spokes % count >= count // 2
    albedo[1, gap] = linear("#111214")
    return mesh


def _wheel_quads(shape: Shape, side: int, z: float, count: int) -> Array:
    """Faces (5, count, 4, 3) of the hub, spokes, rim, side wall and tread."""
    radius = shape.wheel_radius
    angle = np.linspace(0, 2 * np.pi, count + 1)
    up, ahead = np.sin(angle), np.cos(angle)
    skin = shape.half_width * 0.985
    edges = ((0.0, 0.03), (0.22, 0.04), (0.58, 0.05), (0.68, 0.0), (1.0, 0.02), (1.0, 0.22))
    points = np.stack([
        np.stack([np.full(count + 1, side * (skin - deep)), radius * (1 + share * up),
                  z + radius * share * ahead], axis=1)
        for share, deep in edges
    ])  # fmt: skip
    quads = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], axis=2)
    result: Array = quads if side < 0 else quads[:, :, ::-1]
    return result
