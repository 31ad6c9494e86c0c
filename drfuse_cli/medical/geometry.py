"""Do two volumes cover the same place, voxel by voxel or in whole multiples?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.medical.volume import Array, Shape, Volume, turn_between

_REFUSED, _MENTIONED = 0.6, 0.1
"""Distances between the two grids, in voxels of the finer one."""
_RESAMPLE = (
    "Resample one onto the grid of the other first, for example with 3D Slicer, or in Python: "
    "nibabel.processing.resample_from_to(second, first). Where they do match, and only the "
    "files say otherwise, add --ignore-geometry."
)


@dataclass(frozen=True, eq=False)
class Grid:
    """Both volumes with their axes alike, and how many times coarser each is, axis by axis."""

    volumes: tuple[Volume, Volume]
    coarser: tuple[Shape, Shape]
    warnings: tuple[str, ...]

    @property
    def reference(self) -> int:
        """Which of the two is the finer one, whose voxels the fused volume gets."""
        return 0 if max(self.coarser[0]) == 1 else 1


def match(first: Volume, second: Volume, ignore_geometry: bool = False) -> Grid:
    """The two on a common grid; the second is turned where that moves no voxel off its place.

    Raises ``DrfuseError`` where one is no whole number of times finer than the other, or where
    they lie in different places.
    """
    warnings: list[str] = []
    placed = first.space.placed and second.space.placed and not ignore_geometry
    if placed:
        turn = turn_between(first, second)
        if not np.array_equal(turn, [[0, 1], [1, 1], [2, 1]]):
            second = second.turned(turn)
            warnings.append(f"{second.path}: turned, without resampling, to lie like source 1")
    elif first.kind != second.kind and "nifti" in (first.kind, second.kind):
        second = second.turned(turn_between(first, second))
    coarser = _coarser(first, second)
    grid = Grid((first, second), coarser, ())
    if placed:
        warnings += _compare_places(grid)
    elif not ignore_geometry:
        silent = first if not first.space.placed else second
        warnings.append(f"{silent.path}: does not say where it lies; taken to match voxel by voxel")
    return replace(grid, warnings=tuple(warnings))


def _coarser(first: Volume, second: Volume) -> tuple[Shape, Shape]:
    shapes = (first.shape, second.shape)
    fine, coarse = (0, 1) if np.prod(shapes[0]) >= np.prod(shapes[1]) else (1, 0)
    counts = list(zip(shapes[fine], shapes[coarse], strict=True))
    if any(n % m for n, m in counts):
        raise DrfuseError(
            f"{_size(shapes[1])} voxels do not go into the {_size(shapes[0])} of {first.path} "
            "a whole number of times",
            hint=_RESAMPLE.partition(" Where")[0],
            path=second.path,
        )
    i, j, k = (n // m for n, m in counts)
    times = [(1, 1, 1), (1, 1, 1)]
    times[coarse] = (i, j, k)
    return times[0], times[1]


def _compare_places(grid: Grid) -> list[str]:
    """Warnings about small distances; raises ``DrfuseError`` for large ones."""
    first, second = grid.volumes
    fine, coarse = grid.volumes if grid.reference == 0 else grid.volumes[::-1]
    alone = np.array([n == m == 1 for n, m in zip(fine.shape, coarse.shape, strict=True)])
    to_fine = np.linalg.inv(fine.space.affine) @ coarse.space.affine
    off = np.abs(_corners(fine, np.eye(4), alone) - _corners(coarse, to_fine, alone)).max(axis=0)
    off /= np.where(alone, np.maximum(1, np.divide(coarse.space.spacing, fine.space.spacing)), 1)
    if off.max() > _REFUSED:
        raise _apart(first, second, alone)
    if off.max() > _MENTIONED:
        return [f"the sources lie {off.max():.1f} voxels apart; taken to match"]
    return []


def _corners(volume: Volume, affine: Array, alone: Array) -> Array:
    """The eight outer corners, 8 x 3, where ``affine`` puts their voxel indices.

    Slices that are ``alone`` in both volumes count by their middle: how thick they are says
    nothing about where they lie.
    """
    sizes = zip(volume.shape, alone, strict=True)
    ends = [(0.0, 0.0) if one else (-0.5, n - 0.5) for n, one in sizes]
    corners = np.array(list(itertools.product(*ends)))
    moved: Array = corners @ affine[:3, :3].T + affine[:3, 3]
    return moved


def _apart(first: Volume, second: Volume, alone: Array) -> DrfuseError:
    extents = [np.where(alone, 0, v.shape) * v.space.spacing for v in (first, second)]
    if np.abs(extents[0] - extents[1]).max() > max(*first.space.spacing, *second.space.spacing):
        one, two = (_size(extent[extent > 0], ".0f") for extent in extents)
        message = f"covers {two} mm, and {first.path} {one} mm"
    else:
        corners = [_corners(v, v.space.affine, alone) for v in (first, second)]
        far = np.linalg.norm(corners[0] - corners[1], axis=1).max()
        message = f"lies elsewhere than {first.path}: up to {far:.1f} mm away"
    return DrfuseError(message, hint=_RESAMPLE, path=second.path)


def _size(numbers: Array | Shape, spec: str = "d") -> str:
    return " x ".join(format(number, spec) for number in numbers)
