"""The sky: gradient and clouds by day, a dim city glow by night; cold in the infrared."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from drfuse_cli.scenes.canvas import Canvas, Paint
from drfuse_cli.scenes.texture import Array, fractal_noise, smoothstep


@dataclass(frozen=True)
class Sky:
    """Linear light overhead, at the horizon and of the clouds; their share; heat of both ends."""

    zenith: Array
    low: Array
    cloud: Array
    cover: float
    heat: tuple[float, float] = (0.03, 0.14)


def draw_sky(canvas: Canvas, rng: np.random.Generator, sky: Sky) -> None:
    """Fill the canvas with sky and fractal clouds."""
    camera = canvas.camera
    up = np.clip(camera.rays[..., 1] / np.linalg.norm(camera.rays, axis=2), 0, 1)
    height = np.power(up / 0.6, 0.6).clip(0, 1)[..., None]
    colour = sky.low + height * (sky.zenith - sky.low)
    shape = (camera.height, camera.width)
    half = (camera.height // 2 + 1, camera.width // 2 + 1)
    noise = fractal_noise(rng, half, camera.height / 6.4, 7, 0.55)
    noise = np.asarray(cv2.resize(noise, (camera.width, camera.height)))
    puff = smoothstep(0.55 - sky.cover, 1.0 - sky.cover, noise) * smoothstep(0.0, 0.12, up)
    lit = 0.82 + 0.18 * smoothstep(
        -0.2, 0.6, np.roll(noise, camera.height // 60, axis=0) - noise + 0.2
    )
    colour = colour + puff[..., None] * (sky.cloud * lit[..., None] - colour)
    warmth = (
        sky.heat[1] + (sky.heat[0] - sky.heat[1]) * np.power(up / 0.6, 0.5).clip(0, 1) + 0.05 * puff
    )
    canvas.paint(
        np.ones(shape, np.float32),
        Paint(0.0, colour, warmth, (0.0, 0.0, 0.0), 0.0, 0.0, 0.0),
    )
