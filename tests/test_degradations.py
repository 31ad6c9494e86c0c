"""From flags, presets, sizes and files to the degradation of both sources."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drfuse_cli.config import PRESET_NAMES, TASKS, Degradation, PresetName, Task, preset
from drfuse_cli.degradations import (
    Mode,
    Overrides,
    applied,
    assume,
    believed,
    describe,
    parse_overrides,
    scales_from_sizes,
)
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import Image
from drfuse_cli.operators.estimate import Estimate, SourceEstimate

NONE = Overrides()


def image(height: int, width: int, std: float = 6.0) -> Image:
    levels = np.random.default_rng(0).normal(128, std, (height, width))
    return Image(levels.round().clip(0, 255).astype(np.uint8))


def pair(scale: int = 1) -> tuple[Image, Image]:
    return image(96 // scale, 120 // scale), image(96, 120)


def refused(match: str) -> pytest.RaisesExc[DrfuseError]:
    return pytest.raises(DrfuseError, match=match)


# ---- parsing --------------------------------------------------------------------------------


def test_one_value_holds_for_both() -> None:
    assert parse_overrides("3", "2.5", "4") == Overrides((3, 3), (2.5, 2.5), (4, 4))


def test_two_values() -> None:
    found = parse_overrides("1,2", " 0 , 1e0 ", "4,1", "a.npy,none")
    assert found == Overrides((1, 2), (0, 1), (4, 1), ("a.npy", None))


def test_silence() -> None:
    assert parse_overrides() == NONE
    assert NONE.is_empty
    assert not parse_overrides("0").is_empty


@pytest.mark.parametrize(
    ("flag", "values"),
    [
        ("noise_std", ["", "x", "1,", ",1", "1,2,3", "-1", "256", "nan", "inf", "1;2"]),
        ("blur_sigma", ["", "x", "-0.1", "51", "nan", "1,,2"]),
        ("sr_scale", ["", "0", "33", "1.5", "-2", "2,x", "²", "1_0"]),
        ("psf", ["", "a,b,c", "a,"]),
    ],
)
def test_the_flag_is_named(flag: str, values: list[str]) -> None:
    for value in values:
        with refused(f"--{flag.replace('_', '-')}") as caught:
            parse_overrides(**{flag: value})
        assert caught.value.code is ExitCode.USAGE


def test_a_source_has_one_blur() -> None:
    with refused("source 2 has both --psf and --blur-sigma"):
        parse_overrides(blur_sigma="0,2", psf="none,k.npy")
    assert parse_overrides(blur_sigma="2,0", psf="none,k.npy").psf == (None, "k.npy")


# ---- sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "scales"),
    [
        ((96, 120), (96, 120), (1, 1)),
        ((24, 30), (96, 120), (4, 1)),
        ((96, 120), (48, 60), (1, 2)),
        ((24, 30), (97, 123), (4, 1)),  # rounded down
        ((25, 31), (97, 121), (4, 1)),  # rounded up
        ((32, 40), (97, 121), (3, 1)),
        ((1, 1), (3, 3), (3, 1)),
        ((192, 256), (767, 1023), (4, 1)),
    ],
)
def test_scales(first: tuple[int, int], second: tuple[int, int], scales: tuple[int, int]) -> None:
    assert scales_from_sizes(first, second) == scales


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ((96, 120), (97, 120), "not a whole number"),
        ((96, 120), (100, 125), "not a whole number"),
        ((64, 80), (96, 120), "not a whole number"),
        ((96, 120), (120, 96), "shapes differ"),
        ((24, 30), (96, 60), "shapes differ"),
        ((24, 30), (104, 130), "not a whole number"),
        ((10, 10), (400, 400), "at most 32"),
    ],
)
def test_sizes_without_a_scale(first: tuple[int, int], second: tuple[int, int], said: str) -> None:
    for sizes in ((first, second), (second, first)):
        with refused(said) as caught:
            scales_from_sizes(*sizes)
    assert re.search(r"\d+x\d+|32", caught.value.message)


def test_explicit_scales_win() -> None:
    both = parse_overrides(sr_scale="2")
    assert [d.sr_scale for d in assume("ivif", "none", both, pair())] == [2, 2]
    ladder = parse_overrides(sr_scale="4,2")
    found = assume("ivif", "none", ladder, pair(2))
    assert [d.sr_scale for d in found] == [4, 2]
    assert found[0].origin["sr_scale"] == "flag"


def test_explicit_scales_must_agree() -> None:
    with refused("--sr-scale 2,2 makes source 1 60x48 and source 2 240x192"):
        assume("ivif", "none", parse_overrides(sr_scale="2"), pair(4))


# ---- what fuse assumes ------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", PRESET_NAMES)
def test_a_preset_on_files_as_it_makes_them(task: Task, name: PresetName) -> None:
    wanted = preset(task, name)
    first, second = (image(96 // d.sr_scale, 120 // d.sr_scale) for d in wanted)
    found = assume(task, name, NONE, (first, second))
    assert found == wanted
    assert all(d.origin["noise_std"] == "preset" for d in found)
    assert all(d.origin["sr_scale"] == "sizes" for d in found)


def test_composite_noise_is_divided_by_the_scale_of_the_files() -> None:
    stds = {
        scale: assume("ivif", "composite", NONE, pair(scale))[0].noise_std for scale in (1, 2, 4)
    }
    assert stds == {1: pytest.approx(8.06), 2: pytest.approx(4.03), 4: pytest.approx(2.015)}
    medical = assume("medical", "composite", NONE, pair(1))
    assert [d.noise_std for d in medical] == pytest.approx([8.06, 13.97])
    assert [d.sr_scale for d in medical] == [1, 1]
    flagged = assume("ivif", "composite", parse_overrides(sr_scale="2"), pair(1))
    assert [d.noise_std for d in flagged] == pytest.approx([4.03, 4.03])


def test_other_presets_are_not_divided() -> None:
    assert assume("ivif", "noise", NONE, pair(2))[0].noise_std == 13.97


def test_auto_measures_noise_and_assumes_no_blur() -> None:
    first, second = assume("ivif", "auto", NONE, pair(2))
    assert first.noise_std == pytest.approx(6, rel=0.1)
    assert (first.blur_sigma, first.sr_scale, second.sr_scale) == (0, 2, 1)
    assert first.origin == {"noise_std": "estimate", "blur_sigma": "default", "sr_scale": "sizes"}


@pytest.mark.parametrize("mode", ["auto", "blur", "composite"])
def test_flags_override_their_part(mode: Mode) -> None:
    without = assume("ivif", mode, NONE, pair())
    found = assume("ivif", mode, parse_overrides(noise_std="1,2"), pair())
    for number, (old, new) in enumerate(zip(without, found, strict=True), 1):
        assert new == replace(old, noise_std=number)
        assert new.origin == {**old.origin, "noise_std": "flag"}


def test_a_flag_spares_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drfuse_cli.operators.estimate.estimate", lambda image: 1 / 0)
    assume("ivif", "auto", parse_overrides(noise_std="3", blur_sigma="0"), pair())
    for part in (NONE, parse_overrides(noise_std="3"), parse_overrides(blur_sigma="0")):
        with pytest.raises(ZeroDivisionError):
            assume("ivif", "auto", part, pair())


def test_a_psf_replaces_the_blur_of_its_source(tmp_path: Path) -> None:
    kernel = np.zeros((5, 3))
    kernel[1:4, 1] = 2
    np.save(tmp_path / "k.npy", kernel)
    name = str(tmp_path / "k.npy")
    first, second = assume("ivif", "blur", parse_overrides(psf=f"none,{name}"), pair())
    assert (first.blur_sigma, first.psf) == (2, None)
    assert (second.blur_sigma, second.psf_name, second.origin["psf"]) == (0, name, "flag")
    assert second.psf is not None
    assert second.psf.sum() == pytest.approx(1)


def test_dark_borders_of_a_blur_are_noticed() -> None:
    from drfuse_cli.operators.simulate import degrade_image

    blurred = Degradation(blur_sigma=2.0, zero_border=True)
    rng = np.random.default_rng(0)
    dark, bright = (degrade_image(image(96, 120), d, rng) for d in (blurred, Degradation()))
    first, second = assume("ivif", "blur", NONE, (dark, bright))
    assert (first.zero_border, second.zero_border) == (True, False)
    assert first.origin["zero_border"] == "estimate"
    assert "zero_border" not in second.origin
    first, second = assume("ivif", "auto", NONE, (dark, bright))
    assert (first.zero_border, second.zero_border) == (True, False)
    assert first.blur_sigma == pytest.approx(2, abs=0.3)
    assert first.origin["blur_sigma"] == "estimate"


def estimates(**found: Estimate) -> SourceEstimate:
    """A file that nothing is wrong with, but for what is given."""
    nothing = Estimate(0.0, 0.9, "nothing")
    clean = {"noise": nothing, "blur": nothing, "zero_border": nothing, "stripes": nothing}
    whole = {"scale": Estimate(1.0, 0.9, "no"), "jpeg": Estimate(100.0, 0.9, "no")}
    return SourceEstimate(channels=(nothing,), most_blur=None, **{**clean, **whole, **found})


def test_what_is_in_doubt_is_not_assumed() -> None:
    sure, unsure = Estimate(2.0, 0.5, ""), Estimate(2.0, 0.49, "")
    found = believed(estimates(noise=sure, blur=sure))
    assert (found.noise_std, found.blur_sigma) == (2, 2)
    assert found.origin == {"noise_std": "estimate", "blur_sigma": "estimate", "sr_scale": "sizes"}
    found = believed(estimates(noise=unsure, blur=unsure))
    assert found.is_clean
    assert found.origin == {"noise_std": "default", "blur_sigma": "default", "sr_scale": "sizes"}


@pytest.mark.parametrize(("value", "assumed"), [(0.49, 0), (0.5, 0.5)])
def test_noise_within_rounding_is_none(value: float, assumed: float) -> None:
    found = believed(estimates(noise=Estimate(value, 0.9, "")))
    assert found.noise_std == assumed
    assert found.origin["noise_std"] == "estimate"


def test_blur_is_told_on_the_grid_of_the_fused_image() -> None:
    assert believed(estimates(blur=Estimate(1.5, 0.9, "")), 2).blur_sigma == 3


def test_a_zero_padded_blur_is_measured_at_the_borders() -> None:
    both = estimates(blur=Estimate(1.5, 0.9, ""), zero_border=Estimate(2.0, 0.9, ""))
    assert believed(both).blur_sigma == 2


def test_what_is_left_in_is_told() -> None:
    found = believed(
        estimates(
            blur=Estimate(1.2, 0.9, ""),
            scale=Estimate(2.0, 0.9, ""),
            stripes=Estimate(3.25, 0.9, ""),
            jpeg=Estimate(60.0, 0.4, "in doubt"),
        )
    )
    assert found.seen == {"enlarged": 2, "stripes": 3.25}
    assert found.blur_sigma == 0, "interpolation is no Gaussian"
    told = describe(found)
    assert "enlarged 2 times (left so)" in told
    assert "stripes of std 3.2 (left in)" in told
    assert "JPEG" not in told


# ---- what degrade applies -----------------------------------------------------------------------


def test_presets_are_applied_as_published() -> None:
    assert applied("ivif", "composite", NONE) == preset("ivif", "composite")


def test_nothing_to_apply() -> None:
    with refused("nothing says how to degrade"):
        applied("ivif", "auto", NONE)
    assert applied("ivif", "none", NONE) == (Degradation(), Degradation())


def test_flags_alone_are_applied() -> None:
    first, second = applied("ivif", "auto", parse_overrides("3,4", "1", "2,1"))
    assert first == Degradation(noise_std=3, blur_sigma=1, sr_scale=2)
    assert second == Degradation(noise_std=4, blur_sigma=1)


def test_fuse_assumes_what_degrade_applied() -> None:
    """At another scale than the preset's, too."""
    done = applied("ivif", "composite", parse_overrides(sr_scale="2,1"))
    assert assume("ivif", "composite", NONE, pair(2)) == done


# ---- telling --------------------------------------------------------------------------------


def test_every_part_is_told_with_its_origin() -> None:
    first, second = assume("ivif", "composite", parse_overrides(noise_std="3"), pair(4))
    assert describe(first) == (
        "noise std 3 (given), blur sigma 2 (preset), 4 times smaller (from the sizes)"
    )
    assert describe(second).endswith("full size (from the sizes)")
    assert describe(Degradation()) == "no noise, no blur, full size"
    told = describe(Degradation(psf=np.ones((1, 1)), psf_name="k.npy", zero_border=True))
    assert "blur by k.npy" in told
    assert "borders darkened" in told
