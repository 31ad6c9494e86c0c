"""A misty morning at a school crossing: a bus, signs to read, a walker behind steam."""

from __future__ import annotations

import numpy as np

from drfuse_cli.scenes.bodies import BUS, HATCH, SEDAN
from drfuse_cli.scenes.camera import Camera
from drfuse_cli.scenes.canvas import Canvas, Paint
from drfuse_cli.scenes.develop import Weather
from drfuse_cli.scenes.facade import House, front
from drfuse_cli.scenes.ground import Ground
from drfuse_cli.scenes.palette import linear
from drfuse_cli.scenes.panel import Panel, facing, hang
from drfuse_cli.scenes.people import Person
from drfuse_cli.scenes.roadway import paving, wheel_tracks, worn
from drfuse_cli.scenes.signs import board, pole, stop_sign
from drfuse_cli.scenes.sky import Sky, draw_sky
from drfuse_cli.scenes.stage import Item, Prop, Stage
from drfuse_cli.scenes.terrace import wall
from drfuse_cli.scenes.texture import fractal_noise, generator, smoothstep
from drfuse_cli.scenes.trees import Tree
from drfuse_cli.scenes.vehicles import Vehicle

FRONT = 21.0
HOUSES = (
    (
        -24.0,
        -15.0,
        House("plaster", "#b4a58c", "#e2dac8", 2, shop="FLOWERS", shop_colour="#4a5f2c"),
    ),
    (
        -15.0,
        -6.5,
        House("brick", "#7c4536", "#d2c8b5", 3, shop="CITY MUSEUM", shop_colour="#26323f"),
    ),
    (-6.5, 1.0, House("plaster", "#c3b48f", "#ece4d0", 2, shop="BOOKSHOP", shop_colour="#5b1d24")),
    (1.0, 9.5, House("brick", "#8d5a43", "#d8ccb8", 3, shop="SCHOOL", shop_colour="#1d4666")),
    (9.5, 17.0, House("plaster", "#9fb0b4", "#e4e4de", 2, shop="BAKERY", shop_colour="#6b3d17")),
    (17.0, 26.0, House("brick", "#744234", "#cfc4b0", 3, shop="POST", shop_colour="#7a6412")),
)

MIST = Weather(
    sun=(-0.5, 0.6, -0.55),
    sun_colour=linear("#ffe6c4") * 1.5,
    sky_colour=linear("#cfd9e2") * 1.15,
    bounce=linear("#c8bda8") * 0.3,
    haze_colour=linear("#cdd5da") * 0.95,
    haze=0.015,
    exposure=0.72,
    glow=0.1,
    smoke_colour=linear("#dfe3e4") * 1.0,
    sun_heat=0.05,
    heat_range=(0.06, 0.98),
)


GREY_SKY = Sky(linear("#b4c2cf"), linear("#d9dcda") * 1.1, linear("#e6e6e2") * 1.1, 0.5, (0.1, 0.2))


def crossing(width: int, height: int, seed: int) -> tuple[Canvas, Weather]:
    """Paint the crossing; returns the canvas and the light to develop it in."""
    focal = 0.83 * min(width, height * 4 / 3)
    canvas = Canvas(Camera(width, height, focal, (0.0, 1.9, 0.0), 0.0, 0.0, 0.57))
    draw_sky(canvas, generator(seed, "sky"), GREY_SKY)
    ground = Ground(canvas, generator(seed, "ground"))
    _surface(ground)
    stage = Stage(canvas, seed, MIST.sun, linear("#ccd6de") * 1.0, linear("#6c6862") * 0.35)
    items: list[Item] = [*_people(seed), *_vehicles(), *_trees(), *_props(seed)]
    stage.cast_shadows(ground, items, [])
    canvas.shade[ground.top :] = 0.45 + 0.55 * canvas.shade[ground.top :]
    _fronts(canvas, seed)
    stage.draw(items)
    return canvas, MIST


