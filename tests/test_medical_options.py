"""Flags of medical files, which paths are medical, and what happens without the extra."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.medical.extra import require_medical
from drfuse_cli.medical.kinds import kind_of_input, kind_of_name
from drfuse_cli.medical.options import MedicalOptions, parse_slices, parse_windows


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        (None, (None, None)),
        ("40,80", ((40, 80), None)),
        ("40, 80, -3.5,1e2", ((40, 80), (-3.5, 100))),
        ("auto,5,10", (None, (5, 10))),
        ("40,80,AUTO", ((40, 80), None)),
        ("auto", (None, None)),
    ],
)
def test_windows(text: str | None, windows: object) -> None:
    assert parse_windows(text) == windows


@pytest.mark.parametrize(
    "text", ["", "40", "40,", "40,80,1", "40,0", "40,-1", "a,b", "nan,1", "1,inf", "1,2,3,4,5,6"]
)
def test_windows_that_are_none(text: str) -> None:
    with pytest.raises(DrfuseError, match="--window is") as caught:
        parse_windows(text)
    assert "40,80" in str(caught.value.hint)


@pytest.mark.parametrize(("text", "slices"), [("3", (3, 3)), ("3,5", (3, 5)), (None, None)])
def test_slices(text: str | None, slices: object) -> None:
    assert parse_slices(text) == slices


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "1,2,3", "x", "١"])
def test_slices_that_are_none(text: str) -> None:
    with pytest.raises(DrfuseError, match="--slice is"):
        parse_slices(text)


def test_the_first_flag_given_is_named() -> None:
    assert MedicalOptions.of().given is None
    assert MedicalOptions.of(slices="3", axis="coronal").given == "--slice"
    assert MedicalOptions.of(ignore_geometry=True).given == "--ignore-geometry"


def test_kinds(tmp_path: Path) -> None:
    assert kind_of_name("a/B.NII.GZ") == kind_of_name("x.nii") == "nifti"
    assert kind_of_name("I1.IMA") == kind_of_name("x.dcm") == "dicom"
    assert kind_of_name("x.gz") is kind_of_name("nii") is kind_of_name("x.png") is None
    unnamed = tmp_path / "IM0001"
    unnamed.write_bytes(bytes(128) + b"DICM")
    assert kind_of_input(unnamed) == kind_of_input(tmp_path) == "dicom"
    unnamed.write_bytes(bytes(128) + b"DIC")
    assert kind_of_input(unnamed) is kind_of_input(tmp_path / "missing") is None


@pytest.mark.parametrize("library", ["pydicom", "nibabel"])
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(DrfuseError) as caught:
        require_medical("x.dcm")
    assert caught.value.code == ExitCode.ENVIRONMENT
    assert 'pip install "drfuse[medical]"' in str(caught.value)
