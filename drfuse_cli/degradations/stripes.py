"""Stripes of an infrared camera, taken out of its pictures before anything else is made of them.

The columns of an uncooled detector, and on some its rows, each have an offset of their own. No
linear operator describes them, and no network is needed to see them: they stand in every part of
a picture, and of a sequence, at the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from drfuse_cli.colour import luma
from drfuse_cli.config import Destripe
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.operators.estimate.stripes import SMALLEST, column_offsets, is_striped

Offsets = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stripes:
    """Offsets of the columns and of the rows of a picture, in grey levels (0..255).

    ``None``: those are left as they are.
    """

    columns: Offsets | None = None
    rows: Offsets | None = None

    def taken_out(self, image: Image) -> Image:
        """The picture without them; what is black or white in it stays so.

        Raises ``DrfuseError`` for a picture of another size.
        """
        shape = image.height, image.width
        offsets = np.zeros(shape)
        for axis, lines in ((1, self.columns), (0, self.rows)):
            if lines is not None:
                if len(lines) != shape[axis]:
                    raise _unlike_sizes(image)
                offsets += np.expand_dims(lines, 1 - axis)
        seen, white = image.pixels, image.max_value
        step = offsets * white / 255
        rid = seen - (step[..., None] if image.colour else step)
        clipped = (seen == 0) | (seen == white)
        pixels = np.where(clipped, seen, np.rint(rid).clip(0, white))
        return replace(image, pixels=pixels.astype(seen.dtype))

    def describe(self) -> str:
        """One line for people."""
        stds = {"columns": _std(self.columns), "rows": _std(self.rows)}
        each = [f"of {name} (std {std:.1f})" for name, std in stds.items() if std is not None]
        return f"stripes {' and '.join(each)} are taken out"


def find_stripes(image: Image, mode: Destripe) -> Stripes | None:
    """What is to be taken out of a picture; ``None``: nothing.

    ``auto``: offsets of its columns, where the picture shows them. Its rows hold horizons: they
    are looked at only where they are asked for. Raises ``DrfuseError`` for a picture that is
    too small to tell what is asked for.
    """
    if mode == "none":
        return None
    plane = 255 * luma(image.pixels, image.max_value)
    if mode == "auto":
        return Stripes(column_offsets(plane)) if is_striped(plane) else None
    if min(plane.shape) < SMALLEST:
        raise DrfuseError(
            f"{image.width}x{image.height} pixels are too few to tell stripes from a scene",
            hint="Leave out --destripe.",
            path=image.path,
        )
    columns = column_offsets(plane) if mode in ("columns", "both") else None
    if mode == "columns":
        return Stripes(columns)
    rest = plane if columns is None else plane - columns.astype(np.float32)
    return Stripes(columns, column_offsets(np.ascontiguousarray(rest.T)))


def find_common_stripes(frames: Sequence[Image], mode: Destripe) -> Stripes | None:
    """As :func:`find_stripes`, one for all frames of a sequence: medians over them.

    They belong to the camera, so the more scenes it saw, the better they are known. ``auto``
    takes them out where most frames show them. Raises ``DrfuseError`` for frames of different
    size.
    """
    found = [stripes for frame in frames if (stripes := find_stripes(frame, mode))]
    if 2 * len(found) <= len(frames):
        return None
    if len({(frame.height, frame.width) for frame in frames}) > 1:
        raise _unlike_sizes(frames[0])
    return Stripes(
        _middle([one.columns for one in found if one.columns is not None]),
        _middle([one.rows for one in found if one.rows is not None]),
    )


def document(mode: Destripe, found: Stripes | None) -> dict[str, Any]:
    """For the sidecar: standard deviations in grey levels, ``None`` of what was left alone."""
    lines = found or Stripes()
    return {"mode": mode, "columns": _std(lines.columns), "rows": _std(lines.rows)}


def _middle(offsets: Sequence[Offsets]) -> Offsets | None:
    return np.median(np.stack(offsets), axis=0) if offsets else None


def _std(lines: Offsets | None) -> float | None:
    return None if lines is None else round(float(np.std(lines)), 3)


def _unlike_sizes(image: Image) -> DrfuseError:
    return DrfuseError(
        "the frames differ in size, so that their stripes cannot be the same",
        hint="Leave out --sequence, or give --destripe none.",
        path=image.path,
    )
