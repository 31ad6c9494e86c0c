"""The pixels of DICOM files: decoded by pydicom, made values or RGB."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.medical.dicom_header import Header, complete_meta
from drfuse_cli.medical.files import damaged
from drfuse_cli.medical.volume import Array

_SMALLEST_FRAME = 8
_CONVERT = "onvert the file first: gdcmconv --raw FILE NEW."


def values(header: Header) -> Iterator[Array]:
    """Every frame: rows x columns values, or rows x columns x 3 of uint8 or uint16.

    Raises ``DrfuseError`` where they are damaged.
    """
    frames = _decoded(header)
    for number in range(header.frames):
        try:
            pixels = next(frames)
            yield _meaning(header, number, pixels)
        except DrfuseError:
            raise
        except Exception as error:  # decoders raise anything on damaged input
            raise damaged(header.path, "DICOM", "its pixels cannot be decoded") from error


def _decoded(header: Header) -> Iterator[Array]:
    if not header.odd:
        return iter_pixels(header.path)
    data = dcmread(header.path, force=True)
    complete_meta(data)
    return iter_pixels(data)


def _meaning(header: Header, frame: int, pixels: Array) -> Array:
    if header.photometric == "PALETTE COLOR":
        return apply_color_lut(pixels, header.data)[..., :3]
    if header.samples > 1:
        if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[-1] != 3:
            raise ValueError("colour of an unusual kind")
        return pixels
    if header.data.get("ModalityLUTSequence"):
        return apply_modality_lut(pixels, header.data)
    scaling = header.rescale(frame)
    return pixels if scaling is None else pixels.astype(np.float64) * scaling[0] + scaling[1]


def check_pixels(header: Header) -> None:
    """Raise ``DrfuseError`` where no decoder is at hand, or the file is too short for its frames.

    Afterwards it is safe to count frames, and to take space for them.
    """
    _check_decoder(header)
    _check_length(header)


def _check_decoder(header: Header) -> None:
    syntax = UID(header.data.file_meta.TransferSyntaxUID)
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise DrfuseError(
            f"is encoded as {syntax.name}, which is not read",
            hint=f"C{_CONVERT}",
            path=header.path,
        ) from None
    if not available:
        raise DrfuseError(
            f"is compressed as {syntax.name}, for which no decoder is installed",
            hint=f"Install one: pip install python-gdcm. Or c{_CONVERT}",
            path=header.path,
            code=ExitCode.ENVIRONMENT,
        )


def _check_length(header: Header) -> None:
    syntax = UID(header.data.file_meta.TransferSyntaxUID)
    if syntax == DeflatedExplicitVRLittleEndian:
        return
    rows, columns = header.size
    frame = rows * columns * header.samples * int(header.data.get("BitsAllocated") or 8) // 8
    needed = header.frames * (_SMALLEST_FRAME if syntax.is_encapsulated else frame)
    if header.photometric == "YBR_FULL_422":
        needed = needed * 2 // 3
    if header.frames < 1 or os.path.getsize(header.path) < needed:
        raise damaged(header.path, "DICOM", "it is shorter than its header says")
