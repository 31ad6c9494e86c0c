"""Both photographs of one canvas: light for the visible camera, heat for the infrared."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from drfuse_cli.scenes.canvas import Canvas
from drfuse_cli.scenes.palette import to_bytes, tone_map
from drfuse_cli.scenes.texture import Array, smoothstep


@dataclass(frozen=True)
class Lamp:
    """A point light in the world; ``beam`` (unit vector) makes it a spot light."""

    position: tuple[float, float, float]
    colour: Array
    power: float
    beam: tuple[float, float, float] | None = None
    spread: float = 0.9


@dataclass(frozen=True)
class Weather:
    """Sun, sky, haze and exposure, linear light; ``sun`` is the direction towards the sun."""

    sun: tuple[float, float, float]
    sun_colour: Array
    sky_colour: Array
    bounce: Array
    haze_colour: Array
    haze: float
    exposure: float
    glow: float = 0.05
    lamps: tuple[Lamp, ...] = field(default=())
    smoke_colour: Array | float = 0.6
    sun_heat: float = 0.1
    air_heat: float = 0.25
    heat_range: tuple[float, float] = (0.0, 1.0)
    equalise: float = 0.3


def visible(canvas: Canvas, weather: Weather, size: tuple[int, int]) -> Array:
    """8-bit RGB of ``size`` (width, height)."""
    light = canvas.albedo * irradiance(canvas, weather) + canvas.emit
    through = np.exp(-weather.haze * canvas.depth)[..., None]
    light = light * through + weather.haze_colour * (1 - through)
    if canvas.smoke.any():
        light += canvas.smoke[..., None] * (weather.smoke_colour - light)
    light = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
    return tone_map(_bloom(light, weather.glow), weather.exposure)


def irradiance(canvas: Canvas, weather: Weather) -> Array:
    """Light falling on every pixel, H x W x 3."""
    direction = np.asarray(weather.sun, np.float32)
    direction /= np.linalg.norm(direction)
    facing = np.maximum(canvas.normal @ direction, 0) * canvas.shade
    up = 0.5 + 0.5 * canvas.normal[..., 1]
    total: Array = facing[..., None] * weather.sun_colour
    total += (canvas.sky * up)[..., None] * weather.sky_colour
    total += (canvas.sky * (1 - up))[..., None] * weather.bounce
    for lamp in weather.lamps:
        total += _lamp_light(canvas, lamp)[..., None] * (lamp.colour * lamp.power)
    return total


def _lamp_light(canvas: Canvas, lamp: Lamp) -> Array:
    camera = canvas.camera
    offset = np.asarray(lamp.position, np.float32) - np.asarray(camera.eye, np.float32)
    to_lamp = offset - camera.rays * canvas.depth[..., None]
    squared = np.einsum("hwc,hwc->hw", to_lamp, to_lamp) + 0.3
    cosine = np.einsum("hwc,hwc->hw", to_lamp, canvas.normal) / np.sqrt(squared)
    light = np.clip(0.15 + 0.85 * cosine, 0, 1) / squared * (canvas.depth > 0)
    if lamp.beam is not None:
        along = -(to_lamp @ np.asarray(lamp.beam, np.float32)) / np.sqrt(squared)
        light = light * smoothstep(lamp.spread, 1.0, along)
    result: Array = light
    return result


def _bloom(light: Array, strength: float) -> Array:
    """Add the halo that a lens puts around bright lights, at three widths."""
    bright = np.minimum(np.maximum(light - 1.0, 0), 40.0)
    height, width = light.shape[:2]
    total = light.copy()
    for share, weight in ((0.006, 0.5), (0.025, 0.3), (0.09, 0.2)):
        sigma = share * height
        shrink = max(int(sigma / 2), 1)
        small = cv2.resize(
            bright, (-(-width // shrink), -(-height // shrink)), interpolation=cv2.INTER_AREA
        )
        small = cv2.GaussianBlur(small, (0, 0), max(sigma / shrink, 0.3))
        total += strength * weight * cv2.resize(small, (width, height))
    return total


def thermal(canvas: Canvas, weather: Weather, size: tuple[int, int]) -> Array:
    """8-bit grey of ``size`` (width, height): heat, sun-warmed faces, air, optics, gain."""
    direction = np.asarray(weather.sun, np.float32)
    direction /= np.linalg.norm(direction)
    sunlit = np.maximum(canvas.normal @ direction, 0)
    soaked = cv2.GaussianBlur(canvas.shade, (0, 0), max(canvas.camera.height / 300, 0.5))
    heat = canvas.heat + weather.sun_heat * sunlit * soaked
    through = np.exp(-0.5 * weather.haze * canvas.depth)
    heat = heat * through + weather.air_heat * (1 - through)
    heat = cv2.resize(heat, size, interpolation=cv2.INTER_AREA)
    heat = cv2.GaussianBlur(heat, (0, 0), max(0.6 * size[1] / 480, 0.35))
    surround = cv2.GaussianBlur(heat, (0, 0), max(size[1] / 40, 1.0))
    heat = heat + 0.35 * (heat - surround)
    return to_bytes(_gain(heat, weather.heat_range, weather.equalise))


def _gain(heat: Array, limits: tuple[float, float], share: float) -> Array:
    """Part linear, part histogram equalisation with a plateau, as thermal cameras do."""
    unit = np.clip((heat - limits[0]) / (limits[1] - limits[0]), 0, 1)
    counts, edges = np.histogram(unit, bins=512, range=(0.0, 1.0))
    capped = np.minimum(counts, unit.size / 90).astype(np.float64)
    capped = np.convolve(capped, np.ones(9) / 9, mode="same")
    rank = np.cumsum(capped) / max(capped.sum(), 1e-9)
    equal = np.interp(unit, edges[1:], rank)
    result: Array = (1 - share) * unit + share * equal
    return result


def labels(canvas: Canvas, size: tuple[int, int]) -> Array:
    """Ground truth of ``size``: the label of the nearest drawn pixel, uint8."""
    return np.asarray(cv2.resize(canvas.label, size, interpolation=cv2.INTER_NEAREST))
