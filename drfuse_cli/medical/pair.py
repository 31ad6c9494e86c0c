"""Two medical sources on one grid, as pairs of slices for the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, StrPath, read_image
from drfuse_cli.medical.dicom import read_dicom
from drfuse_cli.medical.geometry import Grid, match
from drfuse_cli.medical.kinds import kind_of_input
from drfuse_cli.medical.nifti import read_nifti
from drfuse_cli.medical.options import MedicalOptions
from drfuse_cli.medical.rendering import (
    Rendering,
    choose_colours,
    doubts,
    modality,
    render,
)
from drfuse_cli.medical.stack import LPS_TO_RAS
from drfuse_cli.medical.volume import Array, Shape, Space, Volume, choose_axis, undo, upright


@dataclass(frozen=True, eq=False)
class MedicalPair:
    """Both volumes with axes columns, rows, slices; slice ``k`` is counted in the finer one.

    ``orientation`` is what turned the finer one from the axes of its file.
    """

    grid: Grid
    renderings: tuple[Rendering, Rendering]
    axis: str
    orientation: Array
    warnings: tuple[str, ...]

    @property
    def volumes(self) -> tuple[Volume, Volume]:
        return self.grid.volumes

    @property
    def reference(self) -> Volume:
        """The finer of the two, whose place the fused volume takes."""
        return self.volumes[self.grid.reference]

    @property
    def slices(self) -> int:
        return self.reference.shape[2]

    @property
    def annotated(self) -> bool:
        return any(volume.annotated for volume in self.volumes)

    def images(self, k: int) -> tuple[Image, Image]:
        """Slice ``k``, from 0, of both sources."""
        first, second = (
            rendering.image(volume, k // coarser[2])
            for rendering, volume, coarser in zip(
                self.renderings, self.volumes, self.grid.coarser, strict=True
            )
        )
        return first, second

    def fused_space(self, shape: Shape) -> Space:
        """Where fused slices of columns x rows x slices lie; they may be finer than the sources."""
        steps = np.array(self.reference.shape) / np.array(shape)
        to_reference = np.diag([*steps, 1.0])
        to_reference[:3, 3] = (steps - 1) / 2
        return self.reference.space.seen_from(to_reference)

    def as_filed(self, fused: Array) -> tuple[Array, Space]:
        """Fused columns x rows x slices with the axes of the file of the finer source."""
        i, j, k = fused.shape[:3]
        volume = replace(self.reference, voxels=fused, space=self.fused_space((i, j, k)))
        turned = volume.turned(undo(self.orientation))
        return turned.voxels, turned.space


def open_pair(paths: tuple[StrPath, StrPath], options: MedicalOptions) -> MedicalPair:
    """Read both sources, check that they cover the same place, decide how to cut and show them.

    Raises ``DrfuseError`` for what cannot be read, where the two do not match, and for a slice
    that is not there.
    """
    first, second = read_volume(paths[0]), read_volume(paths[1])
    separate = options.slices is not None and options.slices[0] != options.slices[1]
    if separate:
        assert options.slices is not None
        first = _alone(first, options, options.slices[0])
        second = _alone(second, options, options.slices[1])
    warnings = [*first.warnings, *second.warnings, *_confused(first, second)]
    for number, volume in enumerate((first, second), 1):
        warnings += doubts(volume, number)
    colours = (None, choose_colours(second, options.colours))
    renderings = [
        render(volume, asked, colour)
        for volume, asked, colour in zip((first, second), options.windows, colours, strict=True)
    ]
    grid = match(first, second, options.ignore_geometry)
    axis = _axis(grid.volumes[grid.reference], options)
    orientation = upright(grid.volumes[grid.reference], axis)
    turned = _cut(grid, orientation)
    if options.slices is not None and not separate:
        turned = _pick(turned, options.slices[0])
    return MedicalPair(
        turned,
        (renderings[0], renderings[1]),
        axis,
        orientation,
        (*warnings, *grid.warnings),
    )


def read_volume(path: StrPath) -> Volume:
    """A medical file or folder as a volume; any other image as a volume of one slice."""
    kind = kind_of_input(path)
    if kind == "nifti":
        return read_nifti(path)
    return read_dicom(path) if kind == "dicom" else _of_image(read_image(path))


def _of_image(image: Image) -> Volume:
    voxels = image.pixels.swapaxes(0, 1)[:, :, None]
    space = Space(LPS_TO_RAS.copy(), placed=False)
    return Volume(image.path or "", None, voxels, space, image.sha256)


def _axis(volume: Volume, options: MedicalOptions) -> str:
    return choose_axis(volume) if options.axis == "auto" else options.axis


def _alone(volume: Volume, options: MedicalOptions, number: int) -> Volume:
    """One slice of a volume, along the axis asked for."""
    orientation = upright(volume, _axis(volume, options))
    cut = volume.turned(orientation)
    _check_slice(volume.path, number, cut.shape[2])
    return cut.only(number - 1)


def _cut(grid: Grid, orientation: Array) -> Grid:
    """Both volumes turned so that their last axis is the one to cut along."""
    first, second = (volume.turned(orientation) for volume in grid.volumes)
    order = np.argsort(np.asarray(orientation)[:, 0].astype(int))
    coarser = [(t[order[0]], t[order[1]], t[order[2]]) for t in grid.coarser]
    turned = replace(grid, volumes=(first, second), coarser=(coarser[0], coarser[1]))
    columns, rows = (max(times[i] for times in coarser) for i in (0, 1))
    if columns != rows:
        raise DrfuseError(
            f"is {columns} times coarser along one axis of a slice and {rows} along the other",
            hint="Resample it, or cut along another --axis.",
            path=turned.volumes[1 - turned.reference].path,
        )
    return turned


def _pick(grid: Grid, number: int) -> Grid:
    """One slice of both, counted in the finer one."""
    reference = grid.volumes[grid.reference]
    _check_slice(reference.path, number, reference.shape[2])
    volumes = [
        volume.only((number - 1) // times[2])
        for volume, times in zip(grid.volumes, grid.coarser, strict=True)
    ]
    flat = [(times[0], times[1], 1) for times in grid.coarser]
    return replace(grid, volumes=(volumes[0], volumes[1]), coarser=(flat[0], flat[1]))


def _check_slice(path: str, number: int, count: int) -> None:
    if number > count:
        raise DrfuseError(f"has no slice {number}", hint=f"Its slices are 1 to {count}.", path=path)


def _confused(first: Volume, second: Volume) -> list[str]:
    found = []
    if first.sha256 is not None and first.sha256 == second.sha256:
        found.append("both sources are the same file")
    if modality(first) in ("PT", "NM") and modality(second) in ("MR", "CT"):
        found.append("source 1 is functional and source 2 structural: are the roles swapped?")
    return found
