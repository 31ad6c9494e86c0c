"""Fused slices as DICOM secondary capture: pixels and geometry, and nobody's name."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from pydicom.valuerep import DSfloat

from drfuse_cli import __version__
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import StrPath, replacing
from drfuse_cli.medical.stack import LPS_TO_RAS
from drfuse_cli.medical.volume import Array, Space

_NOBODY = "Anonymous"
_LARGEST = 2**32 - 2


def write_secondary_capture(
    path: StrPath, voxels: Array, space: Space, annotated: bool = False
) -> None:
    """Write columns x rows x slices, grey uint8 or uint16 or x 3 uint8; whole or not at all.

    One slice becomes a secondary capture, several a multi-frame one. All identifiers are new,
    and what stands for the patient is ``Anonymous``; ``annotated`` says that the pixels may
    hold text all the same. Raises ``DrfuseError`` for more than 4 GiB of pixels, and where the
    file cannot be written.
    """
    size = voxels.size * voxels.dtype.itemsize
    if size > _LARGEST:
        raise DrfuseError(
            f"DICOM cannot hold {size / 2**30:.1f} GiB of pixels in one file",
            hint="Write NIfTI: -o OUT.nii.gz.",
            path=os.fspath(path),
        )
    with tempfile.TemporaryFile() as pixels, replacing(path) as temporary:
        for k in range(voxels.shape[2]):
            pixels.write(np.ascontiguousarray(voxels[:, :, k].swapaxes(0, 1)).tobytes())
        pixels.write(bytes(size % 2))
        pixels.seek(0)
        dataset = _dataset(voxels, space, annotated)
        dataset.PixelData = pixels
        dataset["PixelData"].VR = "OW"
        dcmwrite(temporary, dataset, enforce_file_format=True)


def _dataset(voxels: Array, space: Space, annotated: bool) -> Dataset:
    several = voxels.shape[2] > 1
    data = Dataset()
    _identify(data, _storage_class(voxels))
    _describe_pixels(data, voxels)
    if several or annotated:
        data.BurnedInAnnotation = "YES" if annotated else "NO"
    geometry = LPS_TO_RAS @ space.affine
    if space.placed:
        data.FrameOfReferenceUID = generate_uid()
        data.PositionReferenceIndicator = ""
    if several:
        _place_frames(data, geometry, space.placed, voxels.shape[2])
    else:
        _place_slice(data, geometry, space.placed)
    return data


def _storage_class(voxels: Array) -> UID:
    if voxels.shape[2] == 1:
        return SecondaryCaptureImageStorage
    if voxels.ndim == 4:
        return MultiFrameTrueColorSecondaryCaptureImageStorage
    if voxels.dtype == np.uint8:
        return MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    return MultiFrameGrayscaleWordSecondaryCaptureImageStorage


def _identify(data: Dataset, storage: UID) -> None:
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID, data.SOPInstanceUID = storage, generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.PatientName = data.PatientID = _NOBODY
    for empty in (
        *("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
        *("AccessionNumber", "ReferringPhysicianName", "PatientOrientation"),
    ):
        setattr(data, empty, "")
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = "A new file: pixels and geometry alone"
    data.Modality, data.SeriesNumber, data.InstanceNumber = "OT", 1, 1
    data.ImageType, data.ConversionType = ["DERIVED", "SECONDARY"], "WSD"
    data.SecondaryCaptureDeviceManufacturer = "drfuse"
    data.SecondaryCaptureDeviceSoftwareVersions = __version__
    data.DerivationDescription = "Two sources, restored and fused"
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _describe_pixels(data: Dataset, voxels: Array) -> None:
    bits = 8 * voxels.dtype.itemsize
    data.Columns, data.Rows = voxels.shape[:2]
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = 0
    if voxels.ndim == 4:
        data.SamplesPerPixel, data.PhotometricInterpretation = 3, "RGB"
        data.PlanarConfiguration = 0
        return
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.PresentationLUTShape = "IDENTITY"
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = 0, 1, "US"
    data.WindowCenter, data.WindowWidth = 2 ** (bits - 1), 2**bits


def _place_slice(data: Dataset, geometry: Array, placed: bool) -> None:
    _set(data, _measures(geometry))
    if placed:
        _set(data, {"ImageOrientationPatient": _directions(geometry)})
        _set(data, {"ImagePositionPatient": geometry[:3, 3]})


def _place_frames(data: Dataset, geometry: Array, placed: bool, frames: int) -> None:
    """Functional groups: what all frames share, and where each of them lies."""
    measures = _measures(geometry)
    measures["SpacingBetweenSlices"] = measures["SliceThickness"]
    shared = Dataset()
    shared.PixelMeasuresSequence = [_set(Dataset(), measures)]
    data.NumberOfFrames = frames
    data.SliceLocationVector = _decimals(np.arange(frames) * measures["SliceThickness"][0])
    data.FrameIncrementPointer = 0x00182005  # SliceLocationVector
    if placed:
        oriented = {"ImageOrientationPatient": _directions(geometry)}
        shared.PlaneOrientationSequence = [_set(Dataset(), oriented)]
        data.PerFrameFunctionalGroupsSequence = [_frame(geometry, k) for k in range(frames)]
    data.SharedFunctionalGroupsSequence = [shared]


def _frame(geometry: Array, k: int) -> Dataset:
    position = geometry[:3, 3] + k * geometry[:3, 2]
    frame = Dataset()
    frame.PlanePositionSequence = [_set(Dataset(), {"ImagePositionPatient": position})]
    return frame


def _measures(geometry: Array) -> dict[str, Any]:
    columns, rows, slices = np.linalg.norm(geometry[:3, :3], axis=0)
    return {"PixelSpacing": [rows, columns], "SliceThickness": [slices]}


def _directions(geometry: Array) -> Array:
    unit = geometry[:3, :3] / np.linalg.norm(geometry[:3, :3], axis=0)
    return np.concatenate([unit[:, 0], unit[:, 1]])


def _set(data: Dataset, numbers: dict[str, Any]) -> Dataset:
    for name, values in numbers.items():
        decimals = _decimals(values)
        setattr(data, name, decimals if len(decimals) > 1 else decimals[0])
    return data


def _decimals(values: Any) -> list[DSfloat]:
    """Decimal strings of at most 16 characters."""
    return [DSfloat(float(value), auto_format=True) for value in values]
