"""Two rows of houses along a street, and the town that closes the view."""

from __future__ import annotations

import numpy as np

from drfuse_cli.scenes.canvas import Canvas, Paint
from drfuse_cli.scenes.facade import House, awning, front
from drfuse_cli.scenes.palette import linear
from drfuse_cli.scenes.panel import facing, hang
from drfuse_cli.scenes.signs import board, pole
from drfuse_cli.scenes.texture import Array, generator

WALL = 8.2
"""Distance of the house fronts from the middle of the road."""

_CREAM, _SAND, _SLATE = "#d9c08a", "#b9c7bd", "#a9b4c4"
Row = tuple[tuple[float, float, House], ...]

LEFT: Row = (
    (1.6, 8.0, House("brick", "#8a4a35", "#d8cdb8", 4, shop="BAKERY", shop_colour="#1f4034")),
    (8.0, 16.5, House("plaster", _CREAM, "#efe6d2", 3, shop="BOOKS & MAPS", shop_colour="#5a1f24")),
    (16.5, 24.0, House("brick", "#6f4b3e", "#c9bda6", 5, shop="CINEMA", shop_colour="#1d2b52")),
    (24.0, 36.0, House("plaster", _SAND, "#e8e5da", 4, shop="HOTEL", shop_colour="#3a3a3a")),
    (36.0, 60.0, House("brick", "#9a6a4c", "#ddd2bf", 5)),
)
RIGHT: Row = (
    (1.6, 9.5, House("plaster", "#c98f6b", "#f0e4d0", 3, shop="CAFE", shop_colour="#40241a")),
    (9.5, 18.0, House("brick", "#7d3f33", "#d2c6b2", 3, shop="PHARMACY", shop_colour="#0f4f3a")),
    (18.0, 27.0, House("plaster", _SLATE, "#e6e6e2", 4, shop="MUSIC", shop_colour="#2c2040")),
    (27.0, 40.0, House("brick", "#a0705a", "#dfd6c5", 4, shop="MARKET", shop_colour="#6a3a10")),
    (40.0, 62.0, House("plaster", "#cdbb9a", "#efe8da", 5)),
)
_NO_AWNING = ("CINEMA", "HOTEL")


def draw_rows(canvas: Canvas, seed: int, night: bool) -> None:
    """Both sides of the street, far to near."""
    for side, houses in ((-1, LEFT), (1, RIGHT)):
        for start, stop, house in reversed(houses):
            rng = generator(seed, f"house {side} {start}")
            scale = canvas.camera.focal / max(start, 5.0) * 0.75
            panel = front(house, stop - start, min(max(scale, 8), 76), rng, 0.4 if night else 0.0)
            _roof(canvas, (start, stop), side, house)
            x = side * WALL
            ends = ((x, start), (x, stop)) if side < 0 else ((x, stop), (x, start))
            hang(canvas, panel, wall(*ends, panel.height))
            if house.shop is not None:
                _shop_front(canvas, (start, stop), side, house, 0.8 if night else 0.0)


def shading_outlines() -> list[Array]:
    """The right-hand houses, which keep the sun from the street, and those behind us."""
    blocks = [*RIGHT, (-25.0, 1.6, RIGHT[0][2])]
    return [
        np.array(
            [(x, y, z) for x in (WALL, WALL + 9) for y in (0, house.height) for z in (start, stop)]
        )
        for start, stop, house in blocks
    ]


def draw_skyline(canvas: Canvas, seed: int, night: bool) -> None:
    """Distant blocks and a clock tower."""
    rng = generator(seed, "skyline")
    for _ in range(11):
        x, z = rng.uniform(-50, 42), rng.uniform(95, 140)
        width, storeys = rng.uniform(9, 16), int(rng.integers(4, 10))
        tone = ("#8f9aa6", "#a89a8a", "#7f8b94")[int(rng.integers(3))]
        block = House("plaster", tone, "#c8c8c4", storeys, 3.4, 3.4)
        panel = front(block, width, 7.0, rng, 0.35 if night else 0.0)
        hang(canvas, panel, wall((x, z), (x + width, z), panel.height), 0.6)
    _tower(canvas, -1.5, 92.0, night)


