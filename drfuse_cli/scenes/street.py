"""A city street by day and by night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drfuse_cli.scenes.bodies import HATCH, SEDAN, SUV, VAN
from drfuse_cli.scenes.camera import Camera
from drfuse_cli.scenes.canvas import Canvas, Paint
from drfuse_cli.scenes.develop import Lamp, Weather
from drfuse_cli.scenes.ground import Ground
from drfuse_cli.scenes.palette import linear
from drfuse_cli.scenes.panel import facing
from drfuse_cli.scenes.people import Person
from drfuse_cli.scenes.roadway import street_road
from drfuse_cli.scenes.signs import board, disc_sign, pole
from drfuse_cli.scenes.sky import Sky, draw_sky
from drfuse_cli.scenes.stage import Item, Prop, Stage
from drfuse_cli.scenes.terrace import WALL, draw_rows, draw_skyline, shading_outlines
from drfuse_cli.scenes.texture import generator
from drfuse_cli.scenes.trees import Tree
from drfuse_cli.scenes.vehicles import Vehicle


@dataclass(frozen=True)
class Cast:
    """Who and what stands in the street."""

    people: tuple[Person, ...]
    vehicles: tuple[Vehicle, ...]
    trees: tuple[Tree, ...]
    posts: tuple[tuple[float, float], ...]


def street_camera(width: int, height: int) -> Camera:
    """Eye level of a driver, looking down the street."""
    return Camera(
        width, height, 0.69 * min(width, height * 4 / 3), (0.5, 1.85, 0.0), -2.0, 0.0, 0.59
    )


def _cast(seed: int, night: bool) -> Cast:
    rng = generator(seed, "street-cast")
    shift = rng.uniform(-0.5, 0.5, 12)
    coats = ["#7a2230", "#22405e", "#3d4a2c", "#2b2b2f", "#b5832a", "#5b3a6b"]
    pick = [str(c) for c in rng.permutation(coats)]
    people = (
        Person(-2.3 + shift[0], 8.2, 90, 0.55, 1.78, "#b8452f", "#26374f", bag="#30343a"),
        Person(-0.9 + shift[0], 8.8, 90, 0.45, 1.66, "#d8b23c", "#3b3f46", "#6b4a2a", phase=-0.9),
        Person(5.6, 8.8 + shift[1], 185, 0.5, 1.75, pick[0], "#23252b", coat=True),
        Person(-6.2, 11.0 + shift[2], 5, 0.5, 1.7, pick[1], "#4b4238", phase=-1, bag="#7a5a2a"),
        Person(-5.7, 15.5 + shift[3], 175, 0.45, 1.8, pick[2], "#2a3140"),
        Person(5.8, 17.0 + shift[4], 0, 0.5, 1.72, pick[3], "#3c3c44", coat=True, phase=-1),
        Person(6.6, 17.6 + shift[5], 10, 0.5, 1.6, pick[4], "#33405a"),
        Person(-6.2, 24.0, 180, 0.5, 1.75, pick[5], "#2a2a30"),
        Person(3.4, 14.5 + shift[7], 280, 0.5, 1.76, "#22252c", "#1d1f24", phase=-1),
    )
    vehicles = (
        Vehicle(SEDAN, 2.2, 19.5, 0, "#9c1f26", 0.9, night),
        Vehicle(HATCH, -2.1, 23.0 + 2 * shift[6], 180, "#2b5f9e", 1.0, night),
        Vehicle(SUV, -2.2, 38.0, 180, "#c9cbc8", 1.0, night),
        Vehicle(VAN, 3.55, 31.0, 0, "#e4e2da", 0.15),
        Vehicle(HATCH, 3.6, 40.0, 0, "#6f7d3a", 0.1),
        Vehicle(SUV, -3.6, 15.0, 180, "#2d3136", 0.15),
    )
    trees = (
        Tree(5.5, 15.6, 6.4, 1.8, "#4a6a2a"),
        Tree(-5.4, 19.0, 7.2, 2.2, "#40602a"),
        Tree(5.4, 24.0, 7.0, 2.2, "#557030"),
        Tree(-5.4, 30.0, 7.2, 2.3, "#466428"),
        Tree(5.4, 36.0, 7.4, 2.3, "#48682c"),
        Tree(-5.4, 44.0, 8.0, 2.6, "#42602c"),
        Tree(5.4, 50.0, 8.0, 2.6, "#42602c"),
    )
    return Cast(
        people,
        vehicles,
        trees,
        ((-5.0, 13.0), (5.0, 18.5), (-5.0, 25.0), (5.0, 32.0), (-5.0, 42.0)),
    )


DAY = Weather(
    sun=(0.42, 0.62, -0.66),
    sun_colour=linear("#ffefcf") * 3.4,
    sky_colour=linear("#b9d4f2") * 0.7,
    bounce=linear("#d8c8b0") * 0.3,
    haze_colour=linear("#c4d6e6") * 0.9,
    haze=0.006,
    exposure=0.62,
    glow=0.04,
    heat_range=(0.02, 0.95),
)


def night_weather(cast: Cast) -> Weather:
    """Street lamps, the headlights of the oncoming traffic, and our own."""
    lamps = [Lamp((x - np.sign(x) * 1.2, 5.6, z), linear("#ffb764"), 9.0) for x, z in cast.posts]
    lamps.append(Lamp((0.6, 0.7, -1.0), linear("#fff0d8"), 60.0, (0.0, -0.04, 1.0), 0.86))
    lamps += [
        Lamp(
            (v.x, 0.7, v.z - v.shape.length / 2 - 0.1),
            linear("#fff2d8"),
            30.0,
            (0.05, -0.1, -0.99),
            0.85,
        )
        for v in cast.vehicles
        if v.lights and v.yaw == 180
    ]
    return Weather(
        sun=(0.3, 0.8, -0.5),
        sun_colour=linear("#5a6a90") * 0.03,
        sky_colour=linear("#35507f") * 0.10,
        bounce=linear("#806040") * 0.02,
        haze_colour=linear("#1a2030") * 0.4,
        haze=0.004,
        exposure=1.0,
        glow=0.5,
        lamps=tuple(lamps),
        sun_heat=0.0,
        heat_range=(0.06, 1.0),
        equalise=0.15,
    )


DAY_SKY = Sky(linear("#3f7fce"), linear("#bcd9f2") * 1.25, linear("#ffffff") * 1.6, 0.35)
NIGHT_SKY = Sky(
    linear("#0a1020") * 0.6, linear("#2b2a33") * 0.6, linear("#232838") * 0.5, 0.3, (0.02, 0.1)
)


def street(width: int, height: int, seed: int, night: bool) -> tuple[Canvas, Weather]:
    """Paint the street; returns the canvas and the light to develop it in."""
    canvas = Canvas(street_camera(width, height))
    cast = _cast(seed, night)
    weather = night_weather(cast) if night else DAY
    draw_sky(canvas, generator(seed, "sky"), NIGHT_SKY if night else DAY_SKY)
    ground = Ground(canvas, generator(seed, "ground"))
    draw_skyline(canvas, seed, night)
    street_road(ground, night)
    dim = 0.02 if night else 1.0
    stage = Stage(
        canvas,
        seed,
        weather.sun,
        sky=linear("#a8c8ea") * (1.1 * dim),
        below=linear("#6a665f") * (0.35 * dim),
        sunlit=lambda x, z: 0.15 if x > 1.6 else 1.0,
    )
    items: list[Item] = [*cast.people, *cast.vehicles, *cast.trees, *_props(cast, night)]
    stage.cast_shadows(ground, items, shading_outlines())
    for side in (-1, 1):
        near_wall = np.exp(-np.maximum(WALL - side * ground.x, 0) / 0.8)
        canvas.sky[ground.top :] *= 1 - 0.45 * near_wall
    draw_rows(canvas, seed, night)
    stage.draw(items)
    return canvas, weather


def _props(cast: Cast, night: bool) -> list[Prop]:
    """Lamp posts and the direction board."""

    def post(x: float, z: float) -> Prop:
        return Prop(x, z, lambda canvas: _lamp_post(canvas, x, z, night))

    glow = 0.14 if night else 0.0
    direction = Prop(5.1, 13.0, lambda canvas: _direction_board(canvas, 13.0, glow))
    return [*(post(x, z) for x, z in cast.posts), direction]


def _direction_board(canvas: Canvas, z: float, glow: float) -> None:
    pole(canvas, np.array([(5.1, 0, z), (5.1, 6.3, z)]), 0.16)
    pole(canvas, np.array([(5.1, 5.4, z), (1.8, 5.4, z)]), 0.12)
    disc_sign(canvas, 5.1, 2.9, z - 0.12, "30", glow)
    place = facing(3.1, 5.2, z - 0.1, 2.9, 1.5)
    board(canvas, place, ("Harbour 2", "Centre"), "#0d4c92", "#f4f6f8", glow)


def _lamp_post(canvas: Canvas, x: float, z: float, night: bool) -> None:
    side = float(np.sign(x))
    arm = [(x, 0, z), (x, 5.4, z), (x - side * 0.25, 5.75, z), (x - side * 1.2, 5.8, z)]
    pole(canvas, np.array(arm), 0.13, "#3d4650")
    pole(canvas, np.array([(x, 0, z), (x, 0.8, z)]), 0.24, "#3d4650")
    reach = ((1.75, 5.78), (1.05, 5.86), (1.05, 5.7), (1.7, 5.66))
    glow = linear("#ffc27a") * (16.0 if night else 0.0)
    glass = Paint(linear("#c9c6bd"), glow, 0.62 if night else 0.35, (0.0, 1.0, 0.0))
    canvas.face([(x - side * out, y, z) for out, y in reach], glass)
