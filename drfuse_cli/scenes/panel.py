"""Flat pictures in metres (walls, signs, roofs) and their place in the world."""

from __future__ import annotations

import cv2
import numpy as np

from drfuse_cli.scenes.canvas import Canvas, Label, Paint
from drfuse_cli.scenes.texture import Array


class Panel:
    """A ``width`` x ``height`` metres picture; x from the left, y from the bottom."""

    def __init__(self, width: float, height: float, scale: float) -> None:
        self.width, self.height, self.scale = width, height, scale
        shape = (max(round(height * scale), 2), max(round(width * scale), 2))
        self.albedo = np.zeros((*shape, 3), np.float32)
        self.emit = np.zeros((*shape, 3), np.float32)
        self.heat = np.zeros(shape, np.float32)
        self.cover = np.ones(shape, np.float32)
        self.text_mask = np.zeros(shape, np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.heat.shape[0], self.heat.shape[1]

    def slices(self, x: float, y: float, w: float, h: float) -> tuple[slice, slice]:
        """Rows and columns of a rectangle whose lower left corner is ``x, y``."""
        rows, cols = self.shape
        x0, x1 = (min(max(round(v * self.scale), 0), cols) for v in (x, x + w))
        y0, y1 = (min(max(rows - round(v * self.scale), 0), rows) for v in (y + h, y))
        return slice(y0, max(y1, min(y0 + 1, rows))), slice(x0, max(x1, min(x0 + 1, cols)))

    def rect(
        self,
        box: tuple[float, float, float, float],
        albedo: Array | float | None = None,
        heat: Array | float | None = None,
        emit: Array | float | None = None,
    ) -> None:
        """Fill ``box`` = (x, y, width, height)."""
        at = self.slices(*box)
        for layer, value in ((self.albedo, albedo), (self.heat, heat), (self.emit, emit)):
            if value is not None:
                layer[at] = value

    def shade(self, box: tuple[float, float, float, float], factor: float) -> None:
        """Multiply the albedo of ``box``, as a cast shadow or a highlight does."""
        self.albedo[self.slices(*box)] *= factor

    def text(
        self,
        words: str,
        box: tuple[float, float, float, float],
        albedo: Array | float,
        emit: Array | float | None = None,
        heat: float | None = None,
    ) -> None:
        """Write ``words`` centred in ``box``, as large as fits."""
        rows, cols = self.slices(*box)
        room = (rows.stop - rows.start, cols.stop - cols.start)
        mask = lettering(words, room)
        cover = mask[..., None]
        self.albedo[rows, cols] += cover * (np.asarray(albedo) - self.albedo[rows, cols])
        if emit is not None:
            self.emit[rows, cols] += cover * (np.asarray(emit) - self.emit[rows, cols])
        if heat is not None:
            self.heat[rows, cols] += mask * (heat - self.heat[rows, cols])
        self.text_mask[rows, cols] = np.maximum(self.text_mask[rows, cols], mask)


def lettering(words: str, room: tuple[int, int]) -> Array:
    """Coverage 0..1 of ``words`` fitted into ``room`` (rows, columns) keeping their shape."""
    canvas = np.zeros((150, 80 + 70 * len(words)), np.uint8)
    cv2.putText(canvas, words, (30, 100), cv2.FONT_HERSHEY_DUPLEX, 2.4, 255, 4, cv2.LINE_AA)
    filled_rows, filled_cols = np.flatnonzero(canvas.any(1)), np.flatnonzero(canvas.any(0))
    result = np.zeros(room, np.float32)
    if not filled_rows.size or min(room) < 2:
        return result
    word = canvas[filled_rows[0] : filled_rows[-1] + 1, filled_cols[0] : filled_cols[-1] + 1]
    scale = min(room[0] / word.shape[0], room[1] / word.shape[1])
    size = max(int(word.shape[1] * scale), 1), max(int(word.shape[0] * scale), 1)
    small = cv2.resize(word, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    top, left = (room[0] - size[1]) // 2, (room[1] - size[0]) // 2
    result[top : top + size[1], left : left + size[0]] = small
    return result


def facing(x: float, y: float, z: float, width: float, height: float) -> Array:
    """World corners of a board centred at ``x, y, z`` that faces back along z."""
    left, right, low, high = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    return np.array([(left, high, z), (right, high, z), (right, low, z), (left, low, z)])


def hang(
    canvas: Canvas, panel: Panel, corners: Array, shade: float = 1.0, warms: bool = True
) -> None:
    """Place ``panel`` at world ``corners`` (4, 3): clockwise from the top left.

    ``warms=False`` is thin paint, which takes the temperature of what it lies on.
    """
    corners = np.asarray(corners, np.float32)
    pixels, depth = canvas.camera.project(corners)
    box = canvas.box(pixels)
    if box is None or depth.min() < 0.2:
        return
    y0, y1, x0, x1 = box
    colour, glow, flat = _warp(panel, pixels - (x0, y0), (x1 - x0, y1 - y0))
    normal = _facing(corners, canvas.camera.eye)
    paint = Paint(
        colour,
        glow[..., :3],
        glow[..., 3] if warms else None,
        normal,
        shade,
        1.0,
        _plane_depth(canvas, corners[0], normal, box),
    )
    cover = flat[..., 0]
    canvas.paint(cover, paint, (y0, x0))
    canvas.label[y0:y1, x0:x1][flat[..., 1] * cover > 0.5] = Label.TEXT


def _warp(panel: Panel, pixels: Array, size: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Albedo, light with heat, and cover with lettering, as seen in a ``size`` region."""
    rows, cols = panel.shape
    flat = np.array([[0, 0], [cols, 0], [cols, rows], [0, rows]], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(flat, pixels.astype(np.float32))

    def seen(layer: Array, border: int) -> Array:
        warped = cv2.warpPerspective(layer, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
        return np.asarray(warped)

    return (
        seen(panel.albedo, cv2.BORDER_REPLICATE),
        seen(np.dstack([panel.emit, panel.heat]), cv2.BORDER_REPLICATE),
        seen(np.dstack([panel.cover, panel.text_mask]), cv2.BORDER_CONSTANT),
    )


def _facing(corners: Array, eye: tuple[float, float, float]) -> Array:
    normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
    normal = normal / np.linalg.norm(normal)
    towards = np.asarray(eye, np.float32) - corners.mean(axis=0)
    result: Array = normal if normal @ towards > 0 else -normal
    return result


def _plane_depth(
    canvas: Canvas, point: Array, normal: Array, box: tuple[int, int, int, int]
) -> Array:
    y0, y1, x0, x1 = box
    along = canvas.camera.rays[y0:y1, x0:x1] @ normal.astype(np.float32)
    offset = float((point - np.asarray(canvas.camera.eye, np.float32)) @ normal)
    along = np.where(np.abs(along) < 1e-4, 1e-4, along)
    result: Array = np.clip(offset / along, 0.1, 900).astype(np.float32)
    return result