def wall(left: tuple[float, float], right: tuple[float, float], height: float) -> Array:
    """World corners of an upright wall between two places (x, z), clockwise from top left."""
    (x0, z0), (x1, z1) = left, right
    return np.array([(x0, height, z0), (x1, height, z1), (x1, 0, z1), (x0, 0, z0)])


def _tower(canvas: Canvas, x: float, z: float, night: bool) -> None:
    stone = House("plaster", "#b9a88a", "#d8cdb4", 8, bay=2.2)
    panel = front(stone, 5.2, 9.0, np.random.default_rng(3), 0.25 if night else 0.0)
    hang(canvas, panel, wall((x - 2.6, z), (x + 2.6, z), panel.height), 0.8)
    top = panel.height
    spire = [(x - 3.0, top, z), (x + 3.0, top, z), (x, top + 8, z)]
    canvas.face(spire, Paint(linear("#4f6f66"), 0.0, 0.3, (0.3, 0.5, -0.8), 1.0, 1.0))
    around = np.linspace(0, 2 * np.pi, 33)[:-1]
    dial = [(x + 1.5 * np.cos(a), top - 3 + 1.5 * np.sin(a), z) for a in around]
    glow = linear("#ffe9b8") * (1.2 if night else 0.0)
    canvas.face(dial, Paint(linear("#e8e2d0"), glow, 0.34))


def _roof(canvas: Canvas, span: tuple[float, float], side: int, house: House) -> None:
    """The end wall towards us, tiles above the cornice, and warm chimneys."""
    start, stop = span
    inner, ridge, outer = (side * (WALL + back) for back in (0.0, 4.5, 9.0))
    top, peak = house.height, house.height + 2.6
    tiles = [(inner, top, start), (inner, top, stop), (ridge, peak, stop), (ridge, peak, start)]
    slope = (-side * 0.5, 0.866, 0.0)
    canvas.face(tiles, Paint(linear("#7c4636"), 0.0, 0.36, slope, 1.0, 0.9))
    end = [(inner, 0, start), (inner, top, start), (ridge, peak, start), (outer, top, start)]
    end.append((outer, 0, start))
    plain = Paint(linear(house.colour) * 0.75, 0.0, 0.33, (0.0, 0.0, -1.0), 1.0, 0.9)
    canvas.face(end, plain)
    for share in (0.25, 0.7):
        _chimney(canvas, side * (WALL + 2.6), top + 0.9, start + share * (stop - start))


def _chimney(canvas: Canvas, x: float, y: float, z: float) -> None:
    stack = Paint(linear("#7a4a3c"), 0.0, 0.48, (0.0, 0.0, -1.0), 1.0, 0.9)
    canvas.face(facing(x, y + 1.1, z, 0.9, 2.2), stack)
    for pot in (-0.22, 0.22):
        path = np.array([(x + pot, y + 2.2, z), (x + pot, y + 2.6, z)])
        pole(canvas, path, 0.2, "#9a5a40", 0.66)


def _shop_front(
    canvas: Canvas, span: tuple[float, float], side: int, house: House, glow: float
) -> None:
    """A striped awning over the pavement and a sign that sticks out from the wall."""
    if house.shop not in _NO_AWNING:
        _awning(canvas, span, side, house)
    place = facing(side * (WALL - 0.75), 4.25, span[0] + 0.8, 1.4, 0.62)
    board(canvas, place, (house.shop or "",), house.shop_colour, house.letters, glow)


def _awning(canvas: Canvas, span: tuple[float, float], side: int, house: House) -> None:
    back, out = side * WALL, side * (WALL - 1.1)
    start, length = span[0] + 0.5, span[1] - span[0] - 1.0
    up, level = (-side * 0.45, 0.89, 0.0), (-float(side), 0.0, 0.0)
    for first, last, colour in reversed(awning(length, house.shop_colour, "#e9dfc8")):
        near, far = start + first, start + last
        cloth = [(back, 2.85, near), (back, 2.85, far), (out, 2.35, far), (out, 2.35, near)]
        canvas.face(cloth, Paint(colour, 0.0, 0.33, up, 1.0, 0.9))
        edge = [(out, 2.35, near), (out, 2.35, far), (out, 2.12, far), (out, 2.12, near)]
        canvas.face(edge, Paint(colour * 0.8, 0.0, 0.33, level, 1.0, 0.8))
