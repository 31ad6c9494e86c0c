"""NIfTI files in every guise: values, geometry, damage, and back."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydicom", reason='needs pip install "drfuse[medical]"')
pytest.importorskip("nibabel", reason='needs pip install "drfuse[medical]"')

import nibabel
import numpy as np
from medical_support import AFFINE, SECRETS, heads, patient_in, save_nifti

from drfuse_cli.errors import DrfuseError
from drfuse_cli.medical.extra import require_medical
from drfuse_cli.medical.nifti import read_nifti, write_nifti
from drfuse_cli.medical.rendering import doubts, render
from drfuse_cli.medical.volume import Space, Volume
from drfuse_cli.medical.window import Window

VOXELS = np.arange(4 * 3 * 2).reshape(4, 3, 2)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    require_medical()
    monkeypatch.chdir(tmp_path)


def refused(path: str) -> DrfuseError:
    with pytest.raises(DrfuseError) as caught:
        read_nifti(path)
    assert caught.value.path == path
    assert caught.value.hint
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def value_of(volume: Volume) -> np.ndarray:
    return np.asarray(volume.values(volume.voxels))


# ---- reading --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
def test_values_of_any_type(suffix: str, dtype: str) -> None:
    volume = read_nifti(save_nifti(f"x{suffix}", VOXELS.astype(dtype)))
    assert (value_of(volume) == VOXELS).all()
    assert volume.space.affine == pytest.approx(AFFINE)
    assert volume.space.spacing == pytest.approx((1, 1.5, 3))
    assert volume.space.placed


def test_big_endian(monkeypatch: pytest.MonkeyPatch) -> None:
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.save(nibabel.Nifti1Image(VOXELS.astype(">i2"), AFFINE, header), "x.nii")
    assert Path("x.nii").read_bytes()[:4] == b"\0\0\1\x5c"
    assert (value_of(read_nifti("x.nii")) == VOXELS).all()


def test_nifti_2() -> None:
    nibabel.save(nibabel.Nifti2Image(VOXELS.astype("i2"), AFFINE), "x.nii.gz")
    assert (value_of(read_nifti("x.nii.gz")) == VOXELS).all()


def with_scaling(slope: float, inter: float) -> str:
    save_nifti("x.nii", VOXELS.astype("i2"))
    raw = bytearray(Path("x.nii").read_bytes())
    raw[112:120] = np.array([slope, inter], "<f4").tobytes()
    Path("x.nii").write_bytes(raw)
    return "x.nii"


@pytest.mark.parametrize(
    ("slope", "inter", "factor"),
    [(0.5, -3, (0.5, -3)), (0, 7, (1, 0)), (np.nan, 0, (1, 0)), (np.inf, 0, (1, 0))],
)
def test_scaling(slope: float, inter: float, factor: tuple[float, float]) -> None:
    volume = read_nifti(with_scaling(slope, inter))
    assert value_of(volume) == pytest.approx(VOXELS * factor[0] + factor[1])


def test_an_intercept_that_is_no_number() -> None:
    refused(with_scaling(2, np.nan))


def test_four_dimensions() -> None:
    save_nifti("x.nii", np.zeros((4, 3, 2, 5), np.int16))
    problem = refused("x.nii")
    assert "4 dimensions (4 x 3 x 2 x 5)" in problem.message
    assert "slicer[..., 0]" in str(problem.hint)
    save_nifti("one.nii", VOXELS[..., None].astype("i2"))
    assert read_nifti("one.nii").shape == (4, 3, 2)


def test_two_dimensions() -> None:
    save_nifti("x.nii", VOXELS[:, :, 0].astype("i2"))
    assert read_nifti("x.nii").shape == (4, 3, 1)


def test_complex_numbers() -> None:
    save_nifti("x.nii", VOXELS.astype(np.complex64))
    assert "complex64" in refused("x.nii").message


@pytest.mark.parametrize("channels", ["RGB", "RGBA"])
def test_colour(channels: str) -> None:
    dtype = np.dtype([(name, "u1") for name in channels])
    voxels = np.zeros(VOXELS.shape, dtype)
    voxels["R"], voxels["B"] = VOXELS, 255 - VOXELS
    volume = read_nifti(save_nifti("x.nii.gz", voxels))
    assert volume.colour
    assert (volume.voxels[..., 0] == VOXELS).all()
    assert (volume.voxels[..., 2] == 255 - VOXELS).all()
    assert render(volume, None, "hot").image(volume, 1).pixels.tolist() == (
        volume.voxels[:, :, 1].swapaxes(0, 1).tolist()
    )


def test_no_orientation() -> None:
    image = nibabel.Nifti1Image(VOXELS.astype("i2"), None)
    image.header.set_zooms((2, 2, 5))
    nibabel.save(image, "x.nii")
    space = read_nifti("x.nii").space
    assert not space.placed
    assert space.spacing == pytest.approx((2, 2, 5))


def test_other_units() -> None:
    save_nifti("x.nii", VOXELS.astype("i2"), np.diag([0.002, 0.002, 0.002, 1]), xyzt_units=1)
    assert read_nifti("x.nii").space.spacing == pytest.approx((2, 2, 2))


def test_the_range_to_show() -> None:
    save_nifti("x.nii", VOXELS.astype("i2"), cal_min=3, cal_max=13)
    assert read_nifti("x.nii").window == Window(8, 10)
    save_nifti("y.nii", VOXELS.astype("i2"), cal_min=3, cal_max=3)
    assert read_nifti("y.nii").window is None


def test_values_that_are_no_numbers_are_black() -> None:
    voxels = heads(2)[0].astype(np.float32)
    voxels[0], voxels[1] = np.nan, np.inf
    volume = read_nifti(save_nifti("x.nii", voxels))
    assert "no numbers" in doubts(volume, 1)[0]
    pixels = render(volume, None, None).image(volume, 0).pixels
    assert (pixels[:, 0] == 0).all()
    assert pixels.max() == 65535


# ---- damage ---------------------------------------------------------------------------------


def test_damaged_files() -> None:
    plain = Path(save_nifti("whole.nii", VOXELS.astype("i2"))).read_bytes()
    packed = Path(save_nifti("whole.nii.gz", VOXELS.astype("i2"))).read_bytes()
    flipped = bytearray(packed)
    flipped[-6] ^= 1  # the checksum
    bad: dict[str, bytes] = {
        "empty.nii": b"",
        "text.nii": b"hello " * 100,
        "short.nii": plain[:-1],
        "header.nii": plain[:200],
        "packed.nii": packed,
        "short.nii.gz": packed[:-12],
        "plain.nii.gz": plain,
        "fewer.nii.gz": gzip.compress(plain[:-1]),
        "flipped.nii.gz": bytes(flipped),
    }
    for name, data in bad.items():
        Path(name).write_bytes(data)
        refused(name)
    assert "no such file" in refused("missing.nii").message


def test_a_header_that_promises_too_much_takes_no_space() -> None:
    save_nifti("x.nii", VOXELS.astype("i2"))
    raw = bytearray(Path("x.nii").read_bytes())
    raw[42:48] = np.array([30000, 30000, 3000], "<i2").tobytes()
    Path("x.nii").write_bytes(raw)
    Path("x.nii.gz").write_bytes(gzip.compress(raw))
    refused("x.nii")
    refused("x.nii.gz")
    raw[42:48] = np.array([-3, 30000, 3000], "<i2").tobytes()
    Path("x.nii").write_bytes(raw)
    refused("x.nii")


def test_flipped_bits_never_crash() -> None:
    whole = Path(save_nifti("x.nii", VOXELS.astype("i2"))).read_bytes()
    rng = np.random.default_rng(0)
    for position in range(0, 348, 2):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        Path("x.nii").write_bytes(damaged)
        try:
            volume = read_nifti("x.nii")
        except DrfuseError:
            continue
        assert np.isfinite(volume.space.affine).all()


# ---- writing --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".NII.GZ"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_round_trip(suffix: str, dtype: str) -> None:
    voxels = np.random.default_rng(0).integers(0, 255, (5, 4, 3)).astype(dtype)
    space = read_nifti(save_nifti("like.nii", VOXELS.astype("i2"))).space
    write_nifti(f"x{suffix}", voxels, space)
    volume = read_nifti(f"x{suffix}")
    assert (volume.voxels == voxels).all()
    assert volume.space.affine == pytest.approx(AFFINE)
    image: Any = nibabel.load(f"x{suffix.lower()}") if suffix.islower() else None
    if image is not None:
        assert (np.asarray(image.dataobj) == voxels).all()
        assert image.header.get_zooms() == pytest.approx((1, 1.5, 3))
        assert image.header.get_xyzt_units()[0] == "mm"


def test_round_trip_in_colour() -> None:
    voxels = np.random.default_rng(0).integers(0, 255, (5, 4, 3, 3), np.uint8)
    write_nifti("x.nii.gz", voxels, Space(AFFINE))
    image: Any = nibabel.load("x.nii.gz")
    assert image.header["datatype"] == 128
    assert image.get_data_dtype().names == ("R", "G", "B")
    assert (read_nifti("x.nii.gz").voxels == voxels).all()


def test_both_forms_and_their_codes_are_kept() -> None:
    image = nibabel.Nifti1Image(VOXELS.astype("i2"), AFFINE)
    other = AFFINE + np.eye(4)[3] * [[4], [5], [6], [0]]
    image.set_sform(other, code=4)
    image.set_qform(AFFINE, code=1)
    nibabel.save(image, "x.nii")
    space = read_nifti("x.nii").space
    assert space.affine == pytest.approx(other)
    write_nifti("y.nii", VOXELS.astype("u2"), space)
    header = nibabel.load("y.nii").header
    assert header.get_sform(coded=True)[0] == pytest.approx(other)
    assert header.get_qform(coded=True)[0] == pytest.approx(AFFINE)
    assert (header.get_sform(coded=True)[1], header.get_qform(coded=True)[1]) == (4, 1)


def test_no_text_is_kept_and_the_bytes_repeat() -> None:
    volume = read_nifti(save_nifti("x.nii.gz", VOXELS.astype("i2")))
    assert patient_in("x.nii.gz")
    for name in ("y.nii.gz", "z.nii.gz"):
        write_nifti(name, VOXELS.astype("u2"), volume.space)
    assert patient_in("y.nii.gz") == []
    assert Path("y.nii.gz").read_bytes() == Path("z.nii.gz").read_bytes()


def test_a_file_that_cannot_be_written_leaves_nothing() -> None:
    Path("file").write_text("x")
    with pytest.raises(DrfuseError):
        write_nifti("file/x.nii", VOXELS.astype("u2"), Space(AFFINE))
    assert [path.name for path in Path().iterdir()] == ["file"]
