"""Sources of different shape, or whose sizes are no whole multiples: cropped, or letterboxed.

Which parts of their fields two cameras share no file says. Taken is that they look the same way,
and that the field of the one with more pixels holds that of the other: that one is cropped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from drfuse_cli.config import Fit
from drfuse_cli.degradations import MAX_SCALE, Overrides, scales_of
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image

Images = tuple[Image, Image]
Size = tuple[int, int]
"""Height and width."""
Box = tuple[int, int, int, int]
"""Left, top, width and height, in pixels."""


@dataclass(frozen=True)
class Change:
    """What becomes of one source: ``box`` of a file of ``size`` is resampled to ``resized``.

    ``border``: columns and rows of pixels that are then mirrored on either side.
    """

    size: Size
    box: Box
    resized: Size
    border: tuple[int, int] = (0, 0)

    @classmethod
    def nothing(cls, size: Size) -> Change:
        return cls(size, (0, 0, size[1], size[0]), size)

    @property
    def cropped(self) -> bool:
        return self.box[2:] != self.size[::-1]

    @property
    def resampled(self) -> bool:
        return self.box[2:] != self.resized[::-1]

    @property
    def noise_gain(self) -> float:
        """What is left of the standard deviation of white noise."""
        width, height = self.box[2:]
        return _share_left(width, self.resized[1]) * _share_left(height, self.resized[0])

    def apply(self, image: Image) -> Image:
        left, top, width, height = self.box
        pixels = image.pixels[top : top + height, left : left + width]
        if self.resampled:
            pixels = cv2.resize(pixels, self.resized[::-1], interpolation=cv2.INTER_AREA)
        if any(self.border):
            columns, rows = self.border
            around = [(rows, rows), (columns, columns)] + [(0, 0)] * (pixels.ndim - 2)
            pixels = np.pad(pixels, around, mode="symmetric")
        return replace(image, pixels=np.ascontiguousarray(pixels))

    def describe(self) -> str:
        parts = []
        left, top, width, height = self.box
        if self.cropped:
            old = f"{self.size[1]}x{self.size[0]}"
            parts.append(f"cropped from {old} to {width}x{height} at {left},{top}")
        if self.resampled:
            parts.append(f"resampled to {self.resized[1]}x{self.resized[0]}")
        if any(self.border):
            columns, rows = self.border
            where = f"{columns} pixels left and right" if columns else f"{rows} above and below"
            parts.append(f"nothing is seen by it {where}")
        return ", ".join(parts)

    def document(self) -> dict[str, Any]:
        return {
            "size": list(self.size[::-1]),
            "box": list(self.box),
            "resized": list(self.resized[::-1]),
            "border": list(self.border),
            "noise_gain": self.noise_gain,
        }


@dataclass(frozen=True)
class Fitting:
    """What ``--fit`` did to both sources; ``alone``: the one, 0 or 1, that sees all of the field.

    ``alone`` is ``None`` where both see all of it.
    """

    mode: Fit
    changes: tuple[Change, Change]
    alone: int | None = None

    def describe(self) -> list[str]:
        """A line for each source that was changed."""
        told = [(number, change.describe()) for number, change in enumerate(self.changes, 1)]
        return [f"source {number}: {text}" for number, text in told if text]

    def document(self) -> dict[str, Any]:
        """For the sidecar; boxes as left, top, width, height in pixels of the file."""
        return {"mode": self.mode, "sources": [change.document() for change in self.changes]}

    # ---- what only one source sees ------------------------------------------------------------

    def fused(self, fused: Image, restored: Images) -> Image:
        """The fused image, outside the common field that of the one source that sees it."""
        if self.alone is None:
            return fused
        outside = _like(restored[self.alone], fused)
        return _within(fused, outside, self._window(fused))

    def restored(self, restored: Images) -> Images:
        """Both restored sources, black where one sees nothing."""
        if self.alone is None:
            return restored
        blind = restored[1 - self.alone]
        black = replace(blind, pixels=np.zeros_like(blind.pixels))
        seen = _within(blind, black, self._window(blind))
        return (seen, restored[1]) if self.alone == 1 else (restored[0], seen)

    def _window(self, full: Image) -> Box:
        """The common field on the fused grid."""
        assert self.alone is not None
        change = self.changes[1 - self.alone]
        (columns, rows), (height, width) = change.border, change.resized
        scale = round(full.width / (width + 2 * columns))
        return columns * scale, rows * scale, width * scale, height * scale


def fit(images: Images, mode: Fit, overrides: Overrides) -> tuple[Images, Fitting | None]:
    """Sources whose sizes go together, and what was done for that; ``None`` where they do.

    Raises ``DrfuseError`` where ``--sr-scale`` speaks against it.
    """
    sizes = _size(images[0]), _size(images[1])
    if mode == "none" or _go_together(sizes, overrides):
        return images, None
    fitting = plan(sizes, mode, overrides)
    first, second = (
        change.apply(image) for change, image in zip(fitting.changes, images, strict=True)
    )
    return (first, second), fitting


def plan(sizes: tuple[Size, Size], mode: Fit, overrides: Overrides) -> Fitting:
    """What to do to sources of these sizes; see :func:`fit`."""
    cropped = int(math.prod(sizes[1]) > math.prod(sizes[0]))
    shape = sizes[1 - cropped]
    boxes = [(0, 0, size[1], size[0]) for size in sizes]
    boxes[cropped] = _central(sizes[cropped], _largest(sizes[cropped], shape))
    kept = [(box[3], box[2]) for box in boxes]
    areas = [math.prod(size) for size in kept]
    large = cropped if areas[0] == areas[1] else int(areas[1] > areas[0])
    ratio = _ratio(kept[1 - large], kept[large], large, overrides)
    resized = [*kept]
    resized[large] = kept[1 - large][0] * ratio, kept[1 - large][1] * ratio
    told = overrides.sr_scale[0] is not None
    if told and math.prod(resized[large]) > math.prod(kept[large]):
        raise _too_small(large, kept[large], resized[large])
    changes = [Change(*each) for each in zip(sizes, boxes, resized, strict=True)]
    if mode == "letterbox" and changes[cropped].cropped:
        if cropped != large:
            raise DrfuseError(
                "--fit letterbox: each source sees much that the other does not",
                hint="Use --fit crop.",
            )
        return _letterboxed(changes, large, ratio)
    return Fitting(mode, (changes[0], changes[1]))


def _letterboxed(changes: list[Change], large: int, ratio: int) -> Fitting:
    """The field of the larger source whole, but for less than a pixel of the other at its rim."""
    fine, coarse = changes[large], changes[1 - large]
    per_pixel = fine.box[2] / coarse.size[1], fine.box[3] / coarse.size[0]
    columns, rows = (
        int((whole - part) / 2 / pixel)
        for whole, part, pixel in zip(fine.size[::-1], fine.box[2:], per_pixel, strict=True)
    )
    full = coarse.size[0] + 2 * rows, coarse.size[1] + 2 * columns
    inside = (
        min(fine.size[0], round(full[0] * per_pixel[1])),
        min(fine.size[1], round(full[1] * per_pixel[0])),
    )
    resized = full[0] * ratio, full[1] * ratio
    changes[large] = Change(fine.size, _central(fine.size, inside), resized)
    changes[1 - large] = replace(coarse, border=(columns, rows))
    return Fitting("letterbox", (changes[0], changes[1]), large if columns or rows else None)


def _go_together(sizes: tuple[Size, Size], overrides: Overrides) -> bool:
    try:
        scales_of(overrides, sizes)
    except DrfuseError:
        return False
    return True


def _largest(size: Size, shape: Size) -> Size:
    """The most of an image that has the shape of another."""
    height, width = size
    return (
        min(height, round(width * shape[0] / shape[1])) or 1,
        min(width, round(height * shape[1] / shape[0])) or 1,
    )


def _central(size: Size, part: Size) -> Box:
    return (size[1] - part[1]) // 2, (size[0] - part[0]) // 2, part[1], part[0]


def _ratio(small: Size, large: Size, index: int, overrides: Overrides) -> int:
    """How many times larger one source is to be: as the flags say, or as it nearly is."""
    scales = overrides.sr_scale
    if scales[0] is None or scales[1] is None:
        found = min(n // m for n, m in zip(large, small, strict=True))
        return min(max(1, found), MAX_SCALE)
    told, other = scales[1 - index], scales[index]
    assert told is not None
    assert other is not None
    if told % other:
        raise DrfuseError(
            f"--sr-scale {scales[0]},{scales[1]} leaves no whole multiple to resample to",
            hint="Leave --sr-scale out to take the nearest one.",
        )
    return told // other


def _too_small(index: int, size: Size, wanted: Size) -> DrfuseError:
    return DrfuseError(
        f"--sr-scale would enlarge source {index + 1} from {size[1]}x{size[0]} to "
        f"{wanted[1]}x{wanted[0]}",
        hint="Leave --sr-scale out to take the nearest whole multiple below.",
    )


def _share_left(before: int, after: int) -> float:
    """Standard deviation of white noise after averaging ``before`` pixels into ``after``."""
    k = max(1.0, before / after)
    start = np.arange(after) * k
    end = start + k
    head, tail = np.floor(start) + 1 - start, end - np.floor(end)
    squares = head**2 + tail**2 + np.floor(end) - np.floor(start) - 1
    return float(np.sqrt(squares.mean()) / k)


def _size(image: Image) -> Size:
    return image.height, image.width


def _like(image: Image, other: Image) -> Image:
    """The same picture with the depth and channels of another."""
    pixels = image.pixels
    if image.bits != other.bits:
        wide = pixels.astype(np.uint16)
        pixels = wide * 257 if other.bits == 16 else (wide // 257).astype(np.uint8)
    if other.colour and not image.colour:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return replace(image, pixels=pixels)


def _within(inner: Image, outer: Image, window: Box) -> Image:
    """``outer`` with ``inner`` in the window."""
    left, top, width, height = window
    place = np.s_[top : top + height, left : left + width]
    pixels = outer.pixels.copy()
    pixels[place] = inner.pixels[place]
    return replace(inner, pixels=pixels)
