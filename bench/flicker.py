"""Whether a fused sequence flickers: how much it changes from frame to frame, beside its sources.

    python bench/flicker.py [--noise 8] [--folder DIR ...] [--frames 12] [--only NAME ...]

Rendered sequences: a camera that pans, a camera that stands while something crosses, and the same
without noise that is new in every frame. A folder holds the frames of both sources, as ``drfuse
batch --sequence`` takes them; it is measured as it is and with noise added.

Figures are mean absolute differences of consecutive frames, luma in grey levels of 255; lower is
steadier. ``larger`` takes the larger difference of the two sources at every pixel: what a picture
that shows the motion of both may change by. ``anew`` is the fused sequence where every frame has
settings estimated from that frame alone. Rows marked ``still`` are over what does not move: where
neither clean source changes, or, of a folder, neither by a level in means over 15x15 pixels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from drfuse_cli.colour import luma
from drfuse_cli.config import FuseOptions
from drfuse_cli.degradations import Overrides, assume, describe
from drfuse_cli.engine import Degradations, Engine
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.pairs import find_pairs
from drfuse_cli.scenes import render
from drfuse_cli.sequence.steady import evenly, steady
from drfuse_cli.sources import Assumptions
from drfuse_cli.weights import load_weights

Frames = list[tuple[Image, Image]]
AUTO = Assumptions("ivif", "auto", Overrides())
SIZE = (240, 320)
STEP = 2
"""Pixels that the camera pans by from frame to frame."""
WINDOW, LEAST = 15, 1.0
COLUMNS = ("infrared", "visible", "larger", "fused", "anew")


@dataclass(frozen=True)
class Sequence:
    """Frames as they are given, and where nothing moves: a mask for every change."""

    frames: Frames
    still: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--noise", type=float, default=8.0)
    parser.add_argument("--folder", type=Path, action="append", default=[])
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--only", nargs="+", help="names of sequences, without their noise")
    given = parser.parse_args()
    engine = Engine(load_weights(None, "ivif"), FuseOptions(device="cpu"))
    print(f"{'sequence':44}" + "".join(f"{name:>10}" for name in COLUMNS))
    for name, make in sequences(given.folder, given.frames, given.noise):
        if given.only and name.partition(",")[0] not in given.only:
            continue
        sequence = make()
        settled, found = measure(engine, sequence.frames)
        show(name, found, np.ones_like(sequence.still))
        if sequence.still.any():
            show(f"  still, {sequence.still.mean():.0%} of it", found, sequence.still)
        print(f"  settled: {'; '.join(map(describe, settled))}", flush=True)


def show(label: str, found: list[np.ndarray], where: np.ndarray) -> None:
    print(f"{label:44}" + "".join(f"{one[where].mean():10.2f}" for one in found), flush=True)


def sequences(
    folders: list[Path], count: int, noise: float
) -> Iterator[tuple[str, Callable[[], Sequence]]]:
    told = f"noise {noise:g}"
    yield f"pan, {told}", lambda: pan(count, noise)
    yield f"crossing, {told}", lambda: crossing(count, noise)
    yield "crossing, no noise", lambda: crossing(count, 0.0)
    yield f"crossing, {told} but the same in all frames", lambda: crossing(count, noise, True)
    for folder in folders:
        yield f"{folder.name}, as it is", lambda at=folder: filmed(at, count, 0.0)
        yield f"{folder.name}, {told} added", lambda at=folder: filmed(at, count, noise)


# ---- sequences ----------------------------------------------------------------------------------


@cache
def street() -> tuple[Image, Image]:
    return render("street-night", 640, 480, seed=3)


def crop(row: int, column: int) -> tuple[Image, Image]:
    height, width = SIZE
    first, second = (
        Image(image.pixels[row : row + height, column : column + width].copy())
        for image in street()
    )
    return first, second


def pan(count: int, noise: float) -> Sequence:
    clean = [crop(140, 100 + STEP * i) for i in range(count)]
    return Sequence(noisy(clean, noise), unchanged(clean))


def crossing(count: int, noise: float, frozen: bool = False) -> Sequence:
    """A piece of the scene, as large as a car, crosses in front of the rest."""
    clean = []
    for i in range(count):
        images = crop(140, 100)
        for image, whole in zip(images, street(), strict=True):
            image.pixels[150:210, 10 + 20 * i : 60 + 20 * i] = whole.pixels[300:360, 400:450]
        clean.append(images)
    return Sequence(noisy(clean, noise, frozen), unchanged(clean))


def filmed(folder: Path, count: int, noise: float) -> Sequence:
    """Consecutive frames from the start of a folder."""
    pairs = find_pairs(folder, "ivif", False, [])[:count]
    frames = [(read_image(pair.source1), read_image(pair.source2)) for pair in pairs]
    return Sequence(noisy(frames, noise), calm(frames))


def noisy(frames: Frames, std: float, frozen: bool = False) -> Frames:
    def add(image: Image, seed: tuple[int, int]) -> Image:
        rng = np.random.default_rng(seed)
        pixels = image.pixels + rng.normal(0, std, image.pixels.shape)
        return Image(np.round(pixels).clip(0, 255).astype(np.uint8))

    if not std:
        return frames
    seeds = [0 if frozen else i for i in range(len(frames))]
    return [
        (add(one, (seed, 0)), add(two, (seed, 1)))
        for seed, (one, two) in zip(seeds, frames, strict=True)
    ]


def unchanged(clean: Frames) -> np.ndarray:
    return np.maximum(*(changes([pair[k] for pair in clean]) for k in (0, 1))) == 0


def calm(frames: Frames) -> np.ndarray:
    smooth = [
        np.array([cv2.blur(luma255(pair[k]), (WINDOW, WINDOW)) for pair in frames]) for k in (0, 1)
    ]
    return np.maximum(*(np.abs(np.diff(one, axis=0)) for one in smooth)) < LEAST


# ---- measuring ----------------------------------------------------------------------------------


def measure(engine: Engine, frames: Frames) -> tuple[Degradations, list[np.ndarray]]:
    """The settings of the whole sequence, and the changes of every column."""
    settled = steady(AUTO, evenly(frames))
    fused = [engine.fuse(*images, settled).fused for images in frames]
    anew = [
        engine.fuse(*images, assume(AUTO.task, AUTO.mode, AUTO.overrides, images)).fused
        for images in frames
    ]
    first, second = (changes([pair[k] for pair in frames]) for k in (0, 1))
    larger = np.maximum(first, second)
    return settled, [first, second, larger, changes(fused), changes(anew)]


def changes(images: list[Image]) -> np.ndarray:
    """Absolute differences from each frame to the next, in grey levels."""
    return np.abs(np.diff([luma255(image) for image in images], axis=0))


def luma255(image: Image) -> np.ndarray:
    return 255 * luma(image.pixels, image.max_value)


if __name__ == "__main__":
    main()
