"""DICOM files as scanners and archives leave them, to values, geometry and pictures."""

from __future__ import annotations

import io
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydicom", reason='needs pip install "drfuse[medical]"')
pytest.importorskip("nibabel", reason='needs pip install "drfuse[medical]"')

import numpy as np
import PIL.Image
from medical_support import (
    SECRET,
    SECRETS,
    dicom,
    head,
    heads,
    mr,
    pt,
    reread,
    save_dicom,
    save_series,
)
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG2MPML,
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.medical.dicom import read_dicom
from drfuse_cli.medical.extra import require_medical
from drfuse_cli.medical.rendering import modality, render
from drfuse_cli.medical.volume import Volume, choose_axis
from drfuse_cli.medical.window import Window


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    require_medical()
    monkeypatch.chdir(tmp_path)


def read(data: Dataset) -> Volume:
    return read_dicom(save_dicom("x.dcm", data))


def shown(data: Dataset, **how: Any) -> np.ndarray:
    """The pixels of the picture that a file becomes."""
    volume = read(data)
    return render(volume, how.get("window"), how.get("colours")).image(volume, 0).pixels


def plane(volume: Volume, k: int = 0) -> np.ndarray:
    """The values of slice ``k``, rows x columns."""
    return np.asarray(volume.voxels[:, :, k].T)


def refused(path: str) -> DrfuseError:
    with pytest.raises(DrfuseError) as caught:
        read_dicom(path)
    assert caught.value.path == path
    assert caught.value.hint
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


# ---- values ---------------------------------------------------------------------------------


def test_values_are_rescaled() -> None:
    signed = np.array([[-5, 0], [7, 1000]], np.int16)
    volume = read(dicom(signed, "CT", RescaleSlope=2, RescaleIntercept=-1024))
    assert (plane(volume) == 2.0 * signed - 1024).all()
    assert volume.modality == "CT"


@pytest.mark.parametrize("slope", [0, None])
def test_a_slope_that_makes_no_sense_is_left_out(slope: int | None) -> None:
    data = dicom(mr(), RescaleIntercept=3)
    if slope is not None:
        data.RescaleSlope = slope
    assert (plane(read(data)) == mr()).all()


def test_twelve_bits_in_sixteen_without_what_lies_above() -> None:
    overlay = np.zeros((4, 4), np.uint16)
    overlay[1] = 0xF000
    pixels = np.arange(16, dtype=np.uint16).reshape(4, 4) * 256
    data = dicom(pixels | overlay, BitsStored=12, HighBit=11)
    assert (plane(read(data)) == pixels).all()
    signed = dicom((pixels & 0xFFF), BitsStored=12, HighBit=11, PixelRepresentation=1)
    assert read(signed).voxels.min() == -2048


def test_a_modality_table() -> None:
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4, 0, 16], "US"
    table.LUTData = [10, 20, 40, 80]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    data = dicom(np.array([[0, 1], [2, 9]], np.uint16))
    data.ModalityLUTSequence = Sequence([table])
    assert plane(read(data)).tolist() == [[10, 20], [40, 80]]


def test_floating_point_pixels() -> None:
    data = dicom(mr())
    del data.PixelData
    data.FloatPixelData, data.BitsAllocated = head()[0].astype(np.float32).tobytes(), 32
    del data.BitsStored, data.HighBit, data.PixelRepresentation
    assert plane(read(data)) == pytest.approx(head()[0])


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("centre", "width"), [(2000, 3000), (100, 50), (300, 1.5)])
def test_windows_are_those_of_pydicom(function: str, centre: float, width: float) -> None:
    data = dicom(mr(), BitsStored=12, HighBit=11, VOILUTFunction=function)
    data.WindowCenter, data.WindowWidth = centre, width
    expected = apply_windowing(mr(), data) / 4095
    assert shown(data) / 65535 == pytest.approx(expected, abs=1e-4)


def test_the_first_of_several_windows_counts_and_a_flag_counts_more() -> None:
    data = dicom(mr(), WindowCenter=[1000, 5], WindowWidth=[2000, 5])
    assert read(data).window == Window(1000, 2000, "LINEAR")
    assert (shown(data, window=(10, 4)) == shown(dicom(mr()), window=(10, 4))).all()
    low, high = shown(data, window=(2000.0, 4000.0))[[0, 32], [0, 32]]
    assert low == round(int(mr()[0, 0]) / 4000 * 65535)
    assert high == pytest.approx(mr()[32, 32] / 4000 * 65535, abs=1)


