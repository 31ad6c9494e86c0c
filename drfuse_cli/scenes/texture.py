"""Procedural textures: smooth noise, fractal noise, masonry and cloth, all seeded."""

from __future__ import annotations

import zlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def generator(seed: int, subject: str) -> np.random.Generator:
    """A random generator for one subject, so that adding a subject moves no other."""
    return np.random.default_rng([seed, zlib.crc32(subject.encode())])


def smoothstep(low: float, high: float, value: Array) -> Array:
    """0 below ``low``, 1 above ``high``, a smooth cubic between (``high < low`` falls)."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    result: Array = t * t * (3.0 - 2.0 * t)
    return result


def value_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Array:
    """Smooth noise of about unit range, -1..1, with features of ``cell`` pixels; float32."""
    height, width = shape
    rows, cols = int(np.ceil(height / cell)) + 3, int(np.ceil(width / cell)) + 3
    grid = rng.uniform(-1.0, 1.0, (rows, cols)).astype(np.float32)
    if cell <= 1.0:
        return grid[:height, :width]
    matrix = np.array([[1 / cell, 0, 1], [0, 1 / cell, 1]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(grid, matrix, (width, height), flags=flags))


def fractal_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cell: float,
    octaves: int = 5,
    gain: float = 0.5,
) -> Array:
    """Sum of ``octaves`` of smooth noise, each half as wide; about -1..1, float32."""
    total = np.zeros(shape, np.float32)
    coarse = np.zeros((shape[0] // 4 + 2, shape[1] // 4 + 2), np.float32)
    weight, norm = 1.0, 0.0
    for _ in range(octaves):
        if cell >= 24:
            coarse += weight * value_noise(rng, (coarse.shape[0], coarse.shape[1]), cell / 4)
        else:
            total += weight * value_noise(rng, shape, cell)
        norm += weight
        weight, cell = weight * gain, cell / 2
        if cell < 1.0:
            break
    full = (4 * coarse.shape[1], 4 * coarse.shape[0])
    if coarse.any():
        total += cv2.resize(coarse, full)[: shape[0], : shape[1]]
    return total / norm * 1.6


def tile(rng: np.random.Generator, size: int = 512, cells: int = 8, octaves: int = 6) -> Array:
    """Square fractal noise that repeats without a seam; zero mean, unit deviation."""
    total = np.zeros((size, size), np.float32)
    weight = 1.0
    for _ in range(octaves):
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        wrapped = np.pad(grid, 2, mode="wrap")
        step = size // cells
        big = cv2.resize(wrapped, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += weight * big[2 * step : 2 * step + size, 2 * step : 2 * step + size]
        weight, cells = weight * 0.6, cells * 2
        if cells > size:
            break
    result: Array = (total - total.mean()) / total.std()
    return result


def sample(texture: Array, u: Array, v: Array) -> Array:
    """Look a repeating texture up at pixel coordinates ``u`` (x) and ``v`` (y)."""
    u, v = u.astype(np.float32, copy=False), v.astype(np.float32, copy=False)
    return np.asarray(cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))


def brick(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> tuple[Array, Array]:
    """Running-bond masonry at ``scale`` pixels a metre: (tone per brick -1..1, mortar 0..1)."""
    length, course, joint = 0.25 * scale, 0.085 * scale, max(0.014 * scale, 0.6)
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    row = np.floor(y / course)
    along = np.arange(shape[1], dtype=np.float32)[None] + (row % 2) * np.float32(length / 2)
    column = np.floor(along / np.float32(length))
    tones = rng.uniform(-1, 1, (61, 67)).astype(np.float32)
    tone = tones[row.astype(np.int32) % 61, column.astype(np.int32) % 67]
    edge = np.minimum(along - column * np.float32(length), y - row * np.float32(course))
    mortar = np.clip((joint - edge) + 0.5, 0, 1) * np.float32(min(1.0, course / 3.0))
    return tone, mortar
