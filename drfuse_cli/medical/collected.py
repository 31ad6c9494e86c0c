"""Fused slices, collected into a volume and written as one."""

from __future__ import annotations

import numpy as np

from drfuse_cli.imageio import Image, StrPath
from drfuse_cli.medical.kinds import kind_of_name
from drfuse_cli.medical.nifti import write_nifti
from drfuse_cli.medical.pair import MedicalPair
from drfuse_cli.medical.secondary_capture import write_secondary_capture
from drfuse_cli.medical.spool import spool
from drfuse_cli.medical.volume import Array


class Collected:
    """Slices of one size, put in place one by one; large volumes lie on the disk meanwhile.

    Grey stays 8 or 16 bits. Colour becomes 8 bits, which is all that both formats have.
    """

    def __init__(self, slices: int) -> None:
        self._slices = slices
        self._voxels: Array | None = None

    def put(self, k: int, image: Image) -> None:
        pixels = _as_bytes(image) if image.colour else image.pixels
        if self._voxels is None:
            self._voxels = spool((self._slices, *pixels.shape), pixels.dtype)
        self._voxels[k] = pixels

    @property
    def voxels(self) -> Array:
        """Columns x rows x slices, or with three colours."""
        assert self._voxels is not None
        return self._voxels.transpose(2, 1, 0, *range(3, self._voxels.ndim))

    def write(self, path: StrPath, pair: MedicalPair) -> None:
        """Write NIfTI or DICOM, as the suffix says, where ``pair`` lies; whole or not at all.

        Raises ``DrfuseError`` where the file cannot be written.
        """
        voxels = self.voxels
        if kind_of_name(path) == "nifti":
            write_nifti(path, *pair.as_filed(voxels))
            return
        columns, rows, slices = voxels.shape[:3]
        space = pair.fused_space((columns, rows, slices))
        write_secondary_capture(path, voxels, space, pair.annotated)


def _as_bytes(image: Image) -> Array:
    if image.bits == 8:
        return image.pixels
    levels: Array = ((image.pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return levels
