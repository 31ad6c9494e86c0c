"""Vehicles on the road: their place, their shine, their shadow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drfuse_cli.scenes.bodies import Finish, Mesh, Shape, build
from drfuse_cli.scenes.canvas import Canvas, Label
from drfuse_cli.scenes.texture import Array, smoothstep


@dataclass(frozen=True)
class Vehicle:
    """A body shape at ``x, z`` heading ``yaw`` degrees (0 drives away from the camera)."""

    shape: Shape
    x: float
    z: float
    yaw: float = 0.0
    colour: str = "#a32a2a"
    engine: float = 0.6
    lights: bool = False


def draw_vehicle(
    canvas: Canvas, vehicle: Vehicle, sky: Array, ground: Array, shade: float = 1.0
) -> None:
    """Draw ``vehicle``; ``sky`` and ``ground`` are the colours its paint reflects."""
    mesh = build(
        vehicle.shape,
        Finish(vehicle.colour, vehicle.engine, vehicle.lights),
        _detail(canvas, vehicle),
    )
    quads = place(vehicle, mesh.quads)
    if canvas.camera.view(quads.reshape(-1, 3))[:, 2].min() < 0.4:
        return
    normal = np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    towards = np.asarray(canvas.camera.eye, np.float32) - quads.mean(axis=1)
    away = np.linalg.norm(towards, axis=1)
    towards /= away[:, None]
    order = np.argsort(-(away - mesh.bias))
    order = order[np.einsum("ij,ij->i", normal, towards)[order] > 0]
    table = _light_table(mesh, normal, towards, (sky, ground))
    table |= {"shade": np.full(len(quads), shade, np.float32), "depth": away.astype(np.float32)}
    screen, _ = canvas.camera.project(quads)
    canvas.faces(screen[order], {k: v[order] for k, v in table.items()}, Label.VEHICLE)


def _detail(canvas: Canvas, vehicle: Vehicle) -> int:
    """Faces along the body: one for about every three pixels it can cover."""
    across = vehicle.x - canvas.camera.eye[0], vehicle.z - canvas.camera.eye[2]
    pixels = canvas.camera.focal * vehicle.shape.length / max(float(np.hypot(*across)), 1.0)
    return int(min(max(pixels / 3, 24), 150))


def _light_table(
    mesh: Mesh, normal: Array, towards: Array, around: tuple[Array, Array]
) -> dict[str, Array]:
    """Diffuse colour, mirrored surroundings, heat and normal of every face."""
    cosine = np.clip(np.einsum("ij,ij->i", normal, towards), 0, 1)[:, None]
    mirror = 2 * cosine * normal - towards
    up = smoothstep(-0.12, 0.25, mirror[:, 1:2])
    tower = 0.5 * smoothstep(0.5, 0.15, mirror[:, 1:2]) * up
    surroundings = around[1] + up * (around[0] - around[1])
    surroundings = surroundings * (1 - tower)
    fresnel = 0.05 + 0.95 * (1 - cosine) ** 5
    reflect = np.minimum(fresnel * mesh.gloss[:, None], 0.9)
    sky = 0.45 + 0.55 * np.clip(0.4 + normal[:, 1], 0, 1)
    cold_sky = 0.07 * np.clip(normal[:, 1], 0, 1) * np.minimum(mesh.gloss, 1)
    return {
        "albedo": (mesh.albedo * (1 - reflect)).astype(np.float32),
        "emit": (mesh.emit + reflect * surroundings).astype(np.float32),
        "normal": normal.astype(np.float32),
        "sky": sky.astype(np.float32),
        "heat": (mesh.heat - cold_sky).astype(np.float32),
    }


def place(vehicle: Vehicle, points: Array) -> Array:
    """World coordinates of points (..., 3) in the vehicle's axes (x right, y up, z ahead)."""
    angle = np.deg2rad(vehicle.yaw)
    sine, cosine = np.sin(angle), np.cos(angle)
    z = points[..., 2] - vehicle.shape.length / 2
    x = points[..., 0] * cosine + z * sine + vehicle.x
    return np.stack([x, points[..., 1], z * cosine - points[..., 0] * sine + vehicle.z], axis=-1)


def vehicle_outlines(vehicle: Vehicle) -> list[Array]:
    """World outlines of the body, for its shadow on the ground."""
    shape = vehicle.shape
    w, length = shape.half_width, shape.length
    knots = np.array(shape.roof)
    lower = [(x, y, z) for x in (-w, w) for z in (0.05, length - 0.05) for y in (0.12, 0.6)]
    cabin = knots[knots[:, 1] > shape.belt + 0.1]
    ends = (float(cabin[0, 0]), float(cabin[-1, 0]))
    belt = [(x, shape.belt, z) for x in (-w, w) for z in (0.1, length * 0.88)]
    inset = w * (1 - shape.tumble)
    upper = [(x, float(cabin[:, 1].max()), z) for x in (-inset, inset) for z in ends]
    return [place(vehicle, np.array(lower + belt)), place(vehicle, np.array(belt + upper))]