def _people(seed: int) -> list[Person]:
    shift = generator(seed, "crossing-cast").uniform(-0.3, 0.3, 6)
    return [
        Person(
            0.55 + shift[0], 7.2, 170, 0.5, 1.72, "#2f6f8f", "#2c2f3a", "#6a4b2c", bag="#b8382c"
        ),
        Person(1.25 + shift[0], 7.5, 175, 0.45, 1.28, "#e0b020", "#34506e", "#2c1f18", phase=-1),
        Person(2.1 + shift[1], 10.4, 5, 0.5, 1.8, "#7b2d35", "#26282e", coat=True, bag="#3a3a35"),
        Person(-1.6 + shift[2], 16.2, 95, 0.5, 1.75, "#3b4a38", "#2b2b30"),
        Person(5.6 + shift[3], 16.0, 265, 0.5, 1.68, "#8a5a7a", "#33353c", coat=True, phase=-1),
        Person(-1.75 + 0.3 * shift[4], 5.35, 60, 0.1, 1.76, "#4b4f58", "#2d3038", phase=-1),
        Person(8.3 + shift[5], 15.5, 80, 0.5, 1.74, "#a8693a", "#33353c"),
    ]


def _vehicles() -> list[Vehicle]:
    return [
        Vehicle(BUS, -5.9, 11.2, 90, "#c8321f", 0.8),
        Vehicle(SEDAN, 7.6, 12.0, -90, "#39597a", 0.9),
        Vehicle(HATCH, 13.5, 12.3, -90, "#b9b7ae", 0.9),
    ]


def _trees() -> list[Tree]:
    return [
        Tree(11.2, 15.6, 7.0, 2.2, "#5a6e34"),
        Tree(-9.6, 15.6, 7.4, 2.3, "#6b7434"),
        Tree(1.0, 15.6, 5.4, 1.5, "#7d6f2c", 2.2),
    ]


def _props(seed: int) -> list[Prop]:
    return [
        Prop(2.75, 5.4, _stop),
        Prop(4.9, 15.0, lambda canvas: _steam(canvas, seed)),
        Prop(-5.6, 9.2, _bus_side),
        Prop(3.5, 14.4, _lights),
        Prop(-2.85, 5.3, _bus_stop),
    ]


def _surface(ground: Ground) -> None:
    stain, grit = ground.rough(5.0), ground.grit(0.035)
    tone = 0.11 + 0.012 * stain + 0.02 * grit + 0.007 * ground.grit(0.12)
    wet = smoothstep(0.5, 1.3, ground.rough(3.5, 9.0))
    tone = tone * (1 - 0.4 * wet)
    tracks = wheel_tracks(ground.z, (7.0, 8.6, 10.6, 12.2))
    heat = 0.36 + 0.012 * stain + 0.03 * tracks - 0.04 * wet
    ground.surface(np.ones_like(ground.x), tone[..., None] * linear("#eef0f5"), heat)
    left = worn(ground)
    white = Paint(albedo=linear("#dcdcd6") * 0.85, heat=0.345)
    bars = ground.band(np.mod(ground.z - 5.4, 1.0), 0, 0.5, ground.z_step)
    ground.paint(bars * ground.across(-0.3, 2.9) * ground.along(5.8, 13.4) * left, white)
    dash = ground.band(np.mod(ground.x, 3.0), 0, 1.6, ground.x_step)
    away = (ground.x < -0.7) | (ground.x > 3.3)
    ground.paint(dash * ground.along(9.35, 9.5) * left * away, white)
    kerb = Paint(albedo=linear("#b9b4aa") * 0.75, heat=0.34)
    for near, far, edge in ((0.0, 5.55, 5.55), (13.8, FRONT + 20, 13.8)):
        paving(ground, ground.along(near, far), 0.6, 0.27, 0.33)
        ground.paint(ground.along(edge - 0.1, edge + 0.1), kerb)


