"""Voxels and where they lie: turned, cut into slices, looked at along an anatomical axis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import nibabel
import numpy as np

from drfuse_cli.medical.kinds import Kind
from drfuse_cli.medical.window import Window

Array = np.ndarray
Shape = tuple[int, int, int]

WORLD = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The axis of the world (to the right, to the front, up) that a stack of slices runs along."""

_nib: Any = nibabel.orientations  # without annotations
_IN_PLANE = {"sagittal": (1, 2), "coronal": (0, 2), "axial": (0, 1)}
_THICKER = 1.05


@dataclass(frozen=True, eq=False)
class Space:
    """Where voxels lie. ``affine``, 4 x 4, turns their indices into mm: right, front, up (RAS+).

    ``placed`` is False where the file does not say: then only the spacing means something.
    ``forms`` are qform and sform of NIfTI with their codes, in mm like ``affine``.
    """

    affine: Array
    placed: bool = True
    forms: tuple[tuple[Array, int], tuple[Array, int]] | None = None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between neighbours along each axis of the voxels."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return i, j, k

    def seen_from(self, to_here: Array) -> Space:
        """The same place for other indices, which ``to_here`` (4 x 4) turns into those of here."""
        forms = self.forms and (
            (self.forms[0][0] @ to_here, self.forms[0][1]),
            (self.forms[1][0] @ to_here, self.forms[1][1]),
        )
        return Space(self.affine @ to_here, self.placed, forms)


@dataclass(frozen=True, eq=False)
class Volume:
    """What a medical file or folder holds.

    ``voxels`` are i x j x k, or i x j x k x 3 of uint8 or uint16 (RGB), possibly mapped from a
    file. Values are ``slope * voxel + intercept``. ``window`` is what the file wants to be seen
    through. ``modality`` is DICOM's code (MR, CT, PT, NM), None where the file does not say.
    """

    path: str
    kind: Kind | None
    voxels: Array
    space: Space
    sha256: str | None
    slope: float = 1.0
    intercept: float = 0.0
    window: Window | None = None
    inverted: bool = False
    modality: str | None = None
    annotated: bool = False
    """Whether the file says that names are burned into its pixels."""
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        i, j, k = self.voxels.shape[:3]
        return i, j, k

    @property
    def colour(self) -> bool:
        return self.voxels.ndim == 4

    def values(self, voxels: Array) -> Array:
        """The values of some of the voxels, float64; these as they are in most files of bytes."""
        if self.slope == 1 and self.intercept == 0:
            return voxels
        return voxels.astype(np.float64) * self.slope + self.intercept

    def turned(self, orientation: Array) -> Volume:
        """With axes in another order or direction: ``orientation`` as nibabel writes it."""
        to_here = _nib.inv_ornt_aff(orientation, self.shape)
        voxels = _nib.apply_orientation(self.voxels, orientation)
        return replace(self, voxels=voxels, space=self.space.seen_from(to_here))

    def only(self, k: int) -> Volume:
        """Slice ``k`` of the last axis alone."""
        shift = np.eye(4)
        shift[2, 3] = k
        voxels = self.voxels[:, :, k : k + 1]
        return replace(self, voxels=voxels, space=self.space.seen_from(shift))


def turn_between(first: Volume, second: Volume) -> Array:
    """What turns ``second`` so that its axes run like those of ``first``."""
    start, end = (_nib.io_orientation(volume.space.affine) for volume in (second, first))
    return _nib.ornt_transform(start, end)


def undo(orientation: Array) -> Array:
    """The orientation that turns back what ``orientation`` turned."""
    return _nib.ornt_transform([[0, 1], [1, 1], [2, 1]], orientation)


def choose_axis(volume: Volume) -> str:
    """The axis to cut a volume along: that of its slices where they are thicker or one alone."""
    names = _axis_names(volume)
    if volume.kind != "nifti" and not volume.space.placed:
        return names[2]
    if 1 in volume.shape:
        alone = [axis for axis in (2, 1, 0) if volume.shape[axis] == 1]
        return names[alone[0]]
    spacing = volume.space.spacing
    thick = int(np.argmax(spacing))
    others = [value for axis, value in enumerate(spacing) if axis != thick]
    return names[thick] if spacing[thick] > _THICKER * max(others) else "axial"


def _axis_names(volume: Volume) -> list[str]:
    """The anatomical name of every axis of the voxels."""
    by_world = {world: name for name, world in WORLD.items()}
    return [by_world[int(world)] for world, _ in _nib.io_orientation(volume.space.affine)]


def upright(volume: Volume, axis: str) -> Array:
    """The orientation that makes axes columns, rows, slices, as radiologists look at them.

    Columns run to the left or to the back, rows to the back or down; slices stay in the order
    of the file. ``axis`` is one of ``WORLD``.
    """
    places = {world: place for place, world in enumerate((*_IN_PLANE[axis], WORLD[axis]))}
    turn = []
    for world, direction in _nib.io_orientation(volume.space.affine):
        place = places[int(world)]
        turn.append([place, 1 if place == 2 else -direction])
    return np.array(turn)
