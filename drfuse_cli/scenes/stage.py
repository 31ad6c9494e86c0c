"""Putting people, vehicles, trees and props on the ground: shadows first, then far to near."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from drfuse_cli.scenes.canvas import Canvas
from drfuse_cli.scenes.ground import Ground
from drfuse_cli.scenes.people import Person, draw_person, person_outlines
from drfuse_cli.scenes.texture import Array, generator
from drfuse_cli.scenes.trees import Tree, draw_tree, tree_outlines
from drfuse_cli.scenes.vehicles import Vehicle, draw_vehicle, vehicle_outlines


@dataclass(frozen=True)
class Prop:
    """Anything else that stands at ``x, z``: how to draw it, and what casts its shadow."""

    x: float
    z: float
    draw: Callable[[Canvas], None]
    outlines: Sequence[Array] = ()


Item = Person | Vehicle | Tree | Prop


def _everywhere(x: float, z: float) -> float:
    return 1.0


@dataclass(frozen=True)
class Stage:
    """What the drawing of every item shares; ``sunlit`` says how much sun a place gets."""

    canvas: Canvas
    seed: int
    sun: tuple[float, float, float]
    sky: Array
    below: Array
    sunlit: Callable[[float, float], float] = field(default=_everywhere)

    def cast_shadows(self, ground: Ground, items: Sequence[Item], more: Sequence[Array]) -> None:
        """Darken the ground under the shadows of ``items`` and of the outlines ``more``."""
        outlines = list(more)
        for number, item in enumerate(items):
            outlines += self._outlines(item, number)
        shadow = ground.shadow(outlines, self.sun)
        blur = max(self.canvas.camera.height / 500, 0.5)
        ground.darken(cv2.GaussianBlur(shadow, (0, 0), blur), 0.93, 0.1)
        for item in items:
            if isinstance(item, Vehicle):
                contact(ground, item)

    def draw(self, items: Sequence[Item]) -> None:
        """Draw ``items`` from the farthest to the nearest."""
        where = [(item.x, 0.0, item.z) for item in items]
        away = self.canvas.camera.view(np.array(where))[:, 2]
        for number in np.argsort(-away, kind="stable"):
            self._draw(items[number], int(number))

    def _outlines(self, item: Item, number: int) -> list[Array]:
        if isinstance(item, Person):
            return person_outlines(item)
        if isinstance(item, Vehicle):
            return vehicle_outlines(item)
        if isinstance(item, Tree):
            return tree_outlines(item, generator(self.seed, f"item {number}"))
        return list(item.outlines)

    def _draw(self, item: Item, number: int) -> None:
        rng = generator(self.seed, f"item {number}")
        light = self.sunlit(item.x, item.z)
        if isinstance(item, Person):
            draw_person(self.canvas, item, rng, light)
        elif isinstance(item, Vehicle):
            draw_vehicle(self.canvas, item, self.sky, self.below, light)
        elif isinstance(item, Tree):
            draw_tree(self.canvas, item, rng, 0.3 + 0.6 * light)
        else:
            item.draw(self.canvas)


def contact(ground: Ground, vehicle: Vehicle) -> None:
    """The dark patch under a vehicle, warm below a running engine."""
    near = ground.near(vehicle.x, vehicle.z, vehicle.shape.length / 2 + 1.0)
    if near is None:
        return
    angle = np.deg2rad(vehicle.yaw)
    dx, dz = ground.x[near] - vehicle.x, ground.z[near] - vehicle.z
    side = np.abs(dx * np.cos(angle) - dz * np.sin(angle))
    ahead = dx * np.sin(angle) + dz * np.cos(angle)
    out = np.maximum(side - vehicle.shape.half_width + 0.15, 0) ** 2
    out = out + np.maximum(np.abs(ahead) - vehicle.shape.length / 2 + 0.2, 0) ** 2
    under = np.exp(-out / 0.09)
    ground.canvas.shade[ground.top :][near] *= 1 - 0.9 * under
    ground.canvas.sky[ground.top :][near] *= 1 - 0.8 * under
    warm = 0.5 + 0.5 * np.tanh(ahead)
    ground.canvas.heat[ground.top :][near] += 0.16 * vehicle.engine * np.exp(-out / 0.06) * warm
