"""A neighbourhood from a drone on a sunny afternoon."""

from __future__ import annotations

import numpy as np

from drfuse_cli.scenes.blocks import Block, block_outline, draw_block
from drfuse_cli.scenes.bodies import BUS, HATCH, SEDAN, SUV, VAN
from drfuse_cli.scenes.camera import Camera
from drfuse_cli.scenes.canvas import Canvas, Paint
from drfuse_cli.scenes.develop import Weather
from drfuse_cli.scenes.ground import Ground
from drfuse_cli.scenes.palette import linear
from drfuse_cli.scenes.people import Person
from drfuse_cli.scenes.roadway import paving, wheel_tracks, worn
from drfuse_cli.scenes.stage import Item, Prop, Stage
from drfuse_cli.scenes.texture import generator, smoothstep
from drfuse_cli.scenes.trees import Tree
from drfuse_cli.scenes.vehicles import Vehicle

AFTERNOON = Weather(
    sun=(-0.60, 0.66, -0.22),
    sun_colour=linear("#ffedc8") * 3.0,
    sky_colour=linear("#b4d0f2") * 0.8,
    bounce=linear("#d8c8b0") * 0.3,
    haze_colour=linear("#c4d6e6") * 0.9,
    haze=0.0022,
    exposure=0.62,
    glow=0.03,
    heat_range=(0.10, 1.0),
)

BLOCKS = (
    Block(-11.2, 22.0, 15.5, 13.0, 8.0, "#8c4b38", "DEPOT 7", "#8d9094"),
    Block(-13.5, -2.5, 11.0, 9.0, 5.6, "#cfc7b4", None, "#8a4434", gabled=True),
    Block(21.0, 20.5, 11.0, 12.0, 11.0, "#a9684c", "H", "#a39c8f"),
    Block(36.0, 22.0, 14.0, 14.0, 7.0, "#c9bfae", "MARKET", "#96918a"),
    Block(-31.0, 22.0, 14.0, 12.0, 6.0, "#9a8f80", None, "#704034", gabled=True),
    Block(20.0, 47.0, 16.0, 12.0, 9.0, "#8a6a58", None, "#8f8b84"),
    Block(-18.0, 47.0, 20.0, 12.0, 7.0, "#b7ab97", None, "#734436", gabled=True),
    Block(44.0, 48.0, 16.0, 12.0, 8.0, "#a48c78", None, "#8f8b84"),
    Block(-46.0, 48.0, 18.0, 12.0, 8.0, "#8a5a48", None, "#8a8580"),
)


def drone(width: int, height: int, seed: int) -> tuple[Canvas, Weather]:
    """Paint the neighbourhood; returns the canvas and the light to develop it in."""
    focal = 1.0 * min(width, height * 4 / 3)
    canvas = Canvas(Camera(width, height, focal, (0.0, 33.0, -27.0), 8.0, 43.0, 0.5))
    ground = Ground(canvas, generator(seed, "ground"))
    _surfaces(ground)
    stage = Stage(canvas, seed, AFTERNOON.sun, linear("#b8d2ee") * 1.1, linear("#75706a") * 0.4)
    items: list[Item] = [*_vehicles(seed), *_people(seed), *_trees(seed), *_blocks(seed)]
    stage.cast_shadows(ground, items, [block_outline(b) for b in BLOCKS])
    stage.draw(items)
    return canvas, AFTERNOON


def _blocks(seed: int) -> list[Prop]:
    def drawer(number: int, block: Block) -> Prop:
        rng_name = f"block {number}"
        return Prop(
            block.x, block.z, lambda canvas: draw_block(canvas, block, generator(seed, rng_name))
        )

    return [drawer(number, block) for number, block in enumerate(BLOCKS)]


def _vehicles(seed: int) -> list[Vehicle]:
    shift = generator(seed, "drone-cars").uniform(-1.0, 1.0, 12)
    road = [
        Vehicle(SEDAN, -14.0 + shift[0], 7.4, 90, "#b1242a", 1.0),
        Vehicle(VAN, 0.5 + shift[1], 7.4, 90, "#eceae2", 1.0),
        Vehicle(HATCH, -3.0 + shift[2], 11.2, -90, "#2c66a8", 1.0),
        Vehicle(BUS, 22.5 + shift[3], 11.3, -90, "#d8a018", 0.9),
        Vehicle(SUV, 9.2, -5.0 + shift[4], 0, "#23282e", 1.0),
        Vehicle(SEDAN, 6.0, 22.0 + shift[5], 180, "#d5d6d2", 1.0),
        Vehicle(HATCH, 9.2, 33.0 + shift[6], 0, "#3f7a4d", 1.0),
    ]
    colours = ("#c9cbc8", "#22262b", "#7c1f24", "#2d4f7c", "#d9d4c4", "#5a6a4a", "#8a8d92")
    engines = (0.05, 0.7, 0.05, 0.1, 0.05, 0.9, 0.05)
    parked = [
        Vehicle(
            (SEDAN, HATCH, SUV)[i % 3], 15.6 + 2.75 * i, 1.0, 180 * (i % 2), colours[i], engines[i]
        )
        for i in (0, 1, 2, 4, 5, 6)
    ]
    return road + parked


