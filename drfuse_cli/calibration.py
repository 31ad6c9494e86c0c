"""What a folder of pairs tells about the rig that took them: medians over its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from drfuse_cli.config import Pair, Register
from drfuse_cli.degradations import Curve, believed, scales_of
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.operators.estimate import estimate
from drfuse_cli.operators.estimate.levels import COMMON, level_of
from drfuse_cli.operators.estimate.planes import channels_of
from drfuse_cli.operators.grid import Grid
from drfuse_cli.registration.align import find, moving_source
from drfuse_cli.registration.finding import Finding
from drfuse_cli.registration.motion import corners_of, transform
from drfuse_cli.rig import FixedMotion
from drfuse_cli.sources import Assumptions, read_pair, take_pair

Array = npt.NDArray[np.float64]
Size = tuple[int, int]
"""Height and width."""

FEWEST = 3
"""Pairs that must agree on a motion."""
_SHARE, _SHARE_OF_TRUSTED = 1 / 3, 2 / 3
_APART, _APART_PART = 1.5, 0.004
_ALIGNED, _AS_GOOD = 1.0, 0.25
_SCATTER, _LEAST_SCATTER = 0.3, 0.5
_BLOCK, _FEWEST_BLOCKS = 16, 60
_LEAST_SPAN, _LEAST_RISE, _LIKE = 30.0, 1.25, 0.25
_KERNEL = np.array([1, -2, 1], np.float32)


@dataclass(frozen=True, eq=False)
class Seen:
    """What one pair tells; ``None`` where it does not.

    ``noise``: in grey levels (0..255) of the file; ``blur``: sigma in pixels of the fused image.
    ``blocks``: level and noise of every block of a file, N x 2. ``gains``: by how much gain
    control and resampling then make the noise grow.
    """

    sizes: tuple[Size, Size]
    scales: tuple[int, int]
    canvas: Size
    noise: tuple[float | None, float | None]
    blur: tuple[float | None, float | None]
    blocks: tuple[Array | None, Array | None]
    moved: int
    finding: Finding | None
    gains: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Failed:
    """A pair that could not be looked at."""

    name: str
    error: DrfuseError


@dataclass(frozen=True)
class Measured:
    """A median over ``files`` of ``of``; ``value`` is ``None`` where it is left out.

    ``scattered``: the median that was left out because it differs from file to file.
    """

    value: float | None
    spread: float
    files: int
    of: int
    why: str
    scattered: float | None = None


@dataclass(frozen=True)
class MeasuredCurve:
    """Noise at three levels; ``curve`` is ``None`` where it is left out."""

    curve: Curve | None
    why: str


@dataclass(frozen=True)
class MeasuredMotion:
    """A motion that ``files`` of ``of`` pairs agree on; ``None`` where it is left out."""

    motion: FixedMotion | None
    spread: float
    files: int
    of: int
    why: str


@dataclass(frozen=True)
class Source:
    """What is known of one source."""

    noise: Measured
    curve: MeasuredCurve
    blur: Measured


@dataclass(frozen=True)
class Calibration:
    """What is known of a rig; ``scales`` are ``None`` where the pairs differ in them."""

    pairs: int
    sources: tuple[Source, Source]
    scales: tuple[int, int] | None
    motion: MeasuredMotion


def look(pair: Pair, told: Assumptions) -> Seen | Failed:
    """Look at one pair, as ``told`` says that it is to be read; may run in any process."""
    try:
        return _look(pair, told)
    except DrfuseError as error:
        return Failed(pair.name, error)


def _look(pair: Pair, told: Assumptions) -> Seen:
    files = read_pair((pair.source1, pair.source2), told)
    images, intake = take_pair(files, told)
    sizes = _size(images[0]), _size(images[1])
    scales = scales_of(told.overrides, sizes)
    noise, blur = [], []
    gains = intake.noise_gains(0)[0], intake.noise_gains(1)[0]
    for i in (0, 1):
        found = believed(estimate(images[i]), scales[i])
        told_noise = found.origin["noise_std"] == "estimate"
        noise.append(found.noise_std / gains[i] if told_noise else None)
        blur.append(found.blur_sigma if found.origin["blur_sigma"] == "estimate" else None)
    moved = moving_source(scales, told.task)
    looked = told.register != "none"
    return Seen(
        sizes,
        scales,
        Grid.of(sizes, scales).canvas,
        (noise[0], noise[1]),
        (blur[0], blur[1]),
        (
            None if intake.levels[0] else blocks_of(files[0]),
            None if intake.levels[1] else blocks_of(files[1]),
        ),
        moved,
        find(images, scales, moved, told.register) if looked else None,
        gains,
    )


def calibrate(seen: Sequence[Seen], register: Register) -> Calibration:
    """The medians of what pairs tell, where enough of them tell the same."""
    scales = Counter(one.scales for one in seen)
    first, second = (_source(seen, i) for i in (0, 1))
    return Calibration(
        len(seen),
        (first, second),
        next(iter(scales)) if len(scales) == 1 else None,
        common_motion(seen, register),
    )


def _source(seen: Sequence[Seen], i: int) -> Source:
    gain = float(np.median([one.gains[i] for one in seen]))
    noise = measured([one.noise[i] for one in seen], _LEAST_SCATTER / gain)
    curve = noise_curve([one.blocks[i] for one in seen], noise)
    if curve.curve and noise.value is None:
        noise = replace(noise, value=noise.scattered, why="differs with the level")
    return Source(noise, curve, measured([one.blur[i] for one in seen]))


def measured(values: Sequence[float | None], least: float = _LEAST_SCATTER) -> Measured:
    """The median, left out where fewer than half of the files tell, or each something else.

    A spread of no more than ``least`` is always as good as none.
    """
    known = np.array([value for value in values if value is not None])
    files, of = len(known), len(values)
    if not files:
        return Measured(None, 0.0, 0, of, "no file tells; looked for in every file")
    middle = float(np.median(known))
    spread = float(np.median(np.abs(known - middle)) * 1.4826)
    why = ""
    if 2 * files < of:
        why = "few files tell; looked for in every file"
    elif spread > max(least, _SCATTER * middle):
        why = "differs from file to file; looked for in every file"
        return Measured(None, spread, files, of, why, middle)
    return Measured(None if why else middle, spread, files, of, why)


# ---- noise at several levels ------------------------------------------------------------------


def blocks_of(image: Image) -> Array:
    """Mean level and standard deviation of the finest details in blocks of 16 x 16 pixels; N x 2.

    In grey levels (0..255) of the file; of colour, of green. Blocks that touch black or white
    are left out.
    """
    channels = channels_of(image)
    plane = channels[len(channels) // 2]
    details = cv2.sepFilter2D(plane, cv2.CV_32F, _KERNEL, _KERNEL, borderType=cv2.BORDER_REFLECT)
    ends = ((plane <= 0) | (plane >= 254.5)).astype(np.float32)
    levels, energy, clipped = (_means(x) for x in (plane, details * details / 36, ends))
    rounding = (255 / image.max_value) ** 2 / 12
    noise = np.sqrt(np.maximum(energy - rounding, 0))
    return np.stack([levels, noise], axis=1)[clipped == 0]


def noise_curve(blocks: Iterable[Array | None], noise: Measured) -> MeasuredCurve:
    """Noise in the dark, middle and bright third of all blocks.

    A block counts where most of its third hold the same: those hold noise and no texture. The
    curve is left out unless all thirds tell, it rises or falls, and it agrees with ``noise``.
    """
    found = [one for one in blocks if one is not None]
    if not found:
        return MeasuredCurve(None, "not for files that gain control stretches")
    usual = noise.scattered if noise.value is None else noise.value
    if usual is None:
        return MeasuredCurve(None, "the noise itself is not known")
    pooled = np.concatenate(found)
    if len(pooled) < 3 * _FEWEST_BLOCKS:
        return MeasuredCurve(None, "too few blocks")
    ordered = pooled[np.argsort(pooled[:, 0], kind="stable")]
    points = []
    for third in np.array_split(ordered, 3):
        std, share = level_of(third[:, 1])
        if share < COMMON:
            return MeasuredCurve(None, "too much texture to tell it at all levels")
        points.append((round(float(np.median(third[:, 0])), 1), round(std, 2)))
    stds = [std for _, std in points]
    if points[2][0] - points[0][0] < _LEAST_SPAN or points[0][0] == points[1][0]:
        return MeasuredCurve(None, "the files show few levels")
    if max(stds) < _LEAST_RISE * max(min(stds), 0.1):
        return MeasuredCurve(None, "much the same at all levels")
    if not min(stds) * (1 - _LIKE) <= usual <= max(stds) * (1 + _LIKE):
        return MeasuredCurve(None, "the noise is correlated between pixels")
    return MeasuredCurve(tuple(points), "")


def _means(plane: npt.NDArray[np.floating]) -> Array:
    rows, columns = (n // _BLOCK for n in plane.shape)
    whole = plane[: rows * _BLOCK, : columns * _BLOCK].astype(np.float64)
    return np.asarray(whole.reshape(rows, _BLOCK, columns, _BLOCK).mean((1, 3)).ravel())


# ---- motion -----------------------------------------------------------------------------------


def common_motion(seen: Sequence[Seen], register: Register) -> MeasuredMotion:
    """The motion that most pairs agree on, corner by corner of the image."""
    of = len(seen)
    if register == "none":
        return MeasuredMotion(None, 0.0, 0, of, "not looked for")
    key = Counter((one.moved, one.canvas, one.scales) for one in seen).most_common(1)[0][0]
    moved, canvas, scales = key
    found = [
        one.finding
        for one in seen
        if one.finding is not None
        and one.finding.trusted
        and (one.moved, one.canvas, one.scales) == key
    ]
    if len(found) < max(FEWEST, _SHARE * of):
        return MeasuredMotion(None, 0.0, len(found), of, "too few pairs tell how they lie")
    shifts = [one for one in found if one.motion.model == "translation"]
    if register == "auto" and 2 * len(shifts) < len(found):
        why = "they differ by more than a shift; --register homography measures that"
        return MeasuredMotion(None, 0.0, len(found), of, why)
    corners = corners_of(canvas)
    offsets = np.stack([transform(one.motion.matrix, corners) - corners for one in found])
    apart = _apart(offsets, np.median(offsets, axis=0))
    agree = apart <= max(_APART, _APART_PART * max(canvas))
    count = int(agree.sum())
    if count < max(FEWEST, _SHARE * of, _SHARE_OF_TRUSTED * len(found)):
        spread = float(np.median(apart))
        return MeasuredMotion(None, spread, count, of, "the pairs do not lie alike")
    offset = np.median(offsets[agree], axis=0)
    spread = float(np.median(_apart(offsets[agree], offset)))
    largest = float(np.linalg.norm(offset, axis=1).max())
    if largest < _ALIGNED:
        why = f"they lie on each other, {largest:.1f} pixels apart"
        return MeasuredMotion(None, spread, count, of, why)
    if register == "homography":
        numbers = _homography(corners, offset)
    else:
        right, down = np.median(offset, axis=0).tolist()
        numbers = _handy(right, scales[moved]), _handy(down, scales[moved])
    return MeasuredMotion(FixedMotion(moved + 1, numbers, canvas[::-1]), spread, count, of, "")


def _apart(offsets: Array, middle: Array) -> Array:
    """How far the worst corner is off, in pixels."""
    return np.asarray(np.linalg.norm(offsets - middle, axis=2).max(axis=1))


def _handy(shift: float, scale: int) -> float:
    """A shift that is as good, but needs no interpolation, where there is one."""
    whole = float(round(shift / scale) * scale)
    return whole if abs(whole - shift) <= _AS_GOOD else round(shift, 2)


def _homography(corners: Array, offset: Array) -> tuple[float, ...]:
    start, end = corners.astype(np.float32), (corners + offset).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(start, end)
    return tuple(float(f"{n:.9g}") for n in matrix.ravel().tolist())


def _size(image: Image) -> Size:
    return image.height, image.width
