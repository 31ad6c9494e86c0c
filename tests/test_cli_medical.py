"""``drfuse fuse`` with DICOM and NIfTI: what comes out, where it lies, and whom it names."""

from __future__ import annotations

import errno
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydicom", reason='needs pip install "drfuse[medical]"')
pytest.importorskip("nibabel", reason='needs pip install "drfuse[medical]"')

import cv2
import nibabel
import numpy as np
from cli_support import Cli, FakeEngine, noise, save, use_fake_engine
from medical_support import (
    AFFINE,
    SECRETS,
    dicom,
    head,
    heads,
    mr,
    patient_in,
    pt,
    reread,
    save_dicom,
    save_nifti,
    save_pair,
    save_series,
    volume_pair,
)

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import read_image
from drfuse_cli.medical import spool
from drfuse_cli.report.sidecar import arguments

TASK = ("--task", "medical")


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[FakeEngine]:
    monkeypatch.chdir(tmp_path)
    return use_fake_engine(monkeypatch)


def loaded(path: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(path).read_text())
    return content


def nifti(path: str) -> Any:
    return nibabel.load(path)


def correlation(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])


# ---- single slices --------------------------------------------------------------------------


def test_two_slices_to_an_image(drfuse: Cli) -> None:
    done = drfuse("fuse", *save_pair(), "-o", "out.png", *TASK, "--save-sources", "s")
    assert done.text == "out.png\n"
    assert "MR, 64x64, 1 x 1 x 1 mm, window" in done.err
    assert "coloured by hot (--colormap)" in done.err
    out = read_image("out.png")
    assert (out.bits, out.colour, out.width) == (16, True, 64)
    assert correlation(read_image("s/source1.png").pixels, head()[0]) > 0.99
    document = loaded("out.png.json")
    assert [image["path"] for image in document["inputs"]] == ["mri.dcm", "pet.dcm"]
    assert [image["colour"] for image in document["inputs"]] == [False, True]
    assert document["medical"]["colormap"] == "hot"
    assert [one["modality"] for one in document["medical"]["sources"]] == ["MR", "PT"]
    assert document["output"]["voxel_mm"] == [1, 1, 1]


def test_what_it_says_to_scripts(drfuse: Cli) -> None:
    done = drfuse("fuse", *save_pair(), "-o", "-", *TASK)
    assert cv2.imdecode(np.frombuffer(done.out, np.uint8), -1).dtype == np.uint16
    assert json.loads(drfuse("fuse", *save_pair(), "-o", "o.dcm", *TASK, "--json").text)[
        "output"
    ] == {"path": "o.dcm", "width": 64, "height": 64, "bit_depth": 8, "colour": True,
          "slices": 1, "voxel_mm": [1, 1, 1]}  # fmt: skip


def test_the_window_asked_for(drfuse: Cli) -> None:
    pair = save_pair(WindowCenter=1000, WindowWidth=2000)
    flags = ("--colormap", "none", "--save-sources", "s")
    done = drfuse("fuse", *pair, "-o", "a.png", *TASK, *flags, "--window", "2000,4000")
    assert "window 2000,4000 (given)" in done.err
    assert "window 1000,2000 (from the file)" in done.err
    expected = np.clip(mr() / 4000 * 65535, 0, 65535)
    assert np.abs(read_image("s/source1.png").pixels - expected).max() <= 1
    document = loaded("a.png.json")["medical"]
    assert document["window"] == "2000,4000"
    assert document["sources"][0]["window"] == {"centre": 2000, "width": 4000}
    assert [one["window_origin"] for one in document["sources"]] == ["flag", "file"]


def test_explained(drfuse: Cli) -> None:
    drfuse("fuse", *save_pair(), "-o", "out.png", *TASK, "--explain", "e", "--steps", "1")
    assert read_image("e/weight_map.png").width == 64
    assert read_image("e/step1_fused.png").width == 64


def test_a_frame(drfuse: Cli) -> None:
    frames = np.stack([mr(), mr(1), mr()])
    save_dicom("cine.dcm", dicom(frames, ImagePositionPatient=None))
    done = drfuse("fuse", "cine.dcm", "cine.dcm", "-o", "out.png", *TASK, code=2)
    assert "has 3 slices" in done.err
    assert "--slice 1 to 3" in done.err
    flags = ("--slice", "2", "--save-sources", "s", "--window", "2000,4000")
    done = drfuse("fuse", "cine.dcm", "cine.dcm", "-o", "out.png", *TASK, *flags)
    assert correlation(read_image("s/source1.png").pixels, mr(1)) > 0.999
    assert loaded("out.png.json")["medical"]["slice"] == [2, 2]