def _people(seed: int) -> list[Person]:
    shift = generator(seed, "drone-people").uniform(-0.6, 0.6, 12)
    clothes = (
        "#c23b2e", "#e0b13c", "#2f6f8f", "#3d4a2c", "#d9d2c4", "#7a2f5a", "#23262c", "#b8622e",
    )  # fmt: skip
    spots = (
        (3.4, 5.0, 0), (4.3, 9.3, 20), (12.3, 8.6, 180), (12.2, 12.0, 0), (-6.0, 13.9, 80),
        (-17.0, 5.0, 260), (18.5, 14.2, 90), (24.0, -2.5, 200), (0.6, -4.9, 40), (-6.0, -3.2, 230),
        (1.5, 14.8, 300), (3.6, 26.0, 0),
    )  # fmt: skip
    return [
        Person(
            x + shift[i], z + shift[-i], turn, 0.5, 1.75, clothes[i % 8], "#2a2f3a", phase=(-1) ** i
        )
        for i, (x, z, turn) in enumerate(spots)
    ]


def _trees(seed: int) -> list[Tree]:
    rng = generator(seed, "drone-trees")
    spots = (
        (-24.0, -2.0), (-6.6, -9.5), (-4.4, 1.6), (-5.6, 4.0), (-20.6, 3.2), (-29.0, 3.4),
        (1.6, 18.5), (2.0, 27.0), (-1.6, 16.8), (13.0, 16.5), (13.2, 26.0), (13.4, -4.5),
        (29.0, 18.0), (-30.0, 17.0), (-31.0, 27.0), (2.0, 37.0), (13.0, 37.0), (-3.0, 38.0),
        (30.0, 33.0), (-8.0, 34.0), (37.0, -3.0), (-22.0, 35.0), (0.3, -12.0), (2.2, 47.0),
        (13.4, 49.0),
    )  # fmt: skip
    greens = ("#4a6a2a", "#40602a", "#5a7030", "#6a7434", "#3a5a30")
    return [
        Tree(x, z, rng.uniform(5.0, 7.0), rng.uniform(1.7, 2.5), greens[i % 5], 1.8, 3000)
        for i, (x, z) in enumerate(spots)
    ]


def _surfaces(ground: Ground) -> None:
    _grass(ground)
    _pavements(ground)
    _roads(ground)
    _parking(ground)
    _court(ground)
    _pond(ground)


def _grass(ground: Ground) -> None:
    tone = 1 + 0.14 * ground.rough(7.0) + 0.16 * ground.grit(0.22) + 0.1 * ground.grit(0.5)
    dry = smoothstep(-0.4, 1.8, ground.rough(14.0, 30.0))[..., None]
    colour = linear("#55722f") + dry * (linear("#85803e") - linear("#55722f"))
    heat = 0.25 + 0.02 * ground.rough(7.0) + 0.05 * dry[..., 0]
    ground.surface(np.ones_like(ground.x), colour * tone[..., None], heat)


def _pavements(ground: Ground) -> None:
    streets = np.maximum(ground.along(3.6, 15.2), ground.across(1.8, 13.2))
    yard = ground.across(-31.0, 33.5) * ground.along(15.0, 29.5)
    far = ground.along(39.0, 56.0)
    paving(ground, np.maximum.reduce([streets, yard * 0.9, far]), 1.0, 0.33, 0.37)


