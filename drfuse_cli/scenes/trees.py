"""Trees: a bent trunk and a crown of leaves lit from the sun's side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drfuse_cli.scenes.canvas import Canvas, Label, Paint
from drfuse_cli.scenes.palette import linear
from drfuse_cli.scenes.texture import Array


@dataclass(frozen=True)
class Tree:
    """A tree at ``x, z``: height, radius of the crown, colour of its leaves; metres."""

    x: float
    z: float
    height: float = 6.5
    spread: float = 2.0
    colour: str = "#4f7d2c"
    trunk: float = 2.4
    leaves: int = 11000
    heat: float = 0.27


def _puffs(tree: Tree, rng: np.random.Generator) -> tuple[Array, Array]:
    """Centres (N, 3) and radii (N,) of the clumps of a crown."""
    count = 40
    way = rng.standard_normal((count, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    reach = rng.uniform(0.3, 0.92, count)[:, None]
    tall = (tree.height - tree.trunk) / 2
    size = np.array([tree.spread, tall, tree.spread])
    centres = way * reach * size + (tree.x, tree.trunk + tall * 0.95, tree.z)
    return centres, rng.uniform(0.2, 0.42, count) * tree.spread


def draw_tree(canvas: Canvas, tree: Tree, rng: np.random.Generator, shade: float = 1.0) -> None:
    """Draw ``tree`` on ``canvas``."""
    _trunk(canvas, tree, rng, shade)
    centres, radii = _puffs(tree, rng)
    _, away = canvas.camera.project(np.array([[tree.x, tree.trunk, tree.z]]))
    if away[0] < 1.0:
        return
    pixel = float(away[0]) / canvas.camera.focal
    count = int(np.clip(tree.leaves * min(1.0, 0.014 / pixel), 700, tree.leaves))
    owner = rng.choice(len(radii), size=count, p=radii**2 / (radii**2).sum())
    way = rng.standard_normal((count, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    core = np.arange(count) < count // 12
    reach = np.where(core, 0.45, rng.uniform(0.75, 1.12, count))
    points = centres[owner] + way * (radii[owner] * reach)[:, None]
    middle = np.array([tree.x, tree.trunk + (tree.height - tree.trunk) / 2, tree.z])
    outward = (points - middle) / np.array(
        [tree.spread, (tree.height - tree.trunk) / 2, tree.spread]
    )
    normal = 0.9 * way + 0.6 * outward + 0.22 * rng.standard_normal((count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    leaf = max(2.2 * tree.spread / np.sqrt(count), 1.5 * pixel) * rng.uniform(0.7, 1.4, count)
    leaf = np.where(core, 0.16 * tree.spread, leaf)
    open_air = np.linalg.norm(outward, axis=1) * (1.05 + 0.4 * way[:, 1]) * np.where(core, 0.4, 1)
    _leaves(canvas, tree, points, normal, leaf, open_air, shade, rng)


def _leaves(
    canvas: Canvas,
    tree: Tree,
    points: Array,
    normal: Array,
    size: Array,
    outer: Array,
    shade: float,
    rng: np.random.Generator,
) -> None:
    count = len(points)
    screen, away = canvas.camera.project(points)
    order = np.argsort(-away)
    angle = rng.uniform(0, np.pi, count)
    long = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    wide = np.stack([-long[:, 1], long[:, 0]], axis=1) * 0.6
    scale = (size * canvas.camera.focal / away)[:, None]
    blunt = 0.55 * long
    round_about = (long, wide + blunt, wide - blunt, -long, -wide - blunt, blunt - wide)
    corners = np.stack([screen + scale * o for o in round_about], axis=1)
    inner = np.clip(outer, 0.25, 1.15) ** 1.5
    tone = rng.uniform(0.6, 1.35, (count, 1)) * np.array([1.0, 1.0, 0.85])
    warm = rng.random((count, 1)) * np.array([0.05, 0.02, -0.01])
    low = np.clip((points[:, 1] - tree.trunk) / (tree.height - tree.trunk), 0, 1)
    table = {
        "albedo": np.maximum(linear(tree.colour) * tone + warm * 0.5, 0.005).astype(np.float32),
        "emit": np.zeros((count, 3), np.float32),
        "heat": (tree.heat + 0.05 * inner - 0.05 * low + 0.012 * rng.standard_normal(count)).astype(
            np.float32
        ),
        "normal": normal.astype(np.float32),
        "shade": (shade * np.clip(inner, 0, 1)).astype(np.float32),
        "sky": (np.clip(inner * (0.45 + 0.65 * low), 0.15, 1)).astype(np.float32),
        "depth": away.astype(np.float32),
    }
    canvas.faces(corners[order], {k: v[order] for k, v in table.items()}, Label.OTHER)


def _trunk(canvas: Canvas, tree: Tree, rng: np.random.Generator, shade: float) -> None:
    bark = linear("#5d4a3a")
    heights = np.linspace(0, tree.trunk + 0.8, 7)
    sway = np.cumsum(rng.uniform(-0.05, 0.05, 7))
    middle = np.stack([tree.x + sway, heights, np.full(7, tree.z)], axis=1)
    thick = 0.06 * tree.spread * np.linspace(1.25, 0.75, 7)
    right = canvas.camera.rotation[0]
    for part, (start, stop) in enumerate(((-1.0, -0.4), (-0.4, 0.2), (0.2, 0.65), (0.65, 1.0))):
        left_edge = middle + (thick * start)[:, None] * right
        right_edge = middle + (thick * stop)[:, None] * right
        pixels, away = canvas.camera.project(np.concatenate([left_edge, right_edge[::-1]]))
        if away.min() < 0.5:
            return
        turn = (start + stop) / 2
        normal = turn * right - np.sqrt(1 - turn**2) * canvas.camera.rotation[2]
        tone = (0.8, 1.0, 0.9, 0.7)[part]
        paint = Paint(bark * tone, 0.0, 0.34, tuple(normal), shade, 0.7, float(away.mean()))
        canvas.polygon(pixels, paint)
    for _ in range(5):
        reach = rng.uniform(-0.6, 0.6, 3) * tree.spread
        tip = middle[-1] + (reach[0], 0.3 + abs(reach[1]), reach[2])
        pixels, away = canvas.camera.project(np.stack([middle[-2], tip]))
        width = 0.05 * tree.spread * canvas.camera.focal / float(away.mean())
        canvas.line(
            pixels,
            width,
            Paint(bark * 0.7, 0.0, 0.33, shade=shade, sky=0.5, depth=float(away.mean())),
        )


def tree_outlines(tree: Tree, rng: np.random.Generator) -> list[Array]:
    """World outlines of the clumps and the trunk, for their shadow on the ground."""
    centres, radii = _puffs(tree, rng)
    around = np.linspace(0, 2 * np.pi, 11)[:-1]
    flat = np.stack([np.cos(around), np.zeros(10), np.sin(around)], axis=1)
    tall = np.stack([np.cos(around), np.sin(around), np.zeros(10)], axis=1)
    rings = np.concatenate([flat, tall])
    clumps = [c + r * rings for c, r in zip(centres, radii, strict=True)]
    w = 0.06 * tree.spread
    trunk = np.array([(tree.x + s, y, tree.z) for s in (-w, w) for y in (0.0, tree.trunk + 0.6)])
    return [*clumps, trunk]
