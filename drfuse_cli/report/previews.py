"""Small copies of pictures, encoded so that all of them fit into one page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, read_image

SAMPLES = 12
# Sizes of a few pictures stand for all of them.
MARGIN = 0.9


@dataclass(frozen=True)
class Quality:
    """How large and how fine a preview may be: longest side in pixels, WebP quality 0..100."""

    side: int
    webp: int


LADDER = (
    Quality(2048, 95),
    Quality(1600, 90),
    Quality(1024, 85),
    Quality(800, 80),
    Quality(640, 75),
    Quality(480, 70),
    Quality(360, 65),
)


@dataclass(frozen=True)
class Preview:
    """A WebP file in base64, and the size of the picture that it shows."""

    data: str
    width: int
    height: int


@dataclass(frozen=True)
class Album:
    """The groups that have room, by index: one entry a picture, ``None`` where it is missing."""

    quality: Quality
    groups: dict[int, list[Preview | None]]


def album(groups: Sequence[Sequence[Path | None]], order: Sequence[int], budget: int) -> Album:
    """Previews of whole groups of files, in this order, until the budget is spent.

    The quality is the best of `LADDER` at which all are expected to fit into ``budget`` bytes
    of base64; where none does, the lowest, and the last groups are left out. A file that
    cannot be read has no preview.
    """
    paths = [path for index in order for path in groups[index] if path is not None]
    quality = _fitting(paths, budget)
    made, spent = {}, 0
    with ThreadPoolExecutor() as threads:
        for index in order:
            previews = list(threads.map(lambda path: _attempt(path, quality), groups[index]))
            spent += sum(len(preview.data) for preview in previews if preview)
            if spent > budget:
                break
            made[index] = previews
    return Album(quality, made)


def preview(path: Path, quality: Quality) -> Preview:
    """A copy of an image file, 8-bit, no larger than it was.

    Raises ``DrfuseError`` where the file cannot be read.
    """
    image = read_image(path)
    pixels = _shrunk(_eight_bit(image), quality.side)
    if image.colour:
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    done, encoded = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, quality.webp])
    if not done:
        raise DrfuseError("cannot be encoded for the report", path=str(path))
    return Preview(base64.b64encode(encoded.tobytes()).decode("ascii"), image.width, image.height)


def _fitting(paths: list[Path], budget: int) -> Quality:
    step = max(1, len(paths) // SAMPLES)
    sample = paths[::step][:SAMPLES]
    for quality in LADDER[:-1]:
        sizes = [len(made.data) for path in sample if (made := _attempt(path, quality))]
        if not sizes or len(paths) * sum(sizes) / len(sizes) <= MARGIN * budget:
            return quality
    return LADDER[-1]


def _attempt(path: Path | None, quality: Quality) -> Preview | None:
    if path is None:
        return None
    try:
        return preview(path, quality)
    except DrfuseError:
        return None


def _eight_bit(image: Image) -> np.ndarray:
    if image.bits == 8:
        return image.pixels
    return ((image.pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _shrunk(pixels: np.ndarray, side: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if longest <= side:
        return pixels
    size = max(1, round(width * side / longest)), max(1, round(height * side / longest))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
