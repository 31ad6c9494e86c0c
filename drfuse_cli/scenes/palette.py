"""Colours: hex to linear light, linear light to 8 bits, and medical colour maps."""

from __future__ import annotations

from functools import cache

import numpy as np

from drfuse_cli.scenes.texture import Array


@cache
def linear(colour: str) -> Array:
    """Linear-light RGB (3,) float32 in 0..1 of a hex colour such as ``"#c0ffee"``; read-only."""
    code = colour.removeprefix("#")
    srgb = np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255
    light = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    result: Array = light.astype(np.float32)
    result.flags.writeable = False
    return result


def tone_map(light: Array, exposure: float) -> Array:
    """8-bit sRGB of linear light through a film-like curve with a soft shoulder."""
    x = np.maximum(light, 0) * exposure
    film = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return to_bytes(np.power(np.clip(film, 0, 1), 1 / 2.2))


def to_bytes(unit: Array) -> Array:
    """Round 0..1 to uint8 0..255."""
    result: Array = np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
    return result


# Anchors (position, red, green, blue) on the 0..1 and 0..255 scales.
_MAPS: dict[str, tuple[tuple[float, int, int, int], ...]] = {
    "pet": (
        (0.00, 0, 0, 0),
        (0.12, 0, 8, 70),
        (0.28, 0, 62, 175),
        (0.42, 40, 130, 190),
        (0.55, 215, 205, 70),
        (0.66, 255, 240, 20),
        (0.78, 255, 140, 0),
        (0.90, 250, 20, 20),
        (1.00, 255, 30, 215),
    ),
    "spect": (
        (0.00, 0, 0, 0),
        (0.16, 34, 58, 66),
        (0.30, 32, 22, 84),
        (0.42, 84, 16, 150),
        (0.56, 160, 50, 130),
        (0.68, 232, 102, 62),
        (0.82, 255, 132, 14),
        (0.93, 255, 196, 96),
        (1.00, 255, 246, 214),
    ),
}


def colour_map(unit: Array, name: str) -> Array:
    """8-bit RGB of a 0..1 map through the colour scale ``name`` (``pet`` or ``spect``)."""
    anchors = np.array(_MAPS[name], np.float64)
    channels = [np.interp(unit, anchors[:, 0], anchors[:, c]) for c in (1, 2, 3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
