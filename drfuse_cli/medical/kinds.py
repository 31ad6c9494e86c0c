"""Which paths are medical: by name, or by how a file starts; light, so that anyone may ask."""

from __future__ import annotations

import os
from typing import Literal

Kind = Literal["dicom", "nifti"]

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
NIFTI_SUFFIXES = (".nii.gz", ".nii")

_PREAMBLE = 128


def kind_of_name(path: str | os.PathLike[str]) -> Kind | None:
    """What the suffix says; None for anything that is no medical format."""
    name = os.path.basename(os.fspath(path)).lower()
    if name.endswith(NIFTI_SUFFIXES):
        return "nifti"
    return "dicom" if name.endswith(DICOM_SUFFIXES) else None


def kind_of_input(path: str | os.PathLike[str]) -> Kind | None:
    """As `kind_of_name`; DICOM files often have no suffix, and a folder may hold a series."""
    if os.path.isdir(path):
        return "dicom"
    return kind_of_name(path) or ("dicom" if starts_like_dicom(path) else None)


def starts_like_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a regular file has the mark of DICOM after its preamble."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as stream:
            return stream.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"
    except OSError:
        return False