def test_pixels_that_are_not_square(drfuse: Cli) -> None:
    one, two = save_pair(PixelSpacing=[2, 1])
    assert "1 mm wide and 2 mm high" in drfuse("fuse", one, two, "-o", "out.png", *TASK).err
    assert "mm high" not in drfuse("fuse", one, two, "-o", "out.dcm", *TASK).err
    assert reread("out.dcm").PixelSpacing == [2, 1]


def test_a_coarser_pet(drfuse: Cli, engine: type[FakeEngine]) -> None:
    half = pt().reshape(32, 2, 32, 2).mean((1, 3)).astype(np.uint16)
    one, _ = save_pair()
    elements = {"PixelSpacing": [2, 2], "ImagePositionPatient": [-31.5, -31.5, 0]}
    two = save_dicom("half.dcm", dicom(half, "PT", **elements))
    assert drfuse("fuse", one, two, "-o", "out.dcm", *TASK).err.count("voxels apart") == 0
    assert [d.sr_scale for d in engine.calls[0][1]] == [1, 2]
    assert reread("out.dcm").PixelSpacing == [1, 1]
    assert reread("out.dcm").ImagePositionPatient == [-32, -32, 0]


def test_both_smaller_than_what_is_asked_for(drfuse: Cli) -> None:
    drfuse("fuse", *save_pair(), "-o", "out.dcm", *TASK, "--sr-scale", "2")
    found = reread("out.dcm")
    assert (found.Rows, found.PixelSpacing) == (128, [0.5, 0.5])
    assert found.ImagePositionPatient == [-32.25, -32.25, 0]


# ---- volumes --------------------------------------------------------------------------------


def test_nifti_to_nifti(drfuse: Cli) -> None:
    done = drfuse("fuse", *volume_pair(), "-o", "out.nii.gz", *TASK, "--save-sources", "s")
    assert "6 slices of 64x64, 1 x 1.5 x 3 mm" in done.err
    out = nifti("out.nii.gz")
    assert out.shape == (64, 64, 6)
    assert out.affine == pytest.approx(AFFINE)
    assert out.get_data_dtype().names == ("R", "G", "B")
    restored = np.asarray(nifti("s/source1.nii.gz").dataobj)
    assert restored.dtype == np.uint16
    assert nifti("s/source1.nii.gz").affine == pytest.approx(AFFINE)
    assert correlation(restored, np.asarray(nifti("mri.nii.gz").dataobj)) > 0.999
    document = loaded("out.nii.gz.json")
    assert document["output"]["slices"] == document["medical"]["slices"] == 6
    assert document["output"]["bit_depth"] == 8
    assert document["medical"]["axis"] == "axial"


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_every_axis_goes_back_to_where_it_was(drfuse: Cli, axis: str) -> None:
    flags = ("--axis", axis, "--colormap", "none", "--save-sources", "s", "--degrade", "none")
    drfuse("fuse", *volume_pair(4), "-o", "out.nii", *TASK, *flags)
    for number, name in enumerate(("mri.nii.gz", "pet.nii.gz"), 1):
        found = nifti(f"s/source{number}.nii")
        assert found.affine == pytest.approx(AFFINE)
        assert correlation(np.asarray(found.dataobj), np.asarray(nifti(name).dataobj)) > 0.999
    assert nifti("out.nii").get_data_dtype() == np.uint16


def test_all_slices_get_the_same_operators(drfuse: Cli, engine: type[FakeEngine]) -> None:
    rng = np.random.default_rng(0)
    volume = np.clip(heads(6)[0].swapaxes(0, 1) * 200 + rng.normal(0, 8, (64, 64, 6)), 0, 255)
    volume[..., 0] = 0
    save_nifti("mri.nii", volume.astype(np.float32))
    drfuse("fuse", "mri.nii", volume_pair()[1], "-o", "out.nii", *TASK, "--colormap", "none")
    assert len(engine.calls) == 6
    assert len({degradations for _, degradations in engine.calls}) == 1
    assert engine.calls[0][1][0].noise_std > 4
    assert engine.calls[0][1][0].origin["noise_std"] == "estimate"


def test_a_series_to_dicom(drfuse: Cli) -> None:
    for name, volume in zip(("mri", "pet"), heads(4), strict=True):
        save_series(name, np.rint(volume * 900).astype(np.int16), "PT" if name == "pet" else "MR")
    drfuse("fuse", "mri", "pet", "-o", "out.dcm", *TASK, "--colormap", "none")
    found = reread("out.dcm")
    assert found.NumberOfFrames == 4
    assert found.BitsStored == 16
    where = [frame.PlanePositionSequence[0].ImagePositionPatient[2]
             for frame in found.PerFrameFunctionalGroupsSequence]  # fmt: skip
    assert where == [0, 3, 6, 9]
    again = drfuse("fuse", "out.dcm", "out.dcm", "-o", "again.nii", *TASK)
    assert "same file" in again.err
    assert nifti("again.nii").shape == (64, 64, 4)


