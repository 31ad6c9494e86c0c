"""What DICOM says about an image beside its pixels, for one frame of a file at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from drfuse_cli.errors import DrfuseError
from drfuse_cli.medical.files import check_plane, damaged
from drfuse_cli.medical.stack import Plane
from drfuse_cli.medical.volume import Array
from drfuse_cli.medical.window import Shape, Window

_SHAPES: dict[str, Shape] = {"LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"}


@dataclass(frozen=True, eq=False)
class Header:
    """One DICOM file without its pixels; ``odd`` where those can only be had with all the rest."""

    path: str
    data: Dataset
    odd: bool

    @property
    def frames(self) -> int:
        count = _numbers(self.data, "NumberOfFrames")
        return int(count[0]) if count else 1

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.data.Rows), int(self.data.Columns)

    @property
    def colour(self) -> bool:
        return self.photometric == "PALETTE COLOR" or self.samples > 1

    @property
    def samples(self) -> int:
        return int(self.data.get("SamplesPerPixel") or 1)

    @property
    def photometric(self) -> str:
        return str(self.data.get("PhotometricInterpretation", "MONOCHROME2")).strip().upper()

    @property
    def series(self) -> str:
        """A name for the series, the same for all its files."""
        return str(self.data.get("SeriesInstanceUID") or "")

    @property
    def number(self) -> float:
        """Which image of its series this is; 0 where it does not say."""
        numbers = _numbers(self.data, "InstanceNumber", 1)
        return numbers[0] if numbers else 0.0

    @property
    def modality(self) -> str | None:
        return str(self.data.get("Modality") or "").strip().upper() or None

    @property
    def annotated(self) -> bool:
        return str(self.data.get("BurnedInAnnotation") or "").strip().upper() == "YES"

    @property
    def bytes(self) -> bool:
        """Whether the values are unsigned 8-bit numbers, as they stand in the file."""
        unsigned = int(self.data.get("PixelRepresentation") or 0) == 0
        small = int(self.data.get("BitsAllocated") or 16) <= 8
        plain = all(self.rescale(i) is None for i in range(self.frames))
        return small and unsigned and plain and not self.data.get("ModalityLUTSequence")

    def plane(self, frame: int) -> Plane:
        measures = self._part(frame, "PixelMeasuresSequence")
        oriented = self._part(frame, "PlaneOrientationSequence")
        placed = self._part(frame, "PlanePositionSequence")
        along = _unit_vectors(_numbers(oriented, "ImageOrientationPatient", 6))
        spacing = _numbers(measures, "PixelSpacing", 2)
        between = _numbers(measures, "SpacingBetweenSlices", 1)
        thickness = between or _numbers(measures, "SliceThickness", 1)
        position = _numbers(placed, "ImagePositionPatient", 3)
        detectors = self.data.get("DetectorInformationSequence")
        if detectors and position is None:  # nuclear medicine tells where its first slice lies
            along = along or _unit_vectors(_numbers(detectors[0], "ImageOrientationPatient", 6))
            position = _numbers(detectors[0], "ImagePositionPatient", 3)
            if position and along and self.frames > 1:
                step = np.cross(*along) * (between[0] if between else math.nan)
                position = (np.array(position) + frame * step).tolist()
                position = position if np.isfinite(position).all() else None
        positive = spacing is not None and min(spacing) > 0
        return Plane(
            position=None if position is None else np.array(position),
            along_row=along[0] if along else None,
            along_column=along[1] if along else None,
            spacing=(spacing[0], spacing[1]) if spacing and positive else None,
            thickness=abs(thickness[0]) or None if thickness else None,
        )

    def rescale(self, frame: int) -> tuple[float, float] | None:
        """Slope and intercept; None where there are none, or none that make sense."""
        part = self._part(frame, "PixelValueTransformationSequence")
        slope = _numbers(part, "RescaleSlope", 1)
        intercept = _numbers(part, "RescaleIntercept", 1)
        if slope is None or slope[0] == 0:
            return None
        found = slope[0], intercept[0] if intercept else 0.0
        return None if found == (1.0, 0.0) else found

    def window(self, frame: int) -> Window | None:
        """The first window; None where there is none that makes sense."""
        part = self._part(frame, "FrameVOILUTSequence")
        centre, width = _numbers(part, "WindowCenter"), _numbers(part, "WindowWidth")
        if not (centre and width) or width[0] <= 0:
            return None
        function = str(part.get("VOILUTFunction") or "LINEAR").strip().upper()
        return Window(centre[0], width[0], _SHAPES.get(function, "LINEAR"))

    def _part(self, frame: int, group: str) -> Dataset:
        """The functional group of a frame, its own or that of all; else the file as a whole."""
        for name, index in (
            ("PerFrameFunctionalGroupsSequence", frame),
            ("SharedFunctionalGroupsSequence", 0),
        ):
            items = self.data.get(name) or []
            found = items[index].get(group) if index < len(items) else None
            if found:
                return found[0]
        return self.data


def read_header(path: str) -> Header:
    """Everything before the pixels.

    Raises ``DrfuseError`` for what is no DICOM file, holds no image, or too large a one.
    """
    old = False
    try:
        try:
            data = dcmread(path, stop_before_pixels=True)
        except InvalidDicomError:  # old files begin at once
            data, old = dcmread(path, stop_before_pixels=True, force=True), True
        rows, columns = int(data.get("Rows") or 0), int(data.get("Columns") or 0)
        told = complete_meta(data)
    except Exception as error:  # the library raises anything on damaged files
        raise damaged(path, "DICOM", "it cannot be parsed") from error
    if rows < 1 or columns < 1:
        raise damaged(path, "DICOM", "nothing in it is an image") if old else NoImage(path)
    check_plane(rows, columns, path)
    deflated = data.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    return Header(path, data, old or deflated or not told)


class NoImage(DrfuseError):
    """A DICOM file of another kind: a report, a plan, an index."""

    def __init__(self, path: str) -> None:
        super().__init__(
            "is a DICOM file without an image",
            hint="It may be a report, a plan or an index: give the file that holds the slice.",
            path=path,
        )


def complete_meta(data: Dataset) -> bool:
    """Give a file without transfer syntax the default one; whether it had one."""
    if not hasattr(data, "file_meta"):
        data.file_meta = FileMetaDataset()
    if data.file_meta.get("TransferSyntaxUID"):
        return True
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return False


def _numbers(data: Dataset, name: str, count: int | None = None) -> list[float] | None:
    """The finite numbers of an element, exactly ``count`` where that is given."""
    try:
        value = data.get(name)
        if value is None or value == "":
            return None
        many = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
        numbers = [float(one) for one in many]
    except Exception:  # text where a number should be
        return None
    if not numbers or not all(map(math.isfinite, numbers)):
        return None
    return numbers if count in (None, len(numbers)) else None


def _unit_vectors(six: list[float] | None) -> tuple[Array, Array] | None:
    if six is None:
        return None
    one, two = np.array(six[:3]), np.array(six[3:])
    lengths = np.linalg.norm(one), np.linalg.norm(two)
    if min(lengths) < 1e-6 or abs(one @ two) > 0.01 * lengths[0] * lengths[1]:
        return None
    return one / lengths[0], two / lengths[1]
