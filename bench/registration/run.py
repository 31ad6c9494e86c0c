"""Known misalignments against what ``--register`` makes of them.

    python bench/registration/run.py --task ivif [--data DIR] [--limit N] [--only clean,noise]

README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import get_args

import cv2
import numpy as np

from drfuse_cli.config import PRESET_NAMES, Register, Task, preset
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.cases import (
    CleanPair,
    Degradations,
    clean_pairs,
    crop,
    cropped,
    factor_of,
    scene_pairs,
    size_of,
)
from drfuse_cli.imageio import Image
from drfuse_cli.operators.simulate import degrade_image, generator
from drfuse_cli.registration import Registration, register
from drfuse_cli.registration.align import moving_source
from drfuse_cli.registration.motion import Matrix, corners_of, shift_matrix, transform

SEED = 2026
MARGIN = 32
"""Pixels cut off all sides, so that a moved source holds nothing but scene."""
SHIFTS = (0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24)

Images = tuple[Image, Image]


@dataclass(frozen=True)
class Row:
    """One pair: what was done to it and what was made of that; pixels of the fused grid.

    ``error``: mean distance, over the image, between where the source was put and where it was
    said to be (moved from, in ``translation`` and ``homography``). ``own``: the same after
    the motion that was found in the pair as it came is taken off.
    """

    setting: str
    name: str
    kind: str
    size: float
    mode: Register
    before: float
    warned: bool
    applied: str
    declared: bool
    error: float
    own: float
    found: float
    seconds: float


def motions(shape: tuple[int, int]) -> Iterator[tuple[str, float, Register, Matrix]]:
    """Kind, size, the mode that is to undo it, and the matrix of every misalignment."""
    for size in SHIFTS:
        yield "right", size, "translation", shift_matrix(size, 0)
        yield "down", size, "translation", shift_matrix(0, size)
        yield "diagonal", size, "translation", shift_matrix(-size * 0.8, size * 0.6)
    centre = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    for turn in (1.0, 2.0, -3.5):
        turned = np.vstack([cv2.getRotationMatrix2D(centre, turn, 1), [0, 0, 1]])
        yield "turn", turn, "homography", turned
    for zoom in (0.98, 1.04):
        zoomed = np.vstack([cv2.getRotationMatrix2D(centre, 0, zoom), [0, 0, 1]])
        yield "zoom", zoom, "homography", zoomed
    rng = np.random.default_rng(SEED)
    corners = corners_of(shape)
    for size in (3.0, 6.0, 12.0):
        places = corners + rng.uniform(-size, size, (4, 2))
        free = cv2.getPerspectiveTransform(corners.astype(np.float32), places.astype(np.float32))
        yield "corners", size, "homography", free


def without_margin(image: Image) -> Image:
    inside = slice(MARGIN, image.height - MARGIN), slice(MARGIN, image.width - MARGIN)
    return Image(np.ascontiguousarray(image.pixels[inside]))


def displaced(image: Image, matrix: Matrix) -> Image:
    """The scene of ``image`` where ``matrix`` puts it, without its outermost pixels."""
    if np.array_equal(matrix, np.eye(3)):
        return without_margin(image)
    about = shift_matrix(MARGIN, MARGIN) @ matrix @ shift_matrix(-MARGIN, -MARGIN)
    size = image.width, image.height
    return without_margin(Image(cv2.warpPerspective(
        image.pixels, about, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT
    )))  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """A clean pair under one setting."""

    pair: CleanPair
    clean: Images
    task: Task
    setting: str

    @property
    def degradations(self) -> Degradations:
        return preset(self.task, self.setting)  # type: ignore[arg-type]

    def whole(self, mode: Register) -> tuple[Registration, float]:
        return self._seen(self.clean, mode)

    def moved(self, matrix: Matrix, mode: Register) -> tuple[Registration, float]:
        first, second = self.degradations
        moving = moving_source((first.sr_scale, second.sr_scale), self.task)
        motions = [matrix if i == moving else np.eye(3) for i in (0, 1)]
        put = [displaced(*one) for one in zip(self.clean, motions, strict=True)]
        return self._seen((put[0], put[1]), mode)

    def _seen(self, images: Images, mode: Register) -> tuple[Registration, float]:
        """What ``register`` says of the degraded pair, and its processor time in seconds."""
        images = crop(images, cropped(size_of(images[0]), factor_of(self.degradations)))
        keys = zip(images, self.degradations, self.pair.roles, strict=True)
        made = [
            image if one.is_clean else degrade_image(image, one, self._noise(role))
            for image, one, role in keys
        ]
        started = time.process_time()
        found = register((made[0], made[1]), self.degradations, self.task, mode)[2]
        assert found is not None
        return found, time.process_time() - started

    def _noise(self, role: str) -> np.random.Generator:
        return generator(SEED, self.pair.name, role)


def rows(
    pairs: list[CleanPair], task: Task, settings: list[str], modes: list[Register], shifted: bool
) -> Iterator[Row]:
    for pair in pairs:
        clean = pair.read()
        for setting in settings:
            trial = Trial(pair, clean, task, setting)
            for mode in modes:
                yield row(trial, "none", 0, mode, np.eye(3), np.eye(3), *trial.whole(mode))
            if not shifted:
                continue
            own = {mode: guessed(trial.moved(np.eye(3), mode)[0]) for mode in modes}
            for kind, size, mode, matrix in motions(size_of(without_margin(clean[0]))):
                if mode in modes:
                    seen = trial.moved(matrix, mode)
                    yield row(trial, kind, size, mode, matrix, own[mode], *seen)


def guessed(found: Registration) -> Matrix:
    return np.eye(3) if found.finding is None else found.finding.motion.matrix


def row(
    trial: Trial, kind: str, size: float, mode: Register, matrix: Matrix, own: Matrix,
    found: Registration, seconds: float,
) -> Row:  # fmt: skip
    shape, guess = size_of(trial.clean[0]), guessed(found)
    taken = np.eye(3) if found.applied is None else found.applied.matrix
    return Row(
        setting=trial.setting, name=trial.pair.name, kind=kind, size=size, mode=mode,
        before=distance(matrix, np.eye(3), shape),
        warned=any("misaligned" in one for one in found.warnings),
        applied="none" if found.applied is None else found.applied.model,
        declared=found.finding is not None and found.finding.misaligned,
        error=distance(taken, matrix, shape),
        own=distance(guess, matrix @ own, shape),
        found=distance(guess, np.eye(3), shape),
        seconds=seconds,
    )  # fmt: skip


def distance(one: Matrix, two: Matrix, shape: tuple[int, int]) -> float:
    """Mean distance in pixels, over the image, between where two motions take it."""
    lines = [np.linspace(0, n - 1, 9) for n in shape[::-1]]
    grid = np.stack(np.meshgrid(*lines), -1).reshape(-1, 2)
    return float(np.linalg.norm(transform(one, grid) - transform(two, grid), axis=1).mean())


# ---- tables ------------------------------------------------------------------------------------


def as_they_came(found: list[Row]) -> Iterator[str]:
    yield "| preset | pairs | `auto` warns | `translation` moves | `homography` moves | " \
        "offset found |"  # fmt: skip
    yield "|---|---|---|---|---|---|"
    for setting, group in grouped([r for r in found if r.kind == "none"], "setting").items():
        modes = grouped(group, "mode")
        shifts = [r.found for r in next(iter(modes.values()))]
        moved = (
            f"{sum(r.applied != 'none' for r in modes[mode])} of {len(modes[mode])}"
            for mode in ("translation", "homography")
        )
        yield " | ".join(
            (f"| {setting}", str(len(shifts)), str(sum(r.warned for r in modes["auto"])), *moved,
             f"median {np.median(shifts):.1f}, highest {max(shifts):.1f} |")
        )  # fmt: skip


def moved(found: list[Row], setting: str) -> Iterator[str]:
    yield f"**{setting}**"
    yield ""
    yield "| misalignment | pixels | trials | declared | error there: median | 90 % below " \
        "| under 1 px | beside the pair's own offset | left in all pairs: median |"  # fmt: skip
    yield "|---|---|---|---|---|---|---|---|---|"
    there = [r for r in found if r.setting == setting and r.kind != "none"]
    chosen = [replace(r, kind="shift") if r.mode == "translation" else r for r in there]
    for (kind, size), group in grouped(chosen, "kind", "size").items():
        sure = [r for r in group if r.declared]
        yield " | ".join(
            (f"| {kind} {size:g}", f"{np.mean([r.before for r in group]):.1f}", str(len(group)),
             f"{len(sure) / len(group):.0%}", *(_errors(sure) if sure else "----"),
             f"{np.median([r.error for r in group]):.2f} |")
        )  # fmt: skip


def _errors(sure: list[Row]) -> tuple[str, ...]:
    """Median and 90 % of the errors, and the shares below a pixel."""
    error, own = (np.array([getattr(r, name) for r in sure]) for name in ("error", "own"))
    below = (f"{np.mean(one < 1):.0%}" for one in (error, own))
    return f"{np.median(error):.2f}", f"{np.quantile(error, 0.9):.2f}", *below


def grouped(found: list[Row], *names: str) -> dict:
    groups = defaultdict(list)
    for one in found:
        key = tuple(getattr(one, name) for name in names)
        groups[key if len(key) > 1 else key[0]].append(one)
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="ivif", choices=get_args(Task))
    parser.add_argument("--data", type=Path, help="clean pairs; the rendered scenes by default")
    parser.add_argument("--limit", type=int, metavar="N", help="only N pairs, evenly chosen")
    parser.add_argument("--only", default="none,composite", help="presets, separated by commas")
    parser.add_argument("--modes", default="auto,translation,homography")
    parser.add_argument("--aligned", action="store_true", help="only the pairs as they came")
    parser.add_argument("--list", action="store_true", help="name the pairs that are declared")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every number")
    options = parser.parse_args()
    settings = options.only.split(",")
    if not set(settings) <= set(PRESET_NAMES):
        raise DrfuseError(f"--only takes {', '.join(PRESET_NAMES)}")
    pairs = clean_pairs(options.data, options.task) if options.data else scene_pairs(options.task)
    if options.limit:
        pairs = pairs[:: max(1, len(pairs) // options.limit)][: options.limit]
    modes = options.modes.split(",")
    found = list(rows(pairs, options.task, settings, modes, not options.aligned))
    print("\n".join(as_they_came(found)))
    if not options.aligned:
        for setting in settings:
            print("", *moved(found, setting), sep="\n")
    if options.list:
        for one in found:
            if one.kind == "none" and one.declared:
                print(f"{one.setting} {one.name} {one.mode}: {one.found:.1f} px, {one.applied}")
    for mode, group in grouped(found, "mode").items():
        print(f"{mode}: {1000 * np.mean([one.seconds for one in group]):.0f} ms of processor time")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1))


if __name__ == "__main__":
    main()