def test_one_slice_of_a_volume_keeps_its_place(drfuse: Cli) -> None:
    drfuse("fuse", *volume_pair(), "-o", "out.nii", *TASK, "--slice", "3")
    assert nifti("out.nii").shape == (64, 64, 1)
    assert nifti("out.nii").affine[:3, 3] == pytest.approx((AFFINE @ [0, 0, 2, 1])[:3])


def test_large_volumes_lie_on_the_disk(drfuse: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ("fuse", *volume_pair(3), *TASK, "--no-sidecar", "-o")
    drfuse(*flags, "small.nii.gz")
    made: list[np.ndarray] = []
    monkeypatch.setattr(spool, "_IN_MEMORY", 0)
    monkeypatch.setattr(
        "drfuse_cli.medical.collected.spool", lambda *a: made.append(spool.spool(*a)) or made[-1]
    )
    drfuse(*flags, "large.nii.gz")
    assert isinstance(made[0], np.memmap)
    assert Path("small.nii.gz").read_bytes() == Path("large.nii.gz").read_bytes()


@pytest.mark.parametrize("output", ["out.nii.gz", "out.nii", "out.dcm"])
def test_interrupted_it_leaves_nothing(
    drfuse: Cli, engine: type[FakeEngine], output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume_pair(3)
    before = set(Path().iterdir())
    fuse = engine.fuse

    def stop(self: FakeEngine, *rest: Any) -> Any:
        if len(engine.calls) == 2:
            raise KeyboardInterrupt
        return fuse(self, *rest)

    monkeypatch.setattr(engine, "fuse", stop)
    drfuse("fuse", "mri.nii.gz", "pet.nii.gz", "-o", output, *TASK, code=130)
    assert set(Path().iterdir()) == before
    monkeypatch.setattr(engine, "fuse", fuse)
    monkeypatch.setattr("drfuse_cli.imageio.files.os.replace", _interrupt)
    drfuse("fuse", "mri.nii.gz", "pet.nii.gz", "-o", output, *TASK, code=130)
    assert set(Path().iterdir()) == before


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_full_disk(drfuse: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool, "_IN_MEMORY", 0)
    monkeypatch.setattr(spool, "reserve", full)
    done = drfuse("fuse", *volume_pair(3), "-o", "out.nii.gz", *TASK, code=4)
    assert "No space left" in done.err
    assert not Path("out.nii.gz").exists()


def test_a_run_is_repeated_from_its_sidecar(drfuse: Cli, engine: type[FakeEngine]) -> None:
    flags = ("--slice", "2", "--window", "400,800,auto", "--axis", "coronal", "--ignore-geometry")
    asked = (*TASK, *flags, "--weights", "tiny", "--device", "cpu", "--precision", "fp32")
    drfuse("fuse", *volume_pair(4), "-o", "out.nii.gz", *asked)
    document = loaded("out.nii.gz.json")
    drfuse(*arguments(document, "again.nii.gz"))
    assert Path("again.nii.gz").read_bytes() == Path("out.nii.gz").read_bytes()
    again = loaded("again.nii.gz.json")
    assert again["medical"] == document["medical"]
    assert [one["sha256"] for one in again["inputs"]] == [
        one["sha256"] for one in document["inputs"]
    ]


# ---- whom it names --------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["out.png", "out.dcm", "out.nii.gz"])
def test_nobody_is_named_anywhere(drfuse: Cli, output: str) -> None:
    one, two = save_pair(BurnedInAnnotation="YES")
    done = drfuse("fuse", one, two, "-o", output, *TASK, "--json", "--save-sources", "s")
    assert patient_in(one, two)
    written = [output, f"{output}.json", *Path("s").iterdir()]
    assert patient_in(*written) == []
    said = done.err + done.text
    assert not any(secret in said for secret in SECRETS)
    assert "burned into its pixels" in done.err
    if output == "out.dcm":
        assert reread(output).BurnedInAnnotation == "YES"


def test_names_of_files_in_a_folder_are_not_told(drfuse: Cli) -> None:
    save_series("mri", np.rint(heads(3)[0] * 900).astype(np.int16), "MR")
    save_series("pet", np.rint(heads(3)[1] * 900).astype(np.int16), "PT")
    done = drfuse("fuse", "mri", "pet", "-o", "out.nii.gz", *TASK)
    assert patient_in("out.nii.gz", "out.nii.gz.json") == []
    sorted(Path("pet").iterdir())[1].write_bytes(b"damaged")
    done = drfuse("fuse", "mri", "pet", "-o", "b.nii.gz", *TASK, code=2)
    assert not any(secret in done.err for secret in SECRETS)
    assert "pet: its file 2" in done.err


# ---- what goes wrong ------------------------------------------------------------------------


def test_the_task_must_be_medical(drfuse: Cli) -> None:
    for sources in (save_pair(), volume_pair(2)):
        done = drfuse("fuse", *sources, "-o", "out.png", code=2)
        assert f"{sources[0]}: is a medical file" in done.err
        assert "--task medical" in done.err
    for name in ("a.png", "b.png"):
        save(Path(name), noise(8, 8))
    assert "out.dcm" in drfuse("fuse", "a.png", "b.png", "-o", "out.dcm", code=2).err
    done = drfuse("fuse", "a.png", "b.png", "-o", "o.png", "--window", "1,2", code=2)
    assert "--window is for medical images" in done.err
    Path("folder").mkdir()
    assert "is a folder" in drfuse("fuse", "folder", "b.png", "-o", "o.png", code=2).err


def test_flags_that_are_wrong(drfuse: Cli) -> None:
    pair = volume_pair(3)
    for flags, said in (
        (("--window", "1"), "--window is '1'"),
        (("--slice", "0"), "--slice is '0'"),
        (("--slice", "4"), "has no slice 4"),
        (("--axis", "up"), "--axis"),
        (("--colormap", "jet"), "--colormap"),
        (("--explain", "e"), "--explain is for one slice"),
    ):
        assert said in drfuse("fuse", *pair, "-o", "out.nii", *TASK, *flags, code=2).err
    assert not Path("out.nii").exists()


def test_outputs_that_cannot_be(drfuse: Cli, engine: type[FakeEngine]) -> None:
    pair = save_pair()
    assert "16 bits" in drfuse("fuse", *pair, "-o", "out.jpg", *TASK, code=2).err
    assert "'.xyz'" in drfuse("fuse", *pair, "-o", "out.xyz", *TASK, code=2).err
    Path("out.dcm").write_text("mine")
    assert "already exists" in drfuse("fuse", *pair, "-o", "out.dcm", *TASK, code=2).err
    assert "also an input" in drfuse("fuse", *pair, "-o", "pet.dcm", *TASK, code=2).err
    assert engine.calls == []
    drfuse("fuse", *pair, "-o", "out.dcm", *TASK, "--overwrite")
    assert reread("out.dcm").PatientName == "Anonymous"


def test_sources_that_do_not_go_together(drfuse: Cli) -> None:
    mri, pet = volume_pair(4)
    save_nifti("away.nii", np.asarray(nifti(pet).dataobj), AFFINE + np.eye(4) * 0.3)
    done = drfuse("fuse", mri, "away.nii", "-o", "out.nii", *TASK, code=2)
    assert "away.nii: " in done.err
    assert "resample_from_to" in done.err
    drfuse("fuse", mri, "away.nii", "-o", "out.nii", *TASK, "--ignore-geometry")


def test_damaged_sources(drfuse: Cli, engine: type[FakeEngine]) -> None:
    mri, pet = volume_pair(3)
    Path("cut.nii.gz").write_bytes(gzip.compress(gzip.decompress(Path(pet).read_bytes())[:-9]))
    assert "cut.nii.gz" in drfuse("fuse", mri, "cut.nii.gz", "-o", "o.nii", *TASK, code=2).err
    assert "no such file" in drfuse("fuse", mri, "missing.nii", "-o", "o.nii", *TASK, code=2).err
    assert engine.calls == []


def test_without_the_extra(drfuse: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = save_pair()
    monkeypatch.setitem(sys.modules, "pydicom", None)
    done = drfuse("fuse", *pair, "-o", "out.png", *TASK, code=4)
    assert 'pip install "drfuse[medical]"' in done.err


def test_commands_for_ordinary_images_name_the_one_that_reads_it() -> None:
    for path in (save_pair()[0], save_nifti("x.nii", np.ones((4, 4, 4), np.int16))):
        with pytest.raises(DrfuseError, match="is a medical file") as caught:
            read_image(path)
        assert "drfuse fuse --task medical" in str(caught.value.hint)


def test_grey_images_can_be_coloured_too(drfuse: Cli) -> None:
    save(Path("a.png"), noise(16, 16))
    save(Path("b.png"), noise(16, 16, seed=1))
    drfuse("fuse", "a.png", "b.png", "-o", "out.png", *TASK, "--colormap", "rainbow")
    assert read_image("out.png").colour
    assert read_image("out.png").bits == 8