def _roads(ground: Ground) -> None:
    stain = ground.rough(5.0)
    tone = 0.105 + 0.012 * stain + 0.014 * ground.grit(0.1)
    colour = tone[..., None] * linear("#eff0f5")
    tracks = wheel_tracks(ground.z, (6.6, 8.2, 10.4, 12.0))
    road = np.maximum(ground.along(5.4, 13.4), ground.across(3.9, 11.2))
    ground.surface(road, colour, 0.42 + 0.012 * stain + 0.02 * tracks)
    left = worn(ground, 1.2)
    white = Paint(albedo=linear("#e2e0d8") * 0.85, heat=0.40)
    inside = (ground.x > 2.0) & (ground.x < 13.2)
    ahead = ground.band(np.mod(ground.x, 4.0), 0, 2.2, ground.x_step)
    ground.paint(ground.along(9.33, 9.47) * ahead * left * ~inside, white)
    across = ground.band(np.mod(ground.z, 4.0), 0, 2.2, ground.z_step)
    beyond = (ground.z < 3.6) | (ground.z > 15.2)
    ground.paint(ground.across(7.48, 7.62) * across * left * beyond, white)
    bars = ground.band(np.mod(ground.z - 5.6, 1.0), 0, 0.5, ground.z_step) * ground.along(5.6, 13.2)
    ground.paint(bars * ground.across(0.4, 2.8) * left, white)
    bars = ground.band(np.mod(ground.x - 4.1, 1.0), 0, 0.5, ground.x_step) * ground.across(
        4.1, 11.0
    )
    ground.paint(bars * ground.along(14.4, 16.8) * left, white)
    arrow = ground.across(9.25, 9.45) * ground.along(-3.0, 0.0)
    ground.paint(arrow * left, white)


def _parking(ground: Ground) -> None:
    tone = 0.14 + 0.012 * ground.rough(4.0) + 0.016 * ground.grit(0.1)
    lot = ground.across(13.6, 34.5) * ground.along(-2.2, 4.4)
    ground.surface(lot, tone[..., None] * linear("#f0eeea"), 0.44 + 0.01 * ground.rough(4.0))
    white = Paint(albedo=linear("#e2e0d8") * 0.8, heat=0.42)
    bay = ground.band(np.mod(ground.x - 14.2, 2.75), 0, 0.12, ground.x_step)
    ground.paint(bay * ground.along(-1.7, 3.8) * ground.across(14.1, 34.3), white)


def _court(ground: Ground) -> None:
    court = ground.across(13.8, 29.0) * ground.along(-15.0, -5.4)
    tone = 1 + 0.05 * ground.rough(3.0) + 0.04 * ground.grit(0.1)
    ground.surface(court, tone[..., None] * linear("#2f6a68"), 0.41 + 0.01 * ground.rough(3.0))
    key = ground.across(13.8, 18.4) * ground.along(-12.0, -8.0)
    ground.paint(key, Paint(albedo=linear("#a8503a"), heat=0.43))
    line = Paint(albedo=linear("#ece8dc") * 0.9, heat=0.40)
    radius = np.hypot(ground.x - 21.4, ground.z + 10.2)
    ring = np.clip((0.06 - np.abs(radius - 1.8)) / ground.z_step + 0.5, 0, 1)
    ground.paint(ring * court, line)
    for stripe in (
        ground.across(21.34, 21.46) * court,
        ground.across(18.34, 18.46) * ground.along(-12.0, -8.0),
        ground.along(-5.8, -5.68) * ground.across(14.0, 28.8),
        ground.across(14.0, 14.12) * court,
        ground.across(28.68, 28.8) * court,
    ):
        ground.paint(stripe, line)


def _pond(ground: Ground) -> None:
    """Still water: it mirrors the sky in the light and stays cool in the heat."""
    near = ground.near(-3.0, -7.0, 6.0)
    if near is None:
        return
    dx, dz, step = ground.x[near] + 3.0, ground.z[near] + 7.0, ground.z_step[near]
    angle = np.arctan2(dz, dx)
    shore = 2.7 + 0.35 * np.sin(2 * angle + 0.6) + 0.2 * np.sin(3 * angle)
    inland = np.hypot(dx, dz / 1.3) - shore
    bank = np.clip((0.8 - inland) / step + 0.5, 0, 1)
    water = np.clip(-inland / step + 0.5, 0, 1)
    grit = ground.grit(0.15)[near]
    at = (near[0].start + ground.top, near[1].start)
    gravel = linear("#c9b998") * (0.9 + 0.1 * grit)[..., None]
    ground.canvas.paint(bank, Paint(gravel, 0.0, 0.36 + 0.01 * grit), at)
    ripple = 0.06 * ground.grit(0.5)[near] + 0.1 * ground.rough(2.0)[near]
    depth = smoothstep(0.0, 1.6, -inland)[..., None]
    colour = linear("#4f8a8a") + depth * (linear("#16455a") - linear("#4f8a8a"))
    ground.canvas.paint(
        water, Paint(colour * (1 + ripple[..., None]), linear("#9cc0e8") * 0.10, 0.18), at
    )
