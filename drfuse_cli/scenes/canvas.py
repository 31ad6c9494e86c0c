"""What the scene is made of at every pixel, painted once and developed for both cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import cv2
import numpy as np

from drfuse_cli.scenes.camera import Camera
from drfuse_cli.scenes.texture import Array

_SHIFT = 4
"""Fractional bits of the coordinates handed to the polygon filler."""


class Label(IntEnum):
    """Ground truth per pixel."""

    OTHER = 0
    PERSON = 1
    VEHICLE = 2
    TEXT = 3


@dataclass(frozen=True)
class Paint:
    """What a surface is made of; numbers, colours (3,) or maps of the painted region.

    ``albedo`` and ``emit`` are linear light, ``heat`` is apparent temperature in 0..1,
    ``normal`` is a world direction, ``shade`` is how much of the sun reaches it, ``sky``
    how much of the sky. ``None`` leaves what was there; without ``albedo`` so does ``label``.
    """

    albedo: Array | float | None = None
    emit: Array | float | None = None
    heat: Array | float | None = None
    normal: Array | tuple[float, float, float] | None = None
    shade: Array | float | None = None
    sky: Array | float | None = None
    depth: Array | float | None = None
    label: Label = Label.OTHER

    def crop(self, at: tuple[slice, slice]) -> Paint:
        """The same paint for a part of the region."""
        cut: dict[str, Any] = {}
        for name in LAYERS:
            value = getattr(self, name)
            if isinstance(value, np.ndarray) and value.ndim > 1:
                cut[name] = value[at]
        return replace(self, **cut)


LAYERS = ("albedo", "emit", "heat", "normal", "shade", "sky", "depth")


class Canvas:
    """Layers of H x W float32 (x 3 for colours and normals) under one camera."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        h, w = camera.height, camera.width
        self.albedo = np.zeros((h, w, 3), np.float32)
        self.emit = np.zeros((h, w, 3), np.float32)
        self.normal = np.zeros((h, w, 3), np.float32)
        self.heat = np.zeros((h, w), np.float32)
        self.shade = np.ones((h, w), np.float32)
        self.sky = np.ones((h, w), np.float32)
        self.depth = np.zeros((h, w), np.float32)
        self.smoke = np.zeros((h, w), np.float32)
        self.label = np.zeros((h, w), np.uint8)

    def paint(self, alpha: Array, paint: Paint, at: tuple[int, int] = (0, 0)) -> None:
        """Lay ``paint`` over the region at row, column ``at`` with coverage ``alpha`` 0..1."""
        rows = slice(at[0], at[0] + alpha.shape[0])
        cols = slice(at[1], at[1] + alpha.shape[1])
        cover = alpha[..., None]
        opaque = bool(alpha.min() == 1)
        for name in LAYERS:
            value = getattr(paint, name)
            if value is None:
                continue
            layer = getattr(self, name)[rows, cols]
            if opaque:
                layer[:] = value
                continue
            change = np.subtract(value, layer, dtype=np.float32)
            change *= cover if layer.ndim == 3 else alpha
            layer += change
        if paint.albedo is not None:
            self.smoke[rows, cols] *= 1 - alpha
            self.label[rows, cols][alpha > 0.5] = paint.label

    def box(self, points: Array, margin: int = 1) -> tuple[int, int, int, int] | None:
        """Row and column limits of pixel points (N, 2) inside the picture, if any."""
        low = np.floor(points.min(axis=0)).astype(int) - margin
        high = np.ceil(points.max(axis=0)).astype(int) + margin + 1
        x0, y0 = np.maximum(low, 0)
        x1, y1 = np.minimum(high, (self.camera.width, self.camera.height))
        return (int(y0), int(y1), int(x0), int(x1)) if x1 > x0 and y1 > y0 else None

    def polygon(self, points: Array, paint: Paint) -> None:
        """Fill a polygon of pixel points (N, 2) with smooth edges."""
        box = self.box(points)
        if box is None:
            return
        y0, y1, x0, x1 = box
        mask = fill((y1 - y0, x1 - x0), points - (x0, y0))
        self.paint(mask, paint, (y0, x0))

    def face(self, points: Sequence[tuple[float, float, float]] | Array, paint: Paint) -> None:
        """Fill a flat polygon of world points (N, 3), unless it comes too near."""
        pixels, depth = self.camera.project(np.asarray(points, np.float32))
        if depth.min() > 0.3:
            self.polygon(pixels, replace(paint, depth=float(depth.mean())))

    def line(self, points: Array, width: float, paint: Paint) -> None:
        """Draw a polyline of pixel points (N, 2), ``width`` pixels thick."""
        box = self.box(points, margin=int(width) + 2)
        if box is None:
            return
        y0, y1, x0, x1 = box
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        fixed = _fixed(points - (x0, y0))
        thickness = max(round(width), 1)
        cv2.polylines(mask, [fixed], False, 255, thickness, cv2.LINE_AA, _SHIFT)
        self.paint(mask.astype(np.float32) * (min(width, 1.0) / 255), paint, (y0, x0))

    def faces(self, polygons: Array, table: dict[str, Array], label: Label) -> None:
        """Fill many convex polygons (N, K, 2), far to near, each with its row of ``table``."""
        box = self.box(polygons.reshape(-1, 2))
        if box is None:
            return
        y0, y1, x0, x1 = box
        index = np.full((y1 - y0, x1 - x0), -1, np.int32)
        for number, face in enumerate(_fixed(polygons - (x0, y0))):
            cv2.fillConvexPoly(index, face, number, cv2.LINE_8, _SHIFT)
        drawn = index >= 0
        chosen = index[drawn]
        for name, rows in table.items():
            getattr(self, name)[y0:y1, x0:x1][drawn] = rows[chosen]
        self.smoke[y0:y1, x0:x1][drawn] = 0
        self.label[y0:y1, x0:x1][drawn] = label


def _fixed(points: Array) -> Array:
    limited = np.clip(points, -30000, 30000)
    result: Array = np.rint(limited * (1 << _SHIFT)).astype(np.int32)
    return result


def fill(shape: tuple[int, int], points: Array) -> Array:
    """Coverage 0..1 (float32) of a polygon of pixel points (N, 2) in a region of ``shape``."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [_fixed(points)], 255, cv2.LINE_AA, _SHIFT)
    result: Array = mask.astype(np.float32) / 255
    return result
