"""Small data sets, and a network that is quick."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from drfuse_cli.imageio import Image, write_image

SIZE = (34, 42)
"""Height and width; four divides neither."""


def blocks(seed: int, size: tuple[int, int] = SIZE, colour: bool = False, bits: int = 8) -> Image:
    """Random blocks of three by three pixels."""
    rng = np.random.default_rng(seed)
    shape = (-(-size[0] // 3), -(-size[1] // 3), *((3,) if colour else ()))
    coarse = rng.integers(20, 236, shape)
    fine = coarse.repeat(3, 0).repeat(3, 1)[: size[0], : size[1]]
    return Image((fine * (1 if bits == 8 else 257)).astype(f"uint{bits}"))


def make_data(root: Path, *names: str) -> Path:
    """Clean pairs in ``ir`` and ``vis`` under ``root``; the visible ones have colour."""
    for i, name in enumerate(names):
        write_image(root / "ir" / f"{name}.png", blocks(2 * i))
        write_image(root / "vis" / f"{name}.png", blocks(2 * i + 1, colour=True))
    return root


def make_fused(folder: Path, *names: str, seed: int = 50, **more: Any) -> Path:
    """Images that any method may have made."""
    for i, name in enumerate(names):
        write_image(folder / f"{name}.png", blocks(seed + i, **more))
    return folder


def quick_fuse(first: Image, second: Image, degradations: Any) -> Any:
    """Enlarges both sources by repetition and averages them."""
    shape = (max(first.height, second.height), max(first.width, second.width))
    sources = tuple(_repeated(image, shape) for image in (first, second))
    planes = [image.pixels.reshape(*shape, -1).astype(float).mean(2) for image in sources]
    fused = Image(np.round((planes[0] + planes[1]) / 2).astype(first.pixels.dtype))
    return SimpleNamespace(fused=fused, sources=sources, seconds=0.5, warnings=[])


def _repeated(image: Image, shape: tuple[int, int]) -> Image:
    factor = shape[0] // image.height
    return Image(image.pixels.repeat(factor, 0).repeat(factor, 1))