@pytest.mark.parametrize("bad", [{"WindowCenter": 5}, {"WindowCenter": 5, "WindowWidth": 0}, {}])
def test_without_a_usable_window_the_values_decide(bad: dict[str, float]) -> None:
    volume = read(dicom(mr(), **bad))
    rendering = render(volume, None, None)
    assert rendering.origin == "values"
    pixels = rendering.image(volume, 0).pixels
    assert pixels.dtype == np.uint16
    assert pixels.min() == 0
    assert pixels.max() == 65535
    assert np.corrcoef(pixels.ravel(), mr().ravel())[0, 1] > 0.999


def test_ct_without_a_window_is_seen_as_soft_tissue() -> None:
    hounsfield = (head()[0] * 1000 - 1000).astype(np.int16)
    volume = read(dicom(hounsfield, "CT"))
    assert render(volume, None, None).window == Window(40, 400)
    assert render(read(dicom(hounsfield, "MR")), None, None).window != Window(40, 400)


def test_monochrome1_is_inverted() -> None:
    window = {"WindowCenter": 2000, "WindowWidth": 4000}
    plain = shown(dicom(mr(), **window))
    inverted = shown(dicom(mr(), PhotometricInterpretation="MONOCHROME1", **window))
    assert (inverted == 65535 - plain).all()


def test_bytes_stay_bytes() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert (shown(dicom(grey)) == grey).all()
    assert shown(dicom(grey)).dtype == np.uint8
    assert shown(dicom(grey, RescaleSlope=3, RescaleIntercept=0)).dtype == np.uint16


# ---- colour ---------------------------------------------------------------------------------


def rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


def test_rgb_in_either_layout() -> None:
    assert (shown(dicom(rgb())) == rgb()).all()
    planar = dicom(rgb(), PlanarConfiguration=1)
    planar.PixelData = rgb().transpose(2, 0, 1).tobytes()
    assert (shown(planar) == rgb()).all()


def test_ybr_becomes_rgb() -> None:
    ybr = np.array(PIL.Image.fromarray(rgb()).convert("YCbCr"))
    found = shown(dicom(ybr, PhotometricInterpretation="YBR_FULL")).astype(int)
    assert np.abs(found - rgb()).max() <= 3


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette(bits: int) -> None:
    data = dicom(np.array([[0, 1], [2, 1]], np.uint8), PhotometricInterpretation="PALETTE COLOR")
    top = 2**bits - 1
    for number, name in enumerate(("Red", "Green", "Blue")):
        entries = np.roll([top, 0, 0, 0], number).astype(f"<u{bits // 8}")
        setattr(data, f"{name}PaletteColorLookupTableDescriptor", [4, 0, bits])
        data[f"{name}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(data, f"{name}PaletteColorLookupTableData", entries.tobytes())
    found = shown(data)
    assert found.dtype == f"uint{bits}"
    assert found[0, 0].tolist() == [top, 0, 0]
    assert found[1, 0].tolist() == [0, 0, top]


# ---- transfer syntaxes ----------------------------------------------------------------------


def as_jpeg(pixels: np.ndarray, kind: str, **how: Any) -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, kind, **how)
    return stream.getvalue()


def encapsulated(data: Dataset, syntax: str, *frames: bytes) -> Dataset:
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate(list(frames))
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    return data


def test_rle() -> None:
    data = dicom(mr())
    data.compress(RLELossless)
    assert (plane(read(data)) == mr()).all()


def test_jpeg_2000() -> None:
    stream = as_jpeg(mr(), "JPEG2000", irreversible=False, no_jp2=True)
    data = encapsulated(dicom(mr()), JPEG2000Lossless, stream)
    assert (plane(read(data)) == mr()).all()


def test_jpeg() -> None:
    grey = np.rint(head()[0] * 255).astype(np.uint8)
    data = encapsulated(dicom(grey), JPEGBaseline8Bit, as_jpeg(grey, "JPEG", quality=95))
    assert np.abs(plane(read(data)).astype(int) - grey).mean() < 3


