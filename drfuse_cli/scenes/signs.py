"""Signs that can be read in the light and are one temperature in the dark."""

from __future__ import annotations

import numpy as np

from drfuse_cli.scenes.canvas import Canvas, Paint
from drfuse_cli.scenes.palette import linear
from drfuse_cli.scenes.panel import Panel, facing, hang
from drfuse_cli.scenes.texture import Array

_BOARD_HEAT = 0.30


def board(
    canvas: Canvas,
    corners: Array,
    lines: tuple[str, ...],
    ground: str,
    letters: str,
    glow: float = 0.0,
) -> None:
    """Hang a board of one or more ``lines`` of text at world ``corners``."""
    width = float(np.linalg.norm(corners[1] - corners[0]))
    height = float(np.linalg.norm(corners[3] - corners[0]))
    _, depth = canvas.camera.project(corners)
    scale = float(np.clip(canvas.camera.focal / max(depth.min(), 1.0), 8, 260))
    panel = Panel(width, height, scale)
    ink, back = linear(letters), linear(ground)
    rim = 0.03 * min(width, height)
    panel.rect((0, 0, width, height), ink, _BOARD_HEAT, ink * glow)
    panel.rect((rim, rim, width - 2 * rim, height - 2 * rim), back, _BOARD_HEAT, back * glow)
    room = (height - 2 * rim) / len(lines)
    for number, words in enumerate(lines):
        y = height - rim - (number + 1) * room + 0.19 * room
        panel.text(words, (0.07 * width, y, 0.86 * width, 0.62 * room), ink, ink * glow)
    hang(canvas, panel, corners)


def disc_sign(canvas: Canvas, x: float, y: float, z: float, words: str, glow: float = 0.0) -> None:
    """A round speed limit sign of 0.75 m."""
    panel, u, v = _blank(canvas, 0.75, z)
    red, white = linear("#c3161c"), linear("#f2f2ee")
    _shape(panel, np.hypot(u, v), 0.72, (white, red), glow)
    panel.text(words, (0.2, 0.22, 0.35, 0.31), linear("#101010"), 0.0)
    hang(canvas, panel, facing(x, y, z, panel.width, panel.height))


def stop_sign(canvas: Canvas, x: float, y: float, z: float) -> None:
    """An eight-sided sign of 0.86 m."""
    panel, u, v = _blank(canvas, 0.86, z)
    sides = np.deg2rad(np.arange(8) * 45)
    reach = np.max([u * np.cos(a) + v * np.sin(a) for a in sides], axis=0)
    red, white = linear("#b8141c"), linear("#f2f2ee")
    _shape(panel, reach, 0.9, (red, white), 0.0)
    panel.text("STOP", (0.1, 0.28, 0.66, 0.3), white)
    hang(canvas, panel, facing(x, y, z, panel.width, panel.height))


def _blank(canvas: Canvas, size: float, z: float) -> tuple[Panel, Array, Array]:
    """A square panel and its coordinates, -1..1."""
    away = max(z - canvas.camera.eye[2], 1.0)
    panel = Panel(size, size, min(max(canvas.camera.focal / away * 1.5, 12), 260))
    rows, cols = panel.shape
    across = (np.arange(cols, dtype=np.float32) + 0.5) / cols * 2 - 1
    down = (np.arange(rows, dtype=np.float32) + 0.5) / rows * 2 - 1
    return panel, np.tile(across, (rows, 1)), np.tile(down[:, None], (1, cols))


def _shape(
    panel: Panel, reach: Array, rim: float, colours: tuple[Array, Array], glow: float
) -> None:
    """Cut the panel where ``reach`` is 1, with a rim from ``rim`` on."""
    sharp = panel.shape[0] / 2
    edge = np.clip((reach - rim) * sharp + 0.5, 0, 1)[..., None]
    panel.albedo[:] = colours[0] + edge * (colours[1] - colours[0])
    panel.emit[:] = panel.albedo * glow
    panel.heat[:] = _BOARD_HEAT
    panel.cover[:] = np.clip((0.985 - reach) * sharp + 0.5, 0, 1)


def pole(
    canvas: Canvas, path: Array, width: float, colour: str = "#59626b", heat: float = 0.31
) -> None:
    """A metal pole along world points (N, 3), ``width`` metres thick, lit as a cylinder."""
    pixels, depth = canvas.camera.project(np.asarray(path, np.float32))
    away = float(depth.mean())
    if away < 0.6:
        return
    thick = width * canvas.camera.focal / away
    right, ahead = canvas.camera.rotation[0], canvas.camera.rotation[2]
    for shift, share in ((0.0, 1.0), (-0.22, 0.5), (0.28, 0.4)):
        turn = 2 * shift
        normal = turn * right - np.sqrt(1 - turn**2) * ahead
        paint = Paint(linear(colour), 0.0, heat, tuple(normal), 1.0, 0.8, away)
        canvas.line(pixels + np.array([shift * thick, 0]), thick * share, paint)
