"""NIfTI files, ``.nii`` and ``.nii.gz``: to a `Volume`, and back with its geometry."""

from __future__ import annotations

import gzip
import math
import os
import tempfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import nibabel
import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import StrPath, write_bytes
from drfuse_cli.medical.files import check_plane, damaged, digest
from drfuse_cli.medical.spool import reserve
from drfuse_cli.medical.volume import Array, Space, Volume
from drfuse_cli.medical.window import Window

_PIECE = 1 << 20
_MOST_GZIP_SAVES = 1100
_MILLIMETRES = {"mm": 1.0, "meter": 1000.0, "micron": 0.001}
_LONGEST_AXIS = 32767
_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
_RGBA = np.dtype([*_RGB.descr, ("A", "u1")])


# ---- reading --------------------------------------------------------------------------------


def read_nifti(path: StrPath) -> Volume:
    """The volume in a NIfTI file of either byte order, grey or RGB; mapped, not loaded.

    Raises ``DrfuseError`` for what is missing, damaged, truncated, no NIfTI, complex, or has
    more than three dimensions.
    """
    name = os.fspath(path)
    sha256 = digest(name)
    try:
        image: Any = nibabel.load(name)
        if not isinstance(image, nibabel.Nifti1Image):
            raise ValueError("of another format")
        proxy: Any = image.dataobj
        slope, intercept = float(proxy.slope), float(proxy.inter)
        space, window = _space(image), _display_range(image.header)
    except Exception as error:  # the library raises anything on damaged headers
        raise damaged(name, "NIfTI", "its header makes no sense") from error
    shape = _three_dimensions(tuple(map(int, proxy.shape)), name)
    _check_dtype(proxy.dtype, name)
    _, rows, columns = sorted(shape)
    check_plane(rows, columns, name)
    return Volume(
        path=name,
        kind="nifti",
        voxels=_voxels(name, shape, proxy.dtype, int(proxy.offset)),
        space=space,
        sha256=sha256,
        slope=slope,
        intercept=intercept,
        window=window,
    )


def _space(image: Any) -> Space:
    header = image.header
    to_mm = np.eye(4)
    to_mm[:3, :3] *= _MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
    codes = int(header["qform_code"]), int(header["sform_code"])
    forms = (to_mm @ header.get_qform(), codes[0]), (to_mm @ header.get_sform(), codes[1])
    affine = to_mm @ image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise ValueError("an affine without inverse")
    return Space(affine, any(codes), forms)


def _display_range(header: Any) -> Window | None:
    low, high = float(header["cal_min"]), float(header["cal_max"])
    usable = math.isfinite(low) and math.isfinite(high) and high > low
    return Window.between(low, high) if usable else None


def _three_dimensions(shape: tuple[int, ...], name: str) -> tuple[int, int, int]:
    real = shape
    while len(real) > 3 and real[-1] == 1:
        real = real[:-1]
    if len(real) > 3:
        raise DrfuseError(
            f"has {len(real)} dimensions ({' x '.join(map(str, real))}), not the three of a volume",
            hint="Take one volume out of it, in Python: nibabel.load(file).slicer[..., 0]",
            path=name,
        )
    i, j, k = (*real, 1, 1, 1)[:3]
    if min(i, j, k) < 1:
        raise damaged(name, "NIfTI", "it has no voxels")
    return i, j, k


def _check_dtype(dtype: np.dtype[Any], name: str) -> None:
    if dtype not in (_RGB, _RGBA) and dtype.kind not in "uif":
        raise DrfuseError(
            f"holds {dtype.name} voxels", hint="Save magnitudes as numbers or RGB.", path=name
        )


def _voxels(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> Array:
    if dtype.names is None:
        return _map(name, shape, dtype, offset)
    channels = _map(name, (len(dtype.names), *shape), np.dtype(np.uint8), offset)
    return np.moveaxis(channels, 0, -1)[..., :3]


def _map(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> Array:
    """The voxels as they lie in the file, or in an unnamed copy of it without compression."""
    size = offset + math.prod(shape) * dtype.itemsize
    with open(name, "rb") as stream:
        if stream.read(2) == b"\x1f\x8b":
            with tempfile.TemporaryFile() as target:
                _unpack(name, size, target)
                return np.memmap(target, dtype, "r", offset, shape, "F")
    if os.path.getsize(name) < size:
        raise _too_short(name)
    return np.memmap(name, dtype, "r", offset, shape, "F")


def _unpack(name: str, size: int, target: IO[bytes]) -> None:
    """Write the first ``size`` bytes of what a file was compressed from, all of it checked."""
    if size > _MOST_GZIP_SAVES * os.path.getsize(name):
        raise _too_short(name)
    reserve(target, size)
    target.seek(0)
    try:
        with gzip.open(name, "rb") as stream:
            left = size
            while piece := stream.read(_PIECE):
                target.write(piece[:left])
                left -= min(left, len(piece))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _too_short(name) from error
    if left:
        raise _too_short(name)
    target.flush()


def _too_short(name: str) -> DrfuseError:
    return damaged(name, "NIfTI", "it holds fewer voxels than its header says, or other ones")


# ---- writing --------------------------------------------------------------------------------


def write_nifti(path: StrPath, voxels: Array, space: Space) -> None:
    """Write i x j x k grey voxels, or i x j x k x 3 uint8 as RGB; whole or not at all.

    The geometry is that of ``space``; no text of any other file is written. The same voxels
    give the same bytes. Raises ``DrfuseError`` where the file cannot be written.
    """
    pieces = _file(voxels, space)
    packed = os.fspath(path).lower().endswith(".gz")
    write_bytes(path, _compress(pieces) if packed else pieces)


def _file(voxels: Array, space: Space) -> Iterator[bytes]:
    long = max(voxels.shape) > _LONGEST_AXIS
    kind: Any = nibabel.Nifti2Header if long else nibabel.Nifti1Header
    header = kind()
    header.set_data_shape(voxels.shape[:3])
    header.set_data_dtype(_RGB if voxels.ndim == 4 else voxels.dtype)
    (qform, qcode), (sform, scode) = space.forms or _both_forms(space)
    header.set_qform(qform, qcode)
    header.set_sform(sform, scode)
    header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    if voxels.dtype == np.uint16:
        header["cal_max"] = 65535
    header["vox_offset"] = len(header.binaryblock) + 4
    yield header.binaryblock + bytes(4)
    for k in range(voxels.shape[2]):
        yield np.ascontiguousarray(voxels[:, :, k].swapaxes(0, 1)).tobytes()


def _both_forms(space: Space) -> tuple[tuple[Array, int], tuple[Array, int]]:
    code = int(space.placed)
    return (space.affine, code), (space.affine, code)


def _compress(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """gzip without a name or a time."""
    packer = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()