def test_jpeg_in_colour() -> None:
    smooth = np.stack([np.rint(head()[i % 2] * 255) for i in range(3)], -1).astype(np.uint8)
    data = dicom(smooth, PhotometricInterpretation="YBR_FULL_422")
    stream = as_jpeg(smooth, "JPEG", quality=95, subsampling="4:2:2")
    found = shown(encapsulated(data, JPEGBaseline8Bit, stream))
    assert np.abs(found.astype(int) - smooth).mean() < 6


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, ImplicitVRLittleEndian])
def test_other_orders_of_bytes(syntax: str) -> None:
    data = dicom(mr())
    data.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        data.PixelData = mr().astype(">u2").tobytes()
    dcmwrite("x.dcm", data, implicit_vr=syntax == ImplicitVRLittleEndian,
             little_endian=syntax != ExplicitVRBigEndian, enforce_file_format=True)  # fmt: skip
    assert (plane(read_dicom("x.dcm")) == mr()).all()


def test_deflated() -> None:
    data = dicom(mr())
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert (plane(read(data)) == mr()).all()


def test_a_file_without_preamble() -> None:
    data = dicom(mr())
    del data.file_meta
    dcmwrite("x.dcm", data, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert Path("x.dcm").read_bytes()[128:132] != b"DICM"
    assert (plane(read_dicom("x.dcm")) == mr()).all()


def test_a_missing_decoder_is_named() -> None:
    data = encapsulated(dicom(mr()), JPEGLosslessSV1, b"\xff\xd8\xff\xd9")
    problem = refused(save_dicom("x.dcm", data))
    assert problem.code == ExitCode.ENVIRONMENT
    assert "JPEG Lossless" in problem.message
    assert "pip install python-gdcm" in str(problem.hint)


def test_video_is_refused() -> None:
    data = encapsulated(dicom(mr()), MPEG2MPML, b"\0\0\1\xb3")
    problem = refused(save_dicom("x.dcm", data))
    assert "MPEG2" in problem.message
    assert "Convert" in str(problem.hint)


# ---- damage ---------------------------------------------------------------------------------


def test_damaged_files() -> None:
    whole = Path(save_dicom("whole.dcm", dicom(mr()))).read_bytes()
    bad = {
        "empty.dcm": b"",
        "text.dcm": b"hello, " * 100,
        "png.dcm": b"\x89PNG\r\n\x1a\n" + bytes(300),
        "header.dcm": whole[:300],
        "pixels.dcm": whole[:-1000],
        "few.dcm": whole[: len(whole) - mr().nbytes],
    }
    for name, data in bad.items():
        Path(name).write_bytes(data)
        refused(name)
    assert "no such file" in refused("missing.dcm").message


def test_every_truncation_is_an_error_and_not_a_crash() -> None:
    whole = Path(save_dicom("whole.dcm", dicom(mr()[:6, :6].copy()))).read_bytes()
    for length in range(0, len(whole), 7):
        Path("cut.dcm").write_bytes(whole[:length])
        refused("cut.dcm")


def test_flipped_bits_never_crash() -> None:
    whole = Path(save_dicom("whole.dcm", dicom(mr()[:6, :6].copy()))).read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(whole), 150):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        Path("x.dcm").write_bytes(damaged)
        with suppress(DrfuseError):
            read_dicom("x.dcm")


def test_no_image() -> None:
    report = dicom(mr(), SOPClassUID=BasicTextSRStorage, Rows=None, Columns=None, PixelData=None)
    assert "without an image" in refused(save_dicom("sr.dcm", report)).message
    header = dicom(mr(), PixelData=None)
    refused(save_dicom("x.dcm", header))


def test_huge_sizes_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(save_dicom("x.dcm", dicom(mr(), NumberOfFrames=10**9)))
    refused(save_dicom("x.dcm", dicom(mr(), NumberOfFrames=-1)))
    monkeypatch.setenv("DRFUSE_MAX_PIXELS", "1000")
    assert "larger than the limit of 1,000" in refused("x.dcm").message


# ---- geometry -------------------------------------------------------------------------------


