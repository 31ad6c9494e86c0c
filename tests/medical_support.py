"""Heads as scanners write them: DICOM and NIfTI made from rendered scenes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydicom", reason='needs pip install "drfuse[medical]"')
pytest.importorskip("nibabel", reason='needs pip install "drfuse[medical]"')

import nibabel
import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

from drfuse_cli.scenes import render

SECRET = "Doe^Jane"
"""A name that must never leave a file."""
SECRETS = (SECRET, "Doe", "Jane", "19700101", "MRN-4711", "St. Nowhere", "Dr^Who")
SIDE = 64

_STORAGE = {
    "MR": MRImageStorage,
    "CT": CTImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
}


@cache
def head(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Magnetic resonance and activity, SIDE x SIDE (rows, columns), in 0..1."""
    mri, pet = render("mri-pet", SIDE, SIDE, seed)
    return mri.pixels / 255.0, pet.pixels.astype(float).mean(axis=2) / 255


@cache
def heads(slices: int) -> tuple[np.ndarray, np.ndarray]:
    """Both as volumes, rows x columns x slices: the head shrinks towards the ends."""
    pairs = [head(seed) for seed in range(2)]
    mix = np.linspace(0, 1, slices)
    volumes = [
        np.stack([(1 - t) * pairs[0][i] + t * pairs[1][i] for t in mix], axis=-1) for i in (0, 1)
    ]
    return volumes[0], volumes[1]


# ---- DICOM ----------------------------------------------------------------------------------


def dicom(pixels: np.ndarray, modality: str = "MR", **elements: Any) -> Dataset:
    """A slice (rows, columns[, 3]) or frames of any integer type, with a patient; mm apart 1."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = _STORAGE.get(modality, MRImageStorage)
    data.SOPInstanceUID = generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), "1.2.3.4.5"
    data.PatientName, data.PatientBirthDate, data.PatientID = SECRET, "19700101", "MRN-4711"
    data.InstitutionName, data.ReferringPhysicianName = "St. Nowhere", "Dr^Who"
    data.Modality, data.InstanceNumber = modality, 1
    _add_pixels(data, pixels)
    data.PixelSpacing, data.SliceThickness = [1, 1], 1
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.ImagePositionPatient = [-32, -32, 0]
    for name, value in elements.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    return data


def _add_pixels(data: Dataset, pixels: np.ndarray) -> None:
    colour = pixels.shape[-1] == 3
    planes = pixels.shape[:-1] if colour else pixels.shape
    data.Rows, data.Columns = planes[-2:]
    if len(planes) == 3:
        data.NumberOfFrames = planes[0]
    bits = 8 * pixels.dtype.itemsize
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    data.PixelData = pixels.tobytes() + bytes(pixels.nbytes % 2)
    data["PixelData"].VR = "OB" if bits == 8 else "OW"


def save_dicom(path: Path | str, data: Dataset) -> str:
    dcmwrite(path, data, enforce_file_format=True)
    return str(path)


def save_series(folder: Path | str, volume: np.ndarray, modality: str, **elements: Any) -> str:
    """Slices, rows x columns x slices, 3 mm apart along the feet-to-head axis, names shuffled."""
    folder = Path(folder)
    folder.mkdir()
    for k in range(volume.shape[2]):
        data = dicom(np.ascontiguousarray(volume[:, :, k]), modality, **elements)
        data.ImagePositionPatient, data.InstanceNumber = [-32, -32, 3 * k], k + 1
        data.SliceThickness = 3
        save_dicom(folder / f"{SECRET}{(11 * k) % 101:03}.dcm", data)
    return str(folder)


def mr(seed: int = 0) -> np.ndarray:
    """12-bit values of an MR slice."""
    return np.rint(head(seed)[0] * 4000).astype(np.uint16)


def pt(seed: int = 0) -> np.ndarray:
    """16-bit values of a PET slice."""
    return np.rint(head(seed)[1] * 30000).astype(np.uint16)


def save_pair(**elements: Any) -> tuple[str, str]:
    """``mri.dcm`` and ``pet.dcm`` in the current folder."""
    one = save_dicom("mri.dcm", dicom(mr(), "MR", **elements))
    return one, save_dicom("pet.dcm", dicom(pt(), "PT", **elements))


# ---- NIfTI ----------------------------------------------------------------------------------

AFFINE = np.array([[-1.0, 0, 0, 30], [0, 1.5, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1]])


def save_nifti(
    path: Path | str, voxels: np.ndarray, affine: np.ndarray = AFFINE, **header: Any
) -> str:
    image = nibabel.Nifti1Image(voxels, affine)
    image.header["descrip"] = SECRET.encode()
    image.header["aux_file"] = b"MRN-4711"
    comment = nibabel.nifti1.Nifti1Extension("comment", SECRET.encode())
    image.header.extensions.append(comment)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return str(path)


def volume_pair(slices: int = 6) -> tuple[str, str]:
    """``mri.nii.gz`` and ``pet.nii.gz`` in the current folder, with axes to the left, front, up."""
    for name, volume, scale in zip(("mri", "pet"), heads(slices), (900, 5.0), strict=True):
        voxels = np.flip(volume.swapaxes(0, 1), 1)
        values = (voxels * scale).astype(np.int16 if name == "mri" else np.float32)
        save_nifti(f"{name}.nii.gz", values)
    return "mri.nii.gz", "pet.nii.gz"


def patient_in(*paths: Path | str) -> list[str]:
    """Which of the secrets stand in the bytes of files, unpacked."""
    import gzip

    found = []
    for path in paths:
        raw = Path(path).read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        found += [secret for secret in SECRETS if secret.encode() in raw]
    return found


def reread(path: Path | str) -> Dataset:
    return dcmread(path)
