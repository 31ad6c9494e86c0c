"""A pinhole camera over a flat world: x right, y up, z ahead, metres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from drfuse_cli.scenes.texture import Array


@dataclass(frozen=True)
class Camera:
    """Position, direction (degrees) and image plane; ``horizon`` is where it looks, 0..1."""

    width: int
    height: int
    focal: float
    eye: tuple[float, float, float]
    yaw: float = 0.0
    pitch: float = 0.0
    horizon: float = 0.5

    @cached_property
    def rotation(self) -> Array:
        """World to camera axes (right, down, ahead), 3 x 3."""
        yaw, pitch = np.deg2rad(self.yaw), np.deg2rad(self.pitch)
        sy, cy, sp, cp = np.sin(yaw), np.cos(yaw), np.sin(pitch), np.cos(pitch)
        right = (cy, 0.0, -sy)
        ahead = (sy * cp, -sp, cy * cp)
        down = (-sy * sp, -cp, -cy * sp)
        return np.array([right, down, ahead], np.float32)

    @property
    def centre(self) -> tuple[float, float]:
        """Principal point in pixels."""
        return self.width / 2 - 0.5, self.height * self.horizon - 0.5

    def view(self, points: Array) -> Array:
        """World points (..., 3) in camera axes."""
        eye = np.asarray(self.eye, np.float32)
        result: Array = (np.asarray(points, np.float32) - eye) @ self.rotation.T
        return result

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixel coordinates (..., 2) and depth (...) of world points (..., 3)."""
        seen = self.view(points)
        depth = np.maximum(seen[..., 2], 0.05)
        x = self.centre[0] + self.focal * seen[..., 0] / depth
        y = self.centre[1] + self.focal * seen[..., 1] / depth
        return np.stack([x, y], axis=-1), seen[..., 2]

    @cached_property
    def rays(self) -> Array:
        """World direction of every pixel at depth 1, H x W x 3 float32."""
        x = (np.arange(self.width, dtype=np.float32) - self.centre[0]) / self.focal
        y = (np.arange(self.height, dtype=np.float32) - self.centre[1]) / self.focal
        r = self.rotation
        across = x[None, :, None] * r[0]
        result: Array = across + y[:, None, None] * r[1] + r[2]
        return result.astype(np.float32)
