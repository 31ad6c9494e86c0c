"""DICOM: a file, or a folder that holds a series, to a `Volume` of columns x rows x slices."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import StrPath
from drfuse_cli.medical.dicom_header import Header, NoImage, read_header
from drfuse_cli.medical.dicom_pixels import check_pixels, values
from drfuse_cli.medical.files import damaged, digest
from drfuse_cli.medical.kinds import kind_of_name, starts_like_dicom
from drfuse_cli.medical.spool import spool
from drfuse_cli.medical.stack import NoStack, stack, unplaced
from drfuse_cli.medical.volume import Array, Space, Volume
from drfuse_cli.medical.window import Window


def read_dicom(path: StrPath) -> Volume:
    """The slices of a file, or of the one series in a folder, decoded and rescaled.

    Nothing about the patient is kept. Raises ``DrfuseError`` for what is missing, damaged,
    holds no image, cannot be decoded here, or is no stack of parallel, evenly spaced slices.
    """
    name = os.fspath(path)
    try:
        return _read_series(name) if os.path.isdir(name) else _read_file(name, name)
    except (DrfuseError, OSError, MemoryError):
        raise
    except Exception as error:  # elements of damaged files hold anything
        raise damaged(name, "DICOM", "its header makes no sense") from error


def _read_file(file: str, name: str) -> Volume:
    sha256, header = digest(file), read_header(file)
    check_pixels(header)
    planes = [header.plane(i) for i in range(header.frames)]
    warnings: list[str] = []
    try:
        order, space = stack(planes, keep_order=True)
    except NoStack as problem:
        order, space = list(range(len(planes))), unplaced(planes[0])
        warnings.append(f"{name}: {problem}; its frames are taken one by one")
    return _volume(name, [header], order, space, sha256, warnings)


def _volume(
    name: str,
    headers: Sequence[Header],
    order: Sequence[int],
    space: Space,
    sha256: str,
    warnings: Sequence[str],
) -> Volume:
    """All frames of all files, in the given order."""
    first = headers[0]
    windows = {header.window(i) for header in headers for i in range(header.frames)}
    return Volume(
        path=name,
        kind="dicom",
        voxels=_voxels(name, headers, order),
        space=space,
        sha256=sha256,
        window=windows.pop() if len(windows) == 1 else None,
        inverted=first.photometric == "MONOCHROME1",
        modality=first.modality,
        annotated=any(header.annotated for header in headers),
        warnings=(*warnings, *_doubts(name, headers, windows)),
    )


def _doubts(name: str, headers: Sequence[Header], windows: set[Window | None]) -> list[str]:
    found = []
    if len(windows) > 1:
        found.append(f"{name}: its slices name different windows; one from the values is taken")
    elif windows <= {None} and any(header.data.get("VOILUTSequence") for header in headers):
        found.append(f"{name}: its VOI look-up table is not applied; see --window")
    if any(header.annotated for header in headers):
        found.append(f"{name}: text is burned into its pixels, which may name the patient")
    return found


def _voxels(name: str, headers: Sequence[Header], order: Sequence[int]) -> Array:
    """Columns x rows x slices, or with 3 colours; float32 where they are not bytes or colours."""
    places = np.argsort(order)
    slices: Array | None = None
    number = 0
    for index, header in enumerate(headers, 1):
        with _told_of(name, header, index):
            for frame in values(header):
                if slices is None:
                    dtype = frame.dtype if header.colour or header.bytes else np.float32
                    slices = spool((len(order), *frame.shape), dtype)
                slices[places[number]] = frame
                number += 1
    assert slices is not None
    return slices.transpose(2, 1, 0, *range(3, slices.ndim))


# ---- a folder -------------------------------------------------------------------------------


def _read_series(folder: str) -> Volume:
    headers = []
    for number, file in enumerate(_files(folder), 1):
        with _part_of(folder, number):
            try:
                headers.append(read_header(file))
            except NoImage:  # a report or an index beside the slices
                continue
    if not headers:
        raise DrfuseError(
            "is a folder without DICOM images",
            hint="Give a file, or the folder that holds the slices of one series.",
            path=folder,
        )
    if len(headers) == 1:
        with _part_of(folder, 1):
            return _read_file(headers[0].path, folder)
    _check_alike(headers, folder)
    for number, header in enumerate(headers, 1):
        with _part_of(folder, number):
            check_pixels(header)
    headers.sort(key=lambda header: header.number)
    try:
        order, space = stack([header.plane(0) for header in headers], keep_order=False)
    except NoStack as problem:
        raise DrfuseError(
            f"is no stack of slices: {problem}",
            hint="Give a folder with all slices of one volume, one image each; "
            "dcm2niix sorts what a scanner exports, and writes NIfTI.",
            path=folder,
        ) from None
    headers = [headers[i] for i in order]
    whole = hashlib.sha256("".join(digest(header.path) for header in headers).encode())
    return _volume(folder, headers, range(len(headers)), space, whole.hexdigest(), ())


def _files(folder: str) -> list[str]:
    """The files of a folder that are DICOM by name or content; DICOMDIR is an index of others."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        raise DrfuseError(
            f"this folder cannot be read: {error.strerror}",
            hint="Check its permissions.",
            path=folder,
        ) from error
    paths = [os.path.join(folder, name) for name in names if name.upper() != "DICOMDIR"]
    return [
        path
        for path in paths
        if os.path.isfile(path) and (kind_of_name(path) == "dicom" or starts_like_dicom(path))
    ]


def _check_alike(headers: Sequence[Header], folder: str) -> None:
    series = Counter((header.series, header.modality or "?") for header in headers)
    if len(series) > 1:
        parts = ", ".join(f"{modality} with {n} images" for (_, modality), n in series.items())
        raise DrfuseError(
            f"holds {len(series)} series: {parts}",
            hint="Put each into a folder of its own, and give one folder per source.",
            path=folder,
        )
    differences: dict[str, Callable[[Header], object]] = {
        "size": lambda header: header.size,
        "kind of pixels": lambda header: (header.photometric, header.bytes),
        "number of frames": lambda header: header.frames == 1 or object(),
    }
    for what, of in differences.items():
        if len({of(header) for header in headers}) > 1:
            raise DrfuseError(
                f"its images differ in {what}",
                hint="Give a folder with the slices of one volume, one image each.",
                path=folder,
            )


# ---- who is told of -------------------------------------------------------------------------


@contextmanager
def _part_of(folder: str, number: int) -> Iterator[None]:
    """Errors speak of the folder as it was typed, since the names in it may be of patients."""
    try:
        yield
    except DrfuseError as problem:
        raise DrfuseError(
            f"its file {number}, in the order of names, {problem.message}"
            if problem.path != folder
            else problem.message,
            hint=problem.hint,
            path=folder,
            code=problem.code,
        ) from None


@contextmanager
def _told_of(name: str, header: Header, number: int) -> Iterator[None]:
    if header.path == name:
        yield
        return
    try:
        yield
    except DrfuseError as problem:
        raise DrfuseError(
            f"its slice {number} {problem.message}",
            hint=problem.hint,
            path=name,
            code=problem.code,
        ) from None
