"""Clean training pairs in memory, and random crops of them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from drfuse_cli.colour import RGB_TO_YCBCR, ycbcr_to_rgb
from drfuse_cli.config import Task
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.pairs import find_pairs, is_image, natural_key, role_folders
from drfuse_cli.training.defocus import near_and_far

_MOST_SHRUNK = 2.0
"""Pixels of a picture along one of a crop that is shrunk."""
_COLOURS = 7
"""Of a random colour map."""
_PHOTOGRAPHS = 0.25
"""Of the crops, where there are photographs."""

Vary = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""What becomes of both crops, as uint8, before they are drawn."""


@dataclass(frozen=True)
class CleanPair:
    """Source 1 as ``H x W``, source 2 as ``H x W`` or ``H x W x 3``, uint8.

    ``sharp`` marks one picture that stands for both, to be put out of focus.
    """

    name: str
    first: np.ndarray
    second: np.ndarray
    sharp: bool = False


def balanced(pairs: list[CleanPair]) -> list[CleanPair]:
    """Repeats pairs of small families, so that a large one does not drown them.

    A family is what stands before the first underscore or hyphen of a name. A family a quarter
    as large as the largest comes twice: by the root of what it lacks.
    """
    families = [re.split(r"[_-]", pair.name, maxsplit=1)[0] for pair in pairs]
    sizes = Counter(families)
    largest = max(sizes.values())
    return [
        pair
        for pair, family in zip(pairs, families, strict=True)
        for _ in range(round(math.sqrt(largest / sizes[family])))
    ]


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.dtype == np.uint8 else np.round(pixels / 257.0).astype(np.uint8)


def _luma(image: Image) -> np.ndarray:
    pixels = _eight_bits(image.pixels)
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if image.colour else pixels


def load_pairs(roots: tuple[Path, ...], task: Task) -> list[CleanPair]:
    """Reads every pair below the roots; source 1 is reduced to luminance.

    For ``multifocus`` a folder without ``near`` and ``far`` holds sharp pictures. Raises
    DrfuseError where a pair differs in size or nothing is found.
    """
    pairs: list[CleanPair] = []
    for root in roots:
        if task == "multifocus" and root.is_dir() and not role_folders(root, task):
            pairs += _pictures(root, sharp=True)
            continue
        for pair in find_pairs(root, task):
            first, second = read_image(pair.source1), read_image(pair.source2)
            if (first.height, first.width) != (second.height, second.width):
                raise DrfuseError("the two sources differ in size", path=pair.source2)
            pairs.append(CleanPair(pair.name, _luma(first), _eight_bits(second.pixels)))
    if not pairs:
        raise DrfuseError("no clean pairs found", path=", ".join(map(str, roots)))
    return pairs


def with_photographs(pairs: list[CleanPair], root: Path) -> list[CleanPair]:
    """Pairs among photographs, each of which stands for both sources, in a quarter of the crops.

    Raises DrfuseError where ``root`` holds none.
    """
    photographs = _pictures(root, sharp=False) if root.is_dir() else []
    if not photographs:
        raise DrfuseError("no photographs found", path=root)
    wanted = len(pairs) * _PHOTOGRAPHS / (1 - _PHOTOGRAPHS)
    return pairs + photographs * max(1, round(wanted / len(photographs)))


def _pictures(root: Path, *, sharp: bool) -> list[CleanPair]:
    files = sorted(filter(is_image, root.rglob("*")), key=lambda path: natural_key(str(path)))
    images = [read_image(path) for path in files]
    return [
        CleanPair(path.stem, _luma(image), _eight_bits(image.pixels), sharp)
        for path, image in zip(files, images, strict=True)
    ]


def _turn(image: np.ndarray, quarter_turns: int, flip: bool) -> np.ndarray:
    image = np.rot90(image, quarter_turns)
    return image[:, ::-1] if flip else image