def test_where_a_slice_lies() -> None:
    data = dicom(mr()[:40].copy(), PixelSpacing=[0.5, 2], SliceThickness=7)
    data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]  # columns to the back, rows down
    data.ImagePositionPatient = [10, 20, 30]
    volume = read(data)
    assert volume.shape == (64, 40, 1)
    assert volume.space.spacing == pytest.approx((2, 0.5, 7))
    place = volume.space.affine @ [3, 4, 0, 1]
    assert place == pytest.approx([-10, -(20 + 3 * 2), 30 - 4 * 0.5, 1])
    assert choose_axis(volume) == "sagittal"


def test_a_slice_that_does_not_say_where_it_lies() -> None:
    volume = read(dicom(mr(), ImagePositionPatient=None, PixelSpacing=[0.5, 0.75]))
    assert not volume.space.placed
    assert volume.space.spacing == pytest.approx((0.75, 0.5, 1))
    odd = read(dicom(mr(), ImageOrientationPatient=[1, 0, 0, 1, 0, 0]))
    assert not odd.space.placed


def test_a_series_is_sorted_by_place() -> None:
    volume = np.rint(heads(7)[0] * 900).astype(np.int16)
    found = read_dicom(save_series("mri", volume, "MR"))
    assert (found.voxels == volume.swapaxes(0, 1)).all()
    assert found.space.spacing == pytest.approx((1, 1, 3))
    assert found.space.affine[:, 3] == pytest.approx([32, 32, 0, 1])
    assert found.sha256 == read_dicom("mri").sha256


def test_scaling_of_its_own_in_every_slice() -> None:
    Path("pet").mkdir()
    for k, slope in enumerate((1.0, 0.5, 0.25)):
        data = dicom(np.full((4, 4), 8, np.int16), "PT", RescaleSlope=slope, RescaleIntercept=0)
        data.ImagePositionPatient = [0, 0, 2 * k]
        save_dicom(f"pet/{k}.dcm", data)
    assert read_dicom("pet").voxels[0, 0].tolist() == [8, 4, 2]


def test_windows_that_differ_give_way_to_one_for_all() -> None:
    folder = Path(save_series("mri", np.rint(heads(3)[0] * 900).astype(np.int16), "MR"))
    for number, file in enumerate(sorted(folder.iterdir())):
        data = reread(file)
        data.WindowCenter, data.WindowWidth = 100 + number, 50
        save_dicom(file, data)
    volume = read_dicom("mri")
    assert volume.window is None
    assert "different windows" in volume.warnings[0]


def change(index: int, **elements: Any) -> None:
    file = sorted(Path("mri").iterdir())[index]
    data = reread(file)
    for name, value in elements.items():
        setattr(data, name, value)
    save_dicom(file, data)


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"ImagePositionPatient": [-32, -32, 40]}, "one may be missing"),
        ({"ImagePositionPatient": [-32, -32, 0]}, "at one place"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0.8, 0.6]}, "differ in direction"),
        ({"SeriesInstanceUID": "1.2.3"}, "2 series: MR with"),
        ({"Rows": 32, "PixelData": bytes(64 * 64)}, "differ in size"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "differ in kind"),
        ({"PixelData": b"12"}, "its file 3"),
    ],
)
def test_folders_that_are_no_volume(elements: dict[str, Any], said: str) -> None:
    save_series("mri", np.rint(heads(5)[0] * 900).astype(np.int16), "MR")
    change(2, **elements)
    assert said in refused("mri").message


def test_damage_in_a_folder_is_told_without_names() -> None:
    save_series("mri", np.rint(heads(4)[0] * 900).astype(np.int16), "MR")
    file = sorted(Path("mri").iterdir())[1]
    assert SECRET in file.name
    file.write_bytes(b"no DICOM")
    problem = refused("mri")
    assert "file 2" in problem.message


