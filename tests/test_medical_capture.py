"""Secondary capture: what is written can be read back, and names nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason='needs pip install "drfuse[medical]"')
pytest.importorskip("nibabel", reason='needs pip install "drfuse[medical]"')

import numpy as np
from medical_support import AFFINE, reread
from pydicom.uid import SecondaryCaptureImageStorage

from drfuse_cli.errors import DrfuseError
from drfuse_cli.medical import secondary_capture
from drfuse_cli.medical.dicom import read_dicom
from drfuse_cli.medical.extra import require_medical
from drfuse_cli.medical.rendering import render
from drfuse_cli.medical.secondary_capture import write_secondary_capture
from drfuse_cli.medical.volume import Space

OBLIQUE = AFFINE @ np.array(
    [[0.6, -0.8, 0, 1 / 3], [0.8 / 1.5, 0.6 / 1.5, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    require_medical()
    monkeypatch.chdir(tmp_path)


def some(dtype: str, slices: int, colour: bool = False) -> np.ndarray:
    shape = (7, 5, slices, 3) if colour else (7, 5, slices)
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize(("dtype", "colour"), [("u1", False), ("u2", False), ("u1", True)])
def test_round_trip(dtype: str, colour: bool, slices: int) -> None:
    voxels = some(dtype, slices, colour)
    write_secondary_capture("x.dcm", voxels, Space(OBLIQUE))
    volume = read_dicom("x.dcm")
    assert (volume.voxels == voxels).all()
    assert volume.space.placed
    told = [0, 1, 3] if slices == 1 else [0, 1, 2, 3]  # one slice has no next one
    assert volume.space.affine[:, told] == pytest.approx(OBLIQUE[:, told], abs=1e-6)
    assert volume.space.spacing == pytest.approx(Space(OBLIQUE).spacing)
    rendering = render(volume, None, None)
    pictures = [rendering.image(volume, k).pixels for k in range(slices)]
    assert (np.stack(pictures, 2) == voxels.swapaxes(0, 1)).all()
    assert (reread("x.dcm").pixel_array.squeeze() == np.moveaxis(
        voxels.swapaxes(0, 1), 2, 0).squeeze()).all()  # fmt: skip


@pytest.mark.parametrize("slices", [1, 3])
def test_without_a_place_the_spacing_stays(slices: int) -> None:
    space = Space(np.diag([-0.5, -0.75, 2, 1]), placed=False)
    write_secondary_capture("x.dcm", some("u2", slices), space)
    found = read_dicom("x.dcm").space
    assert not found.placed
    assert found.spacing == pytest.approx((0.5, 0.75, 2))
    assert "FrameOfReferenceUID" not in reread("x.dcm")


def test_nobody_is_named_and_every_identifier_is_new() -> None:
    for name in ("x.dcm", "y.dcm"):
        write_secondary_capture(name, some("u2", 1), Space(OBLIQUE))
    one, two = reread("x.dcm"), reread("y.dcm")
    assert one.SOPClassUID == SecondaryCaptureImageStorage
    assert str(one.PatientName) == one.PatientID == "Anonymous"
    assert one.PatientIdentityRemoved == "YES"
    assert one.PatientBirthDate == one.StudyDate == ""
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        assert one[name].value != two[name].value
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID


def test_text_in_the_pixels_is_said() -> None:
    write_secondary_capture("x.dcm", some("u1", 1), Space(OBLIQUE), annotated=True)
    assert reread("x.dcm").BurnedInAnnotation == "YES"


def test_an_odd_number_of_bytes_is_padded() -> None:
    write_secondary_capture("x.dcm", some("u1", 1), Space(OBLIQUE))
    assert len(reread("x.dcm").PixelData) == 36


def test_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secondary_capture, "_LARGEST", 10)
    with pytest.raises(DrfuseError, match="cannot hold") as caught:
        write_secondary_capture("x.dcm", some("u1", 1), Space(OBLIQUE))
    assert ".nii.gz" in str(caught.value.hint)
    assert not Path("x.dcm").exists()
