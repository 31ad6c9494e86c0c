"""From the planes of DICOM slices to the affine of a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drfuse_cli.medical.volume import Array, Space

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_SAME_PLACE = 1e-3
_UNEVEN = 0.02


class NoStack(Exception):
    """Why planes do not make one stack of slices."""


@dataclass(frozen=True, eq=False)
class Plane:
    """Where one slice lies, in DICOM's mm (left, back, up).

    ``along_row`` is the direction in which the column index grows, ``along_column`` that of the
    row index; ``spacing`` lies between rows and between columns, ``thickness`` between slices.
    """

    position: Array | None
    along_row: Array | None
    along_column: Array | None
    spacing: tuple[float, float] | None
    thickness: float | None

    @property
    def placed(self) -> bool:
        return self.position is not None and self.along_row is not None and self.spacing is not None

    @property
    def normal(self) -> Array:
        assert self.along_row is not None
        assert self.along_column is not None
        return np.cross(self.along_row, self.along_column)


def unplaced(plane: Plane) -> Space:
    """The space of slices that only know their spacing, if that."""
    rows, columns = plane.spacing or (1.0, 1.0)
    return Space(LPS_TO_RAS @ np.diag([columns, rows, plane.thickness or 1.0, 1]), placed=False)


def stack(planes: Sequence[Plane], keep_order: bool) -> tuple[list[int], Space]:
    """The order of the slices along their normal, and where columns x rows x slices then lie.

    Planes whose distances grow or fall steadily stay as they are with ``keep_order``. Planes
    without a position stay as they are, too. Raises `NoStack` where they are turned against
    each other, two lie at one place, or they are not evenly spaced.
    """
    first = planes[0]
    order = list(range(len(planes)))
    if not all(plane.placed for plane in planes):
        return order, unplaced(first)
    _check_parallel(planes)
    heights = np.array([plane.normal @ plane.position for plane in planes])
    steady = keep_order and len(planes) > 1 and _monotonic(heights)
    if not steady:
        order = np.argsort(heights, kind="stable").tolist()
    step = _step(np.array([planes[i].position for i in order]), heights[order])
    affine = np.eye(4)
    assert first.spacing is not None
    affine[:3, 0] = first.spacing[1] * np.asarray(first.along_row)
    affine[:3, 1] = first.spacing[0] * np.asarray(first.along_column)
    affine[:3, 2] = first.normal * (first.thickness or 1.0) if step is None else step
    affine[:3, 3] = planes[order[0]].position
    return order, Space(LPS_TO_RAS @ affine)


def _check_parallel(planes: Sequence[Plane]) -> None:
    first = planes[0]
    for plane in planes[1:]:
        pairs = (
            (plane.along_row, first.along_row),
            (plane.along_column, first.along_column),
            (plane.spacing, first.spacing),
        )
        if not all(np.allclose(a, b, atol=1e-3) for a, b in pairs):  # type: ignore[arg-type]
            raise NoStack("its slices differ in direction or spacing")


def _monotonic(heights: Array) -> bool:
    steps = np.diff(heights)
    return bool((steps > _SAME_PLACE).all() or (steps < -_SAME_PLACE).all())


def _step(positions: Array, heights: Array) -> Array | None:
    """From one slice to the next, mm; None for a single one."""
    if len(heights) == 1:
        return None
    steps = np.abs(np.diff(heights))
    if steps.min() < _SAME_PLACE:
        raise NoStack("several of its slices lie at one place (echoes, times or weightings)")
    if steps.max() - steps.min() > max(_UNEVEN * float(np.median(steps)), _UNEVEN):
        raise NoStack(
            f"its slices are {steps.min():.3g} to {steps.max():.3g} mm apart: one may be missing"
        )
    mean: Array = (positions[-1] - positions[0]) / (len(positions) - 1)
    return mean
