"""``--register``: look whether a pair is aligned, and move a source where that was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from drfuse_cli.colour import luma
from drfuse_cli.config import Degradation, Register, Task
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.operators.grid import Grid
from drfuse_cli.registration.apply import attainable, undo
from drfuse_cli.registration.finding import LEAST_MARGIN, Finding, Registration
from drfuse_cli.registration.motion import Matrix, Motion, Shape, translation
from drfuse_cli.registration.search import SMALLEST, View, look, margin, zoom_and_turn
from drfuse_cli.registration.structure import Plane
from drfuse_cli.rig import FixedMotion

Images = tuple[Image, Image]
Degradations = tuple[Degradation, Degradation]

T = TypeVar("T")

_FURTHEST = 0.25
"""Part of the longer side that no corner is further off."""


def register(
    images: Images, degradations: Degradations, task: Task, mode: Register
) -> tuple[Images, Degradations, Registration | None]:
    """What is to be fused, with the source that moves moved where ``mode`` asks for it.

    The source of the higher resolution stays as it is; of two alike the visible one, MRI or
    CT, and the near-focused one. ``auto`` looks for shifts, zooms and turns and moves nothing;
    ``none`` does not look. Without confidence nothing is moved. Deterministic; may run in any
    thread. Raises ``DrfuseError`` where an image is too large to be warped.
    """
    if mode == "none":
        return images, degradations, None
    scales = degradations[0].sr_scale, degradations[1].sr_scale
    moved = moving_source(scales, task)
    finding = find(images, scales, moved, mode)
    seen = Registration(mode, moved + 1, finding)
    if mode == "auto" or finding is None or not finding.misaligned:
        return images, degradations, seen
    motion = attainable(finding.motion, scales[moved])
    if motion.largest == 0:
        return images, degradations, seen
    image, degradation = _undone(images[moved], degradations[moved], motion)
    return (
        _with(images, moved, image),
        _with(degradations, moved, degradation),
        replace(seen, applied=motion),
    )


def move(
    images: Images, degradations: Degradations, fixed: FixedMotion
) -> tuple[Images, Degradations, Registration]:
    """Undo a motion that is known, without a look at the pictures.

    Raises ``DrfuseError`` where it was measured at another size, or cannot be undone at this.
    """
    sizes = [(image.height, image.width) for image in images]
    scales = degradations[0].sr_scale, degradations[1].sr_scale
    height, width = canvas = Grid.of((sizes[0], sizes[1]), scales).canvas
    if fixed.size not in (None, (width, height)):
        assert fixed.size is not None
        raise DrfuseError(
            f"the fixed motion was measured at {fixed.size[0]}x{fixed.size[1]} pixels, and this "
            f"pair makes {width}x{height}",
            hint="Measure it again: drfuse calibrate. --register none leaves it out.",
            path=images[fixed.source - 1].path,
        )
    i = fixed.source - 1
    motion = attainable(_motion(fixed, canvas), scales[i])
    seen = Registration("fixed", fixed.source, None, given=fixed.text)
    if motion.largest == 0:
        return images, degradations, seen
    image, degradation = _undone(images[i], degradations[i], motion)
    seen = replace(seen, applied=motion)
    return _with(images, i, image), _with(degradations, i, degradation), seen


def _motion(fixed: FixedMotion, canvas: Shape) -> Motion:
    if len(fixed.numbers) == 2:
        return translation(*fixed.numbers, canvas)
    return Motion("homography", np.array(fixed.numbers, np.float64).reshape(3, 3), canvas)


def moving_source(scales: tuple[int, int], task: Task) -> int:
    """Index of the source that is held against the other: the coarser one."""
    if scales[0] != scales[1]:
        return int(scales[1] > scales[0])
    return 0 if task == "ivif" else 1


def find(images: Images, scales: tuple[int, int], moved: int, mode: Register) -> Finding | None:
    """How source ``moved`` lies on the other; ``None`` where the images are too small to tell."""
    sizes = [(image.height, image.width) for image in images]
    grid = Grid.of((sizes[0], sizes[1]), scales)
    if min(grid.canvas) < SMALLEST:
        return None
    planes = [
        grid.extend(luma(image.pixels, image.max_value), scale)
        for image, scale in zip(images, scales, strict=True)
    ]
    return search(planes[1 - moved], planes[moved], grid.canvas, mode)


def search(still: Plane, moving: Plane, full: Shape, mode: Register) -> Finding:
    """How ``moving`` lies on ``still``, planes that cover a grid of ``full`` pixels.

    A shift, unless under a homography they surely agree better; in ``auto`` that is no more
    than the best of some zooms and turns.
    """
    view = View.of(still, moving, full)
    shifted = look(view)
    if mode == "translation":
        return shifted
    start = zoom_and_turn(still, moving, full, fine=mode == "homography")
    if mode == "homography":
        from drfuse_cli.registration.refine import refine

        start = refine(view, start)
    elif _is_shift(start):
        return shifted
    warped = look(view, start)
    possible = warped.trusted and warped.motion.largest <= max(full) * _FURTHEST
    return warped if possible and margin(view, warped, shifted) >= LEAST_MARGIN else shifted


def _is_shift(matrix: Matrix) -> bool:
    return np.array_equal(matrix[:, :2], np.eye(3)[:, :2])


def _undone(image: Image, degradation: Degradation, motion: Motion) -> tuple[Image, Degradation]:
    # A border that padding darkened is no longer where the operator puts it.
    return undo(image, motion, degradation.sr_scale), replace(degradation, zero_border=False)


def _with(pair: tuple[T, T], index: int, value: T) -> tuple[T, T]:
    return (value, pair[1]) if index == 0 else (pair[0], value)