def _cut(
    pair: CleanPair, out: int, rng: np.random.Generator, shrunk: float
) -> tuple[np.ndarray, np.ndarray]:
    height, width = pair.first.shape
    size, most = out, min(_MOST_SHRUNK, min(height, width) / out)
    if shrunk and most > 1 and rng.random() < shrunk:
        size = int(out * rng.uniform(1, most))
    grow = max(0, size - height), max(0, size - width)
    first, second = pair.first, pair.second
    if any(grow):
        first, second = (
            cv2.copyMakeBorder(image, 0, grow[0], 0, grow[1], cv2.BORDER_REFLECT)
            for image in (first, second)
        )
        height, width = first.shape
    top = rng.integers(0, height - size + 1)
    left = rng.integers(0, width - size + 1)
    window = slice(top, top + size), slice(left, left + size)
    first, second = first[window], second[window]
    if size > out:
        first, second = (
            cv2.resize(np.ascontiguousarray(image), (out, out), interpolation=cv2.INTER_AREA)
            for image in (first, second)
        )
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    return _turn(first, turns, flip), _turn(second, turns, flip)


def paint(luma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gives a grey crop plausible colours, so that chroma can be learned from grey data.

    Chroma follows smoothed luminance through random curves and drifts slowly over the
    crop: edges of colour lie on edges of brightness, as in photographs. ``luma``: ``H x W``
    in 0..1; returns RGB ``H x W x 3`` in 0..1.
    """
    size = luma.shape[0]
    smooth = cv2.GaussianBlur(luma, (0, 0), float(rng.uniform(0.6, 2.0)))
    strength = float(rng.choice([0.01, 0.04, 0.1], p=[0.3, 0.4, 0.3]))
    planes = []
    for _ in range(2):
        curve = rng.normal(0, strength, 7)
        position = np.linspace(0, 1, 7)
        drift = cv2.resize(
            rng.normal(0, strength / 2, (4, 4)), (size, size), interpolation=cv2.INTER_CUBIC
        )
        planes.append(np.interp(smooth, position, curve) + drift)
    painted: np.ndarray = np.clip(ycbcr_to_rgb(luma, planes[0], planes[1]), 0, 1)
    return painted


def through_colour_map(activity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shows a grey crop by random colours from black on, the brighter the higher.

    ``activity``: ``H x W`` in 0..1; returns RGB ``H x W x 3`` in 0..1, as PET and SPECT come.
    """
    colours = rng.uniform(0, 1, (_COLOURS, 3))
    colours[0] = 0
    colours = colours[np.argsort(colours @ RGB_TO_YCBCR[0])]
    position = np.linspace(0, 1, _COLOURS)
    planes = [np.interp(activity, position, channel) for channel in colours.T]
    return np.stack(planes, axis=-1)


class Crops(NamedTuple):
    """float32 in 0..1: luminance and RGB of both sources, and luminance that is sharp everywhere.

    ``B x 1 x S x S``, ``B x 3 x S x S`` and ``B x 1 x S x S``; the last is not a number where no
    such picture is known.
    """

    first: np.ndarray
    second: np.ndarray
    sharp: np.ndarray


def draw_crops(
    pairs: list[CleanPair],
    count: int,
    size: int,
    rng: np.random.Generator,
    *,
    colourise: bool,
    shrunk: float = 0,
    vary: Vary | None = None,
) -> Crops:
    """Random crops, turned and flipped.

    Grey second sources come back with equal channels, or three in
    four painted where ``colourise`` is set. Sharp pictures become a near and a far focus.
    A share ``shrunk`` of the crops shows up to twice as much, as another camera would.
    """
    firsts, seconds, sharps = [], [], []
    for index in rng.integers(0, len(pairs), count):
        first, second = _cut(pairs[index], size, rng, shrunk)
        if vary:
            first, second = vary(first, second, rng)
        sharp: np.ndarray = np.full(first.shape, np.nan, np.float32)
        if pairs[index].sharp:
            sharp = first.astype(np.float32) / 255
            first, second = near_and_far(first, second, rng)
        colour = second.astype(np.float64) / 255
        if colour.ndim == 2:
            if colourise and rng.random() < 0.75:
                colour = paint(colour, rng)
            else:
                colour = np.repeat(colour[..., None], 3, axis=2)
        firsts.append(first.astype(np.float32)[None] / 255)
        seconds.append(np.ascontiguousarray(colour.transpose(2, 0, 1)).astype(np.float32))
        sharps.append(sharp[None])
    return Crops(np.stack(firsts), np.stack(seconds), np.stack(sharps))