def test_other_things_in_a_folder() -> None:
    save_series("mri", np.rint(heads(3)[0] * 900).astype(np.int16), "MR")
    Path("mri/notes.txt").write_text("x")
    Path("mri/.hidden.dcm").write_text("x")
    Path("mri/DICOMDIR").write_bytes(bytes(128) + b"DICM")
    report = dicom(mr(), SOPClassUID=BasicTextSRStorage, Rows=None, Columns=None, PixelData=None)
    save_dicom("mri/report.dcm", report)
    for file in list(Path("mri").glob("Doe*")):
        file.rename(Path("mri") / file.name.removesuffix(".dcm").replace(".", ""))
    assert read_dicom("mri").shape == (64, 64, 3)
    shutil.rmtree("mri")
    Path("mri").mkdir()
    assert "without DICOM images" in refused("mri").message


def test_a_folder_of_one_slice() -> None:
    Path("one").mkdir()
    save_dicom("one/x.dcm", dicom(mr()))
    volume = read_dicom("one")
    assert volume.path == "one"
    assert volume.shape == (64, 64, 1)


def enhanced(positions: list[list[float]]) -> Dataset:
    """A multi-frame MR file, whose frames say where they lie and how they are scaled."""
    frames = np.stack([np.full((8, 8), 10 + i, np.uint16) for i in range(len(positions))])
    data = dicom(frames, ImagePositionPatient=None, ImageOrientationPatient=None,
                 PixelSpacing=None, SliceThickness=None)  # fmt: skip
    shared, measures, oriented = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [2, 3], 5
    oriented.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [oriented]
    data.SharedFunctionalGroupsSequence = [shared]
    data.PerFrameFunctionalGroupsSequence = []
    for number, position in enumerate(positions):
        frame, placed, scaled, seen = Dataset(), Dataset(), Dataset(), Dataset()
        placed.ImagePositionPatient = position
        scaled.RescaleSlope, scaled.RescaleIntercept = 1 + number, 0
        seen.WindowCenter, seen.WindowWidth = 50, 100
        frame.PlanePositionSequence, frame.FrameVOILUTSequence = [placed], [seen]
        frame.PixelValueTransformationSequence = [scaled]
        data.PerFrameFunctionalGroupsSequence.append(frame)
    return data


def test_an_enhanced_file() -> None:
    volume = read(enhanced([[0, 0, 8], [0, 0, 4], [0, 0, 0]]))
    assert volume.voxels[0, 0].tolist() == [10, 22, 36]  # frames that go down stay as they are
    assert volume.space.spacing == pytest.approx((3, 2, 4))
    assert volume.space.affine[2, 2] == pytest.approx(-4)
    assert volume.window == Window(50, 100, "LINEAR")
    shuffled = read(enhanced([[0, 0, 4], [0, 0, 0], [0, 0, 8]]))
    assert shuffled.voxels[0, 0].tolist() == [22, 10, 36]


def test_frames_that_are_no_stack() -> None:
    volume = read(enhanced([[0, 0, 4], [0, 0, 4], [0, 0, 8]]))
    assert not volume.space.placed
    assert "one by one" in volume.warnings[0]


def test_nuclear_medicine() -> None:
    frames = np.stack([pt(), pt(1), pt(0)])
    data = dicom(frames, "NM", ImagePositionPatient=None, ImageOrientationPatient=None)
    detector = Dataset()
    detector.ImagePositionPatient, detector.ImageOrientationPatient = [1, 2, 3], [1, 0, 0, 0, 1, 0]
    data.DetectorInformationSequence, data.SpacingBetweenSlices = [detector], -4
    volume = read(data)
    assert modality(volume) == "NM"
    assert (plane(volume, 1) == pt(1)).all()
    assert volume.space.affine[:, 2] == pytest.approx([0, 0, -4, 0])


def test_burned_in_text_is_warned_of() -> None:
    volume = read(dicom(mr(), BurnedInAnnotation="YES"))
    assert volume.annotated
    assert "may name the patient" in volume.warnings[0]


def test_nothing_of_the_patient_is_kept_or_printed(capfd: pytest.CaptureFixture[str]) -> None:
    data = dicom(mr())
    save_dicom("x.dcm", data)
    raw = Path("x.dcm").read_bytes()
    Path("x.dcm").write_bytes(raw.replace(b"19700101", b"Doe?Jane"))
    volume = read_dicom("x.dcm")
    text = repr(volume) + str(vars(volume))
    assert not any(secret in text for secret in SECRETS)
    assert capfd.readouterr() == ("", "")
