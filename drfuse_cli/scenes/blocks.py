"""Buildings as boxes seen from above: fronts, roofs with gravel or tiles, warm machinery."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drfuse_cli.scenes.canvas import Canvas, Paint
from drfuse_cli.scenes.facade import House, front
from drfuse_cli.scenes.palette import linear
from drfuse_cli.scenes.panel import Panel, facing, hang
from drfuse_cli.scenes.terrace import wall
from drfuse_cli.scenes.texture import Array, fractal_noise, value_noise

_UP = (0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Block:
    """A building centred at ``x, z``; metres; ``words`` are painted on its roof."""

    x: float
    z: float
    width: float
    depth: float
    height: float
    wall: str
    words: str | None
    roof: str
    gabled: bool = False


def block_outline(block: Block) -> Array:
    """World corners, for the shadow on the ground."""
    w, d = block.width / 2, block.depth / 2
    corners = [(block.x + i * w, y, block.z + j * d)
               for i in (-1, 1) for j in (-1, 1) for y in (0.0, block.height)]  # fmt: skip
    if block.gabled:
        corners += [(block.x + i * w, block.height + d * 0.55, block.z) for i in (-1, 1)]
    return np.array(corners)


def draw_block(canvas: Canvas, block: Block, rng: np.random.Generator) -> None:
    """Draw the walls that face the camera, then the roof."""
    w, d, top = block.width / 2, block.depth / 2, block.height
    x, z = block.x, block.z
    scale = canvas.camera.focal / max(
        float(np.linalg.norm(np.array([x, 0, z - d]) - canvas.camera.eye)), 5.0
    )
    eye = canvas.camera.eye
    sides = [((x - w, z - d), (x + w, z - d))]
    if eye[0] > x + w:
        sides.append(((x + w, z - d), (x + w, z + d)))
    if eye[0] < x - w:
        sides.append(((x - w, z + d), (x - w, z - d)))
    storeys = max(int((top - 2.5) / 3.1), 1)
    for (x0, z0), (x1, z1) in sides:
        long = float(np.hypot(x1 - x0, z1 - z0))
        house = House("plaster", block.wall, "#d8d0c0", storeys + 1)
        panel = front(house, long, scale, rng, 0.05)
        hang(canvas, panel, wall((x0, z0), (x1, z1), top))
    if block.gabled:
        _gabled_roof(canvas, block, scale, rng)
    else:
        _flat_roof(canvas, block, scale, rng)


def _flat_roof(canvas: Canvas, block: Block, scale: float, rng: np.random.Generator) -> None:
    panel = Panel(block.width, block.depth, scale)
    shape = panel.shape
    gravel = 1 + 0.10 * fractal_noise(rng, shape, 4 * scale, 5)
    gravel += 0.06 * value_noise(rng, shape, max(0.12 * scale, 1.0))
    panel.albedo[:] = linear(block.roof) * gravel[..., None]
    panel.heat[:] = 0.43 + 0.04 * (gravel - 1) * 5
    if block.words:
        size = min(0.36 * block.depth, 4.5)
        room = (0.12 * block.width, 0.14 * block.depth, 0.76 * block.width, size)
        ink = panel.heat.copy()
        panel.text(block.words, room, linear("#f3efe2") * 0.95)
        panel.heat[:] = ink
    x0, x1 = block.x - block.width / 2, block.x + block.width / 2
    z0, z1 = block.z - block.depth / 2, block.z + block.depth / 2
    y = block.height
    hang(canvas, panel, _level((x0, x1, z0, z1), y))
    _parapet(canvas, (x0, x1, z0, z1), y)
    for _ in range(max(int(block.width * block.depth / 60), 1)):
        wide, deep = rng.uniform(1.0, 2.0), rng.uniform(1.0, 1.6)
        x = rng.uniform(x0 + 1.5, x1 - 3.0)
        z = rng.uniform(block.z + 0.12 * block.depth, z1 - 2.5)
        body = (wide, rng.uniform(0.8, 1.3), deep)
        _machine(canvas, np.array([x, y, z]), body, bool(rng.random() < 0.6))


def _parapet(canvas: Canvas, limits: tuple[float, float, float, float], y: float) -> None:
    x0, x1, z0, z1 = limits
    rim = 0.35
    stone = Paint(linear("#b9b2a4"), 0.0, 0.40, _UP, 1.0, 1.0)
    strips = (
        (x0, x1, z1 - rim, z1),
        (x0, x0 + rim, z0, z1),
        (x1 - rim, x1, z0, z1),
        (x0, x1, z0, z0 + rim),
    )
    for left, right, near, far in strips:
        canvas.face(_level((left, right, near, far), y + 0.3), stone)


def _level(limits: tuple[float, float, float, float], y: float) -> Array:
    """Corners of a horizontal rectangle (left, right, near, far) at height ``y``."""
    left, right, near, far = limits
    return np.array([(left, y, far), (right, y, far), (right, y, near), (left, y, near)])


def _machine(canvas: Canvas, at: Array, size: tuple[float, float, float], warm: bool) -> None:
    """An air conditioner: a grey box with a round fan, warm when it runs."""
    x, y, z = at
    w, h, d = size
    heat = 0.72 if warm else 0.42
    side, ahead = x + w + 0.9 * h, z - 0.6 * h
    shadow = [(x, y, z), (x + w, y, z), (side, y, ahead), (side, y, ahead + d), (x + w, y, z + d)]
    canvas.face(shadow, Paint(shade=0.15))
    metal = linear("#c2c6c8")
    front = facing(x + w / 2, y + h / 2, z, w, h)
    canvas.face(front, Paint(metal * 0.8, 0.0, heat, (0.0, 0.0, -1.0), 1.0, 1.0))
    canvas.face(_level((x, x + w, z, z + d), y + h), Paint(metal, 0.0, heat, _UP, 1.0, 1.0))
    reach = 0.36 * min(w, d)
    around = np.linspace(0, 2 * np.pi, 21)[:-1]
    fan = [(x + w / 2 + reach * np.cos(a), y + h, z + d / 2 + reach * np.sin(a)) for a in around]
    canvas.face(fan, Paint(linear("#2a2c2e"), 0.0, heat + (0.16 if warm else 0.0), _UP))


def _gabled_roof(canvas: Canvas, block: Block, scale: float, rng: np.random.Generator) -> None:
    w, d, y = block.width / 2 + 0.3, block.depth / 2 + 0.3, block.height
    x, z, ridge = block.x, block.z, y + block.depth / 2 * 0.55
    for side in (1, -1):
        panel = Panel(2 * w, float(np.hypot(d, ridge - y)), scale * 1.2)
        _tiles(panel, linear(block.roof), rng)
        eave = z + side * d
        corners = [(x - w, ridge, z), (x + w, ridge, z), (x + w, y, eave), (x - w, y, eave)]
        hang(canvas, panel, np.array(corners))
    for end in (-1, 1):
        if end * (canvas.camera.eye[0] - x) > w:
            at = x + end * (w - 0.3)
            gable = [(at, y, z - d + 0.3), (at, ridge, z), (at, y, z + d - 0.3)]
            plain = Paint(linear(block.wall), 0.0, 0.33, (float(end), 0.0, 0.0), 1.0, 1.0)
            canvas.face(gable, plain)
    chimney = np.array([x + 0.25 * block.width, y + 0.4, z - 0.5])
    _machine(canvas, chimney, (0.9, ridge - y + 0.5, 0.9), True)


def _tiles(panel: Panel, colour: Array, rng: np.random.Generator) -> None:
    rows, cols = panel.shape
    v, u = np.mgrid[:rows, :cols].astype(np.float32) / panel.scale
    course = np.mod(v, 0.34) / 0.34
    tone = 0.72 + 0.38 * course + 0.10 * np.sin(u * 2 * np.pi / 0.3)
    tones = rng.uniform(-1, 1, (53, 59))
    tone = tone + 0.1 * tones[(v / 0.34).astype(int) % 53, (u / 0.3).astype(int) % 59]
    stain = fractal_noise(rng, (rows, cols), 3 * panel.scale, 4)
    panel.albedo[:] = colour * (tone * (1 + 0.12 * stain))[..., None]
    panel.heat[:] = 0.42 + 0.02 * stain - 0.02 * (course < 0.2)