def _fronts(canvas: Canvas, seed: int) -> None:
    for left, right, house in HOUSES:
        scale = canvas.camera.focal / FRONT * 1.1
        panel = front(house, right - left, scale, generator(seed, f"front {left}"), 0.22)
        hang(canvas, panel, wall((left, FRONT), (right, FRONT), panel.height), 0.5)


def _stop(canvas: Canvas) -> None:
    x, z = 2.75, 5.4
    pole(canvas, np.array([(x, 0, z), (x, 2.75, z)]), 0.08)
    stop_sign(canvas, x, 2.45, z - 0.06)
    board(canvas, facing(x, 1.78, z - 0.06, 0.8, 0.34), ("SCHOOL",), "#f0c419", "#141414")


def _bus_side(canvas: Canvas) -> None:
    """The line's name along the side of the bus, at its skin."""
    z = 11.2 - BUS.half_width - 0.015
    panel = Panel(2.3, 0.46, 1.5 * canvas.camera.focal / z)
    panel.text("CITY LINE", (0, 0, 2.3, 0.46), linear("#f6efd8"))
    panel.albedo[:] = linear("#f6efd8")
    panel.cover[:] = panel.text_mask
    hang(canvas, panel, facing(-4.75, 1.02, z, 2.3, 0.46), warms=False)
    head = facing(-2.05, 2.72, z, 1.5, 0.3)
    board(canvas, head, ("24 PARK",), "#101010", "#ffb020", 1.2)


def _bus_stop(canvas: Canvas) -> None:
    x, z = -2.85, 5.3
    pole(canvas, np.array([(x, 0, z), (x, 2.9, z)]), 0.07)
    board(canvas, facing(x + 0.42, 2.55, z, 0.75, 0.6), ("BUS", "24"), "#0e5aa7", "#f5f5f0")


def _lights(canvas: Canvas) -> None:
    x, z = 3.5, 14.4
    pole(canvas, np.array([(x, 0, z), (x, 3.4, z)]), 0.13, "#39404a")
    case = Paint(linear("#15171a"), 0.0, 0.36, (0, 0, -1.0), 1.0, 0.8)
    canvas.face(facing(x, 3.0, z - 0.1, 0.4, 1.15), case)
    around = np.linspace(0, 2 * np.pi, 25)[:-1]
    lenses = (("#ff2a1c", 5.0, 0.62), ("#6a4a10", 0.0, 0.36), ("#0c3b20", 0.0, 0.36))
    for row, (colour, glow, heat) in enumerate(lenses):
        y = 3.36 - 0.36 * row
        ring = [(x + 0.14 * np.cos(a), y + 0.14 * np.sin(a), z) for a in around]
        lens = linear(colour)
        canvas.face(ring, Paint(lens * 0.5, lens * glow, heat, (0, 0, -1.0)))


def _steam(canvas: Canvas, seed: int) -> None:
    """Steam from the street hides what is behind it from the visible camera alone."""
    camera = canvas.camera
    (foot, top), depth = camera.project(np.array([(4.9, 0.0, 14.6), (6.6, 4.4, 14.6)]))
    scale = camera.focal / float(depth[0])
    y, x = np.mgrid[: camera.height, : camera.width].astype(np.float32)
    rise = np.clip((foot[1] - y) / max(foot[1] - top[1], 1.0), -0.1, 1.4)
    middle = foot[0] + (top[0] - foot[0]) * np.maximum(rise, 0) ** 1.3
    noise = fractal_noise(
        generator(seed, "steam"), (camera.height, camera.width), scale * 0.9, 6, 0.55
    )
    reach = scale * (0.5 + 1.0 * rise)
    inside = 1 - np.abs(x - middle) / reach
    body = smoothstep(-0.15, 0.55, inside + 0.42 * noise)
    fade = smoothstep(1.3, 0.55, rise) * smoothstep(-0.03, 0.04, rise)
    veil = 0.94 * body * fade
    np.maximum(canvas.smoke, veil, out=canvas.smoke)
