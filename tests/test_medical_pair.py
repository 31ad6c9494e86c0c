"""Two volumes on one grid: orientation, multiples, places, slices, colours."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason='needs pip install "drfuse[medical]"')
pytest.importorskip("nibabel", reason='needs pip install "drfuse[medical]"')

import nibabel
import numpy as np
from medical_support import (
    AFFINE,
    dicom,
    head,
    heads,
    mr,
    pt,
    save_dicom,
    save_nifti,
    save_pair,
    save_series,
    volume_pair,
)

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, write_image
from drfuse_cli.medical.colourmaps import NAMES, colourise
from drfuse_cli.medical.extra import require_medical
from drfuse_cli.medical.geometry import match
from drfuse_cli.medical.nifti import read_nifti
from drfuse_cli.medical.options import MedicalOptions
from drfuse_cli.medical.pair import MedicalPair, open_pair, read_volume
from drfuse_cli.medical.rendering import choose_colours, modality
from drfuse_cli.medical.volume import Volume, choose_axis, undo, upright
from drfuse_cli.medical.window import Window, automatic

PLAIN = MedicalOptions(colours="none")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    require_medical()
    monkeypatch.chdir(tmp_path)


def refused(paths: tuple[str, str], options: MedicalOptions = PLAIN) -> DrfuseError:
    with pytest.raises(DrfuseError) as caught:
        open_pair(paths, options)
    assert caught.value.hint
    return caught.value


def pixels(pair: MedicalPair, source: int, k: int) -> np.ndarray:
    return pair.images(k)[source].pixels


def correlation(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])


# ---- looking at slices ----------------------------------------------------------------------


def test_a_single_slice_is_seen_as_it_is_stored() -> None:
    pair = open_pair(save_pair(), PLAIN)
    assert correlation(pixels(pair, 0, 0), head()[0]) > 0.99
    assert correlation(pixels(pair, 1, 0), head()[1]) > 0.99
    assert pair.images(0)[0].path == "mri.dcm"
    assert pair.slices == 1
    assert pair.warnings == ()


def test_axial_slices_of_nifti_are_upright() -> None:
    pair = open_pair(volume_pair(4), PLAIN)
    assert pair.axis == "axial"
    for k in (0, 3):
        for source in (0, 1):
            assert correlation(pixels(pair, source, k), heads(4)[source][:, :, k]) > 0.99


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SLA", "IPL"])
@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_the_axes_of_the_file_change_nothing(codes: str, axis: str) -> None:
    """The same head, stored in any order of axes, gives the same slices, and goes back."""
    names = volume_pair(5)
    first = read_nifti(names[0])
    start = nibabel.io_orientation(first.space.affine)
    turn = nibabel.orientations.ornt_transform(start, nibabel.orientations.axcodes2ornt(codes))
    stored = first.turned(turn)
    save_nifti("other.nii", np.ascontiguousarray(stored.voxels), stored.space.affine)
    options = MedicalOptions(axis=axis, colours="none")  # type: ignore[arg-type]
    one, two = open_pair(names, options), open_pair(("other.nii", names[1]), options)
    assert one.slices == two.slices
    along = [pair.reference.space.affine[:3, 2] for pair in (one, two)]
    backwards = along[0] @ along[1] < 0
    for k in range(one.slices):
        there = one.slices - 1 - k if backwards else k
        for source in (0, 1):
            assert (pixels(one, source, k) == pixels(two, source, there)).all()
    back, space = two.as_filed(np.array(two.reference.voxels))
    assert (back == stored.voxels).all()
    assert space.affine == pytest.approx(stored.space.affine)


def test_a_turn_can_be_undone() -> None:
    volume = read_nifti(volume_pair(3)[0])
    for axis in ("axial", "coronal", "sagittal"):
        turn = upright(volume, axis)
        there_and_back = volume.turned(turn).turned(undo(turn))
        assert (there_and_back.voxels == volume.voxels).all()
        assert there_and_back.space.affine == pytest.approx(volume.space.affine)


def test_radiologists_see_the_patients_right_on_the_left() -> None:
    voxels = np.zeros((6, 8, 4), np.uint8)
    voxels[5, 7, 3] = 255  # with RAS axes: right, front, top
    save_nifti("x.nii", voxels, np.eye(4), cal_max=255)
    volume = read_nifti("x.nii")
    corners = {"axial": (0, 0), "coronal": (0, 0), "sagittal": (0, 0)}
    for axis, (row, column) in corners.items():
        cut = volume.turned(upright(volume, axis))
        last = cut.voxels[:, :, -1].swapaxes(0, 1)
        assert last[row, column] == 255, axis


def test_thick_slices_decide_the_axis() -> None:
    shape = (8, 8, 8)
    for spacing, axis in {
        (1, 1, 1): "axial",
        (5, 1, 1): "sagittal",
        (1, 4, 1): "coronal",
        (1, 1, 3): "axial",
        (3, 3, 1): "axial",
    }.items():
        save_nifti("x.nii", np.zeros(shape, np.uint8), np.diag([*spacing, 1.0]))
        assert choose_axis(read_nifti("x.nii")) == axis


# ---- slices ---------------------------------------------------------------------------------


def test_one_slice_of_both() -> None:
    pair = open_pair(volume_pair(5), MedicalOptions(slices=(4, 4), colours="none"))
    assert pair.slices == 1
    assert correlation(pixels(pair, 0, 0), heads(5)[0][:, :, 3]) > 0.99
    filed, space = pair.as_filed(pair.reference.voxels)
    assert space.affine[:3, 3] == pytest.approx((AFFINE @ [0, 0, 3, 1])[:3])
    assert filed.shape == (64, 64, 1)


def test_a_slice_that_is_not_there() -> None:
    problem = refused(volume_pair(5), MedicalOptions(slices=(6, 6)))
    assert "no slice 6" in problem.message
    assert "1 to 5" in str(problem.hint)
    assert refused(volume_pair(5), MedicalOptions(slices=(1, 9))).path == "pet.nii.gz"


def test_different_slices() -> None:
    options = MedicalOptions(slices=(1, 3), colours="none", ignore_geometry=True)
    pair = open_pair(volume_pair(3), options)
    assert correlation(pixels(pair, 0, 0), heads(3)[0][:, :, 0]) > 0.99
    assert correlation(pixels(pair, 1, 0), heads(3)[1][:, :, 2]) > 0.99
    told = MedicalOptions(slices=(1, 3), colours="none")
    assert "lies elsewhere" in refused(volume_pair(3), told).message


def test_the_window_of_a_slice_is_that_of_its_volume() -> None:
    whole = open_pair(volume_pair(5), PLAIN)
    single = open_pair(volume_pair(5), MedicalOptions(slices=(2, 2), colours="none"))
    assert whole.renderings == single.renderings
    assert (pixels(whole, 1, 1) == pixels(single, 1, 0)).all()


# ---- two grids ------------------------------------------------------------------------------


def coarse(times: tuple[int, int, int], shift: float = 0.0) -> tuple[str, str]:
    """The pair, with the second one averaged, its corners where they were."""
    mri, pet = volume_pair(6)
    volume = read_nifti(pet)
    i, j, k = (n // t for n, t in zip(volume.shape, times, strict=True))
    blocks = volume.voxels.reshape(i, times[0], j, times[1], k, times[2])
    to_fine = np.diag([*times, 1.0])
    to_fine[:3, 3] = (np.array(times) - 1) / 2 + shift
    save_nifti("pet.nii", blocks.mean((1, 3, 5)).astype("f4"), AFFINE @ to_fine)
    return mri, "pet.nii"


def test_a_coarser_source() -> None:
    pair = open_pair(coarse((2, 2, 3)), PLAIN)
    assert pair.grid.coarser == ((1, 1, 1), (2, 2, 3))
    assert [pixels(pair, 1, k).shape for k in (0, 5)] == [(32, 32)] * 2
    assert (pixels(pair, 1, 0) == pixels(pair, 1, 2)).all()
    assert (pixels(pair, 1, 0) != pixels(pair, 1, 3)).any()
    other = open_pair(coarse((2, 2, 3))[::-1], PLAIN)
    assert other.reference.path == "mri.nii.gz"
    assert other.slices == 6


@pytest.mark.parametrize(("shift", "warned"), [(0.05, False), (0.5, True)])
def test_small_shifts(shift: float, warned: bool) -> None:
    pair = open_pair(coarse((2, 2, 3), shift), PLAIN)
    assert any("voxels apart" in text for text in pair.warnings) == warned


def test_large_shifts() -> None:
    problem = refused(coarse((2, 2, 3), 2.0))
    assert problem.path == "pet.nii"
    assert "lies elsewhere than mri.nii.gz: up to" in problem.message
    assert "resample_from_to" in str(problem.hint)
    assert "--ignore-geometry" in str(problem.hint)
    taken = open_pair(coarse((2, 2, 3), 2.0), MedicalOptions(ignore_geometry=True))
    assert taken.slices == 6


def test_multiples_that_differ() -> None:
    assert "2 times coarser along one axis" in refused(coarse((2, 1, 1))).message


def test_no_multiple() -> None:
    mri, _ = volume_pair(6)
    save_nifti("pet.nii", np.ones((40, 64, 6), np.int16))
    assert "a whole number of times" in refused((mri, "pet.nii")).message
    save_nifti("pet.nii", np.ones((32, 64, 12), np.int16))
    assert "a whole number of times" in refused((mri, "pet.nii")).message


def test_another_field_of_view() -> None:
    mri, pet = volume_pair(6)
    save_nifti("pet.nii", np.array(read_nifti(pet).voxels), AFFINE @ np.diag([2, 2, 1, 1]))
    assert "covers 128 x 192 x 18 mm, and mri.nii.gz 64 x 96 x 18 mm" in (
        refused((mri, "pet.nii")).message
    )


def test_a_turned_head() -> None:
    mri, pet = volume_pair(6)
    c, s = np.cos(0.2), np.sin(0.2)
    rotation = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    save_nifti("pet.nii", np.array(read_nifti(pet).voxels), rotation @ AFFINE)
    assert "lies elsewhere" in refused((mri, "pet.nii")).message


def test_another_order_of_axes_is_put_right_and_said() -> None:
    mri, pet = volume_pair(6)
    volume = read_nifti(pet).turned(np.array([[2, 1], [0, -1], [1, 1]]))
    save_nifti("pet.nii", np.ascontiguousarray(volume.voxels), volume.space.affine)
    pair = open_pair((mri, "pet.nii"), PLAIN)
    assert "turned, without resampling" in pair.warnings[0]
    assert correlation(pixels(pair, 1, 2), heads(6)[1][:, :, 2]) > 0.99


def test_files_that_do_not_say_where_they_lie() -> None:
    one, two = save_pair(ImagePositionPatient=None)
    pair = open_pair((one, two), PLAIN)
    assert "does not say where it lies" in pair.warnings[0]
    assert not any("lies" in text for text in open_pair((one, two), MedicalOptions(
        ignore_geometry=True)).warnings)  # fmt: skip


def test_slices_of_two_thicknesses() -> None:
    one = save_dicom("mri.dcm", dicom(mr(), SliceThickness=5))
    near = save_dicom("near.dcm", dicom(pt(), "PT", ImagePositionPatient=[-32, -32, 2]))
    far = save_dicom("far.dcm", dicom(pt(), "PT", ImagePositionPatient=[-32, -32, 9]))
    assert open_pair((one, near), PLAIN).slices == 1
    assert "9.0 mm away" in refused((one, far)).message


def test_dicom_beside_nifti() -> None:
    """A series, and the same head as NIfTI: other axes, one place."""
    mri, pet = heads(4)
    series = save_series("mri", np.rint(mri * 900).astype(np.int16), "MR")
    affine = np.array([[-1.0, 0, 0, 32], [0, -1, 0, 32], [0, 0, 3, 0], [0, 0, 0, 1]])
    voxels, ras = pet.swapaxes(0, 1)[::-1].astype("f4"), affine.copy()
    ras[:, 0] *= -1
    ras[0, 3] = 32 - 63
    save_nifti("pet.nii.gz", voxels, ras)
    pair = open_pair((series, "pet.nii.gz"), PLAIN)
    assert pair.axis == "axial"
    for k in range(4):
        assert correlation(pixels(pair, 1, k), pet[:, :, k]) > 0.99


def test_an_ordinary_image_beside_dicom() -> None:
    one, _ = save_pair()
    grey = np.rint(head()[1] * 255).astype(np.uint8)
    write_image("pet.png", Image(np.stack([grey, grey, 255 - grey], -1)))
    pair = open_pair((one, "pet.png"), MedicalOptions())
    assert (pixels(pair, 1, 0)[..., 0] == grey).all()
    assert correlation(pixels(pair, 0, 0), head()[0]) > 0.99


# ---- doubts ---------------------------------------------------------------------------------


def test_doubts() -> None:
    one, two = save_pair()
    assert "same file" in open_pair((one, one), PLAIN).warnings[0]
    assert "roles swapped" in open_pair((two, one), PLAIN).warnings[0]
    flat = save_dicom("flat.dcm", dicom(np.full((64, 64), 7, np.uint16)))
    assert "one value everywhere" in open_pair((flat, two), PLAIN).warnings[0]


# ---- colour ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code", "colours"),
    [
        ("sub-1_pet.nii.gz", "PT", "hot"),
        ("spect/0001.nii", "NM", "hot"),
        ("space-T1w_pet.nii", "PT", "hot"),
        ("T2.nii", "MR", None),
        ("x-ct.nii", "CT", None),
        ("x.nii", None, "hot"),
        ("pettersson.nii", None, "hot"),
    ],
)
def test_what_nifti_is_by_its_name(name: str, code: str | None, colours: str | None) -> None:
    Path("spect").mkdir()
    shutil.move(save_nifti(f"y{''.join(Path(name).suffixes)}", np.ones((2, 2, 2), "i2")), name)
    volume = read_volume(name)
    assert modality(volume) == code
    assert choose_colours(volume, "auto") == colours
    assert choose_colours(volume, "none") is None
    assert choose_colours(volume, "pet") == "pet"


def test_dicom_says_itself_what_it_is() -> None:
    def chosen(kind: str) -> str | None:
        return choose_colours(read_volume(save_dicom("pet.dcm", dicom(pt(), kind))), "auto")

    assert chosen("PT") == chosen("NM") == "hot"
    assert chosen("MR") is chosen("CT") is chosen("OT") is None


def test_only_source_2_is_coloured() -> None:
    first, second = open_pair(save_pair(), MedicalOptions()).images(0)
    assert not first.colour
    assert second.colour
    assert second.bits == 16


@pytest.mark.parametrize("name", NAMES)
def test_colour_maps(name: str) -> None:
    activity = np.linspace(0, 1, 4096).reshape(64, 64)
    rgb = colourise(activity, name)
    assert rgb.shape == (64, 64, 3)
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    assert len(np.unique(rgb.reshape(-1, 3), axis=0)) > 4000
    assert (colourise(np.zeros((1, 1)), name) < 0.05).all()


def test_the_default_grows_brighter_with_activity() -> None:
    luma = colourise(np.linspace(0, 1, 500)[None], "hot") @ [0.299, 0.587, 0.114]
    assert (np.diff(luma) >= -1e-7).all()


# ---- windows from values --------------------------------------------------------------------


def test_windows_from_values() -> None:
    rng = np.random.default_rng(0)
    window = automatic(rng.uniform(5, 105, 100_000), hounsfield=True)
    assert (window.centre, window.width) == pytest.approx((52.5, 105), rel=0.01)
    window = automatic(rng.uniform(-20, 80, 100_000), hounsfield=True)
    assert (window.centre, window.width) == pytest.approx((30, 100), rel=0.01)
    assert automatic(np.array([-1000.0, 2000]), hounsfield=True) == Window(40, 400)
    assert automatic(np.array([np.nan]), hounsfield=False) == Window(0.5, 1)
    flat = automatic(np.full(9, 7.0), hounsfield=False)
    assert flat.apply(np.full(3, 7.0)).tolist() == [1, 1, 1]


def test_match_of_equal_volumes_changes_nothing() -> None:
    volume: Volume = read_nifti(volume_pair(3)[0])
    grid = match(volume, volume)
    assert grid.warnings == ()
    assert grid.reference == 0
    assert grid.volumes[1].voxels is volume.voxels
