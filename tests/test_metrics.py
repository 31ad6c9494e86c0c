"""The fusion metrics: against reference values, on images of our own, at the edges."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metrics_support import Triple, infrared, ramps, scene, textured, visible

from bench.metrics.golden import Case, read_cases
from drfuse_cli.errors import DrfuseError
from drfuse_cli.metrics import (
    DRFUSION_TABLE,
    METRICS,
    PRESETS,
    RECOFUSE_TABLE,
    Sources,
    psnr,
    resolve,
    score,
    score_against,
)
from drfuse_cli.metrics.phase import phase_congruency
from drfuse_cli.metrics.triple import Picture

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"

# The reference rates a constant fused image at 0.997; we say that it has no value.
NO_VALUE = {("edge_const_fused", "Q_P")}


def golden_cases() -> list[Any]:
    missing = pytest.mark.skip(reason=f"the reference values are not there: {GOLDEN}")
    found = [pytest.param(case, id=case.name) for case in read_cases(GOLDEN)]
    return found or [pytest.param(None, id="absent", marks=missing)]


@pytest.mark.parametrize("case", golden_cases())
def test_agrees_with_the_reference_implementation(case: Case) -> None:
    assert len(case.references) >= 8
    for name, result in score(*case.pictures(), list(case.references)).items():
        reference = case.references[name]
        if reference.value is None or (case.name, name) in NO_VALUE:
            assert result.value is None, name
            assert result.reason, name
            continue
        # FMI is listed as loosely known, for its flat windows; ours are those of the reference.
        slack = 0 if name == "FMI" else 3 * reference.deviation
        expected = pytest.approx(reference.value, rel=max(1e-6, slack), abs=slack)
        assert result.value == expected, name


def test_every_metric_has_reference_values() -> None:
    cases = read_cases(GOLDEN)
    if not cases:
        pytest.skip(f"the reference values are not there: {GOLDEN}")
    assert set(METRICS) == {name for case in cases for name in case.references}


# "ramps": printed by the reference implementations themselves (see the registry) in Octave. The
# others: by the literal implementations in test_metrics_reference.py, and those of MS_SSIM by
# pytorch-msssim 1.0.0 in double precision, on the same pictures at 161 x 166.
PINNED = {
    "ramps": {
        "EN": 6.33041784301, "SD": 58.7933731318, "SF": 4.48241985606, "AG": 3.25578292385,
        "MI": 6.1565247083, "Q_MI": 1.0141867776, "Q_TE": 0.554916729401, "Q_NCIE": 0.820895747033,
        "Q_G": 0.69177106381, "Q_M": 1.9132348233, "Q_SF": -0.205340596026, "Q_P": 0.680305068596,
        "Q_S": 0.505083287652, "Q_W": 0.505083287652, "Q_E": 0.492453529169, "Q_C": 0.951217236307,
        "Q_Y": 0.981541010499, "Q_CV": 220.569795186, "Q_CB": 0.419694075483, "CC": 0.611270273157,
        "SCD": 1.2268781035, "VIF": 0.754307940194, "VIFF": 0.0485439665292, "FMI": 0.489529171713,
        "N_ABF": 0.0, "SSIM": 0.660195525493, "PSNR": 11.0000302806, "MSE": 5165.08333333,
    },
    "scene": {
        "EN": 6.10366707568, "SD": 35.8650310458, "SF": 21.6596453809, "AG": 6.50814705939,
        "MI": 5.33275707519, "Q_MI": 0.927194659791, "Q_TE": 0.59028347751,
        "Q_NCIE": 0.818402105419, "Q_G": 0.31769763475, "Q_M": 0.371267416608,
        "Q_SF": -0.553076218183, "Q_P": 0.486025626838, "Q_S": 0.605461158019,
        "Q_W": 0.6641169856, "Q_E": 0.376793388427, "Q_C": 0.613646267713,
        "Q_Y": 0.607424241181, "Q_CV": 700.241518326, "Q_CB": 0.638147923196,
        "CC": 0.680461430999, "SCD": 1.3942055669, "VIF": 0.527381546344,
        "VIFF": 0.468929901213, "FMI": 0.459631042789, "N_ABF": 0.0, "SSIM": 0.541673866434,
        "MS_SSIM": 0.391234516279, "PSNR": 16.338393344, "MSE": 1510.91845703125,
    },
    "textured": {
        "EN": 7.66750809946, "SD": 61.5103100292, "SF": 39.3622181774, "AG": 19.8090790708,
        "MI": 10.5147821321, "Q_MI": 1.38983793532, "Q_TE": 0.513647551185,
        "Q_NCIE": 0.866064130238, "Q_G": 0.495944662761, "Q_M": 0.84346275347,
        "Q_SF": 0.369134209779, "Q_P": 0.116042853859, "Q_S": 0.743657397769,
        "Q_W": 0.758558540922, "Q_E": 0.385649009665, "Q_C": 0.795609395822,
        "Q_Y": 0.822218334371, "Q_CV": 573.074955848, "Q_CB": 0.729895963296,
        "CC": 0.625801958407, "SCD": 1.52865817807, "VIF": 0.334311986893,
        "VIFF": 0.488552148699, "FMI": 0.527795314742, "N_ABF": 0.0999533523993,
        "SSIM": 0.550475604819, "MS_SSIM": 0.628225184186, "PSNR": 14.5943661768,
        "MSE": 2257.58308877,
    },
}  # fmt: skip


def pictures(kind: str, name: str | None = None) -> Triple:
    size = (161, 166) if name == "MS_SSIM" else ()
    return {"ramps": ramps, "scene": scene, "textured": textured}[kind](*size)


def value_of(name: str, a: np.ndarray, b: np.ndarray, f: np.ndarray) -> float:
    result = score(a, b, f, [name])[name]
    assert result.value is not None, result.reason
    return result.value


@pytest.mark.parametrize(
    ("kind", "name"), [(k, name) for k, held in PINNED.items() for name in held]
)
def test_values_on_pictures_of_our_own(kind: str, name: str) -> None:
    value = value_of(name, *pictures(kind, name))
    assert value == pytest.approx(PINNED[kind][name], rel=2e-7 if name == "MS_SSIM" else 1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_a_small_error_in_the_fused_image_moves_every_metric(name: str) -> None:
    """The tolerances above would notice one changed pixel."""
    a, b, f = pictures("textured", name)
    f[10, 10] ^= 32
    assert value_of(name, a, b, f) != pytest.approx(PINNED["textured"][name], rel=1e-6)


def test_neither_order_nor_company_changes_a_value() -> None:
    """What metrics share is the same whoever asks first."""
    a, b, f = scene(161, 166)
    together = score(a, b, f)
    assert list(together) == list(METRICS)
    backwards = score(a, b, f, list(METRICS)[::-1])
    for name in METRICS:
        assert score(a, b, f, [name])[name] == together[name] == backwards[name], name


def test_no_metric_is_left_without_values() -> None:
    for kind in ("scene", "textured"):
        assert list(PINNED[kind]) == list(METRICS)


def test_threads_change_no_value() -> None:
    a, b, f = scene(161, 166)
    asked = ["Q_P", "EN", "Q_W", "MI", "FMI", "Q_E", "VIF"]
    found = score_against(Sources.of(a, b), f, asked, threads=2)
    assert list(found) == asked
    assert found == score(a, b, f, asked)


def test_sources_serve_several_fused_images() -> None:
    a, b, f = scene()
    sources = Sources.of(a, b)
    for image in (f, a, f):
        assert score_against(sources, image) == score(a, b, image)


# VIFF takes the second source where both gains are equal, and the literal reference does too.
@pytest.mark.parametrize("name", [name for name in METRICS if name != "VIFF"])
def test_the_order_of_the_sources_does_not_matter(name: str) -> None:
    a, b, f = pictures("textured", name)
    assert value_of(name, a, b, f) == pytest.approx(value_of(name, b, a, f), rel=1e-9)


def images_to_fuse() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (161, 166), dtype=np.uint8)
    a, b, f = textured(161, 166)
    return [f, a, 255 - b, noise, np.where(noise > 127, 255, 0).astype(np.uint8)]


@pytest.mark.parametrize("name", METRICS)
def test_values_lie_in_the_stated_range(name: str) -> None:
    low, high = METRICS[name].range
    a, b, _ = textured(161, 166)
    for f in images_to_fuse():
        value = score(a, b, f, [name])[name].value
        if value is not None:
            assert low is None or value >= low - 1e-12
            assert high is None or value <= high + 1e-12
        else:
            assert name == "SCD" or f is not a


@pytest.mark.parametrize("name", [m.id for m in METRICS.values() if m.identity is not None])
@pytest.mark.parametrize("kind", ["scene", "textured"])
def test_identical_images_reach_the_stated_value(name: str, kind: str) -> None:
    x = pictures(kind, name)[0]
    assert value_of(name, x, x, x) == pytest.approx(METRICS[name].identity, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("name", "reason"), [("PSNR", "infinite"), ("SCD", "by a constant")])
def test_identical_images_have_no_value(name: str, reason: str) -> None:
    x = infrared()
    result = score(x, x, x, [name])[name]
    assert result.value is None
    assert reason in str(result.reason)


# They count detail whatever it is: noise makes up for what averaging loses.
IMPRESSED_BY_NOISE = {"EN", "SD", "SF", "AG", "Q_SF"}


@pytest.mark.parametrize("name", METRICS)
def test_noise_on_the_fused_image_is_worse_for_every_metric_that_compares(name: str) -> None:
    a, b, _ = textured(161, 166)
    average = ((a.astype(int) + b + 1) // 2).astype(np.uint8)
    noise = np.random.default_rng(3).normal(0, 25, average.shape)
    noisy = np.clip(np.round(average + noise), 0, 255).astype(np.uint8)
    clean_merit, noisy_merit = (
        METRICS[name].merit(value_of(name, a, b, f)) for f in (average, noisy)
    )
    assert (noisy_merit > clean_merit) == (name in IMPRESSED_BY_NOISE)


def test_edges_beside_those_of_the_sources_are_worse_than_none() -> None:
    """Why the range of Q_P begins below 0."""
    a, f = np.full((2, 96, 96), 40, np.uint8)
    a[:, ::20], f[:, 7::20] = 220, 220
    assert METRICS["Q_P"].range[0] <= value_of("Q_P", a, a, f) < -0.01


def test_merit_is_larger_for_the_better_value() -> None:
    assert METRICS["Q_G"].merit(0.5) > METRICS["Q_G"].merit(0.4)
    assert METRICS["MSE"].merit(4) > METRICS["MSE"].merit(5)
    assert METRICS["Q_SF"].merit(0.1) > METRICS["Q_SF"].merit(-0.2)
    assert METRICS["Q_SF"].merit(-0.1) > METRICS["Q_SF"].merit(0.2)


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_every_entry_is_complete(metric: Any) -> None:
    assert metric.id == metric.id.upper()
    assert metric.better in {"higher", "lower", "zero"}
    assert metric.title
    assert metric.formula
    assert metric.source
    assert not any(text.endswith(".") for text in (metric.title, metric.formula, metric.source))
    assert all(sentence.endswith(".") for sentence in metric.variants)
    low, high = metric.range
    assert metric.identity is None or (low is None or low <= metric.identity)
    assert metric.identity is None or (high is None or metric.identity <= high)


# ---- pictures that some metrics cannot rate -------------------------------------------------

# What has a value where all three images are constant and equal.
VALUE_OF_NOTHING = {
    "EN": 0, "SD": 0, "SF": 0, "AG": 0, "MI": 0, "MSE": 0, "N_ABF": 0, "Q_S": 1, "Q_W": 1,
    "Q_E": 1, "Q_C": 1, "Q_Y": 1, "SSIM": 1, "FMI": 1,
}  # fmt: skip
NEED_CONTRAST = ("Q_MI", "Q_NCIE", "Q_TE", "Q_P", "Q_CV", "Q_CB", "CC", "SCD", "VIF", "VIFF")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        (name, place)
        for name in NEED_CONTRAST
        for place in (0, 1, 2)
        if place < 2 or name not in {"SCD", "VIF", "VIFF"}  # these rate a constant fused image
    ],
)
def test_a_constant_image_is_undefined_with_a_reason(name: str, place: int) -> None:
    images = list(scene())
    images[place] = np.full_like(images[place], 128)
    result = score(*images, [name])[name]
    assert result.value is None
    which = ("first source", "second source", "fused image")[place]
    assert result.reason == f"constant image: the {which}"


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "second", "fused"])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_constant_image_never_gives_nan(place: int, level: int) -> None:
    images = list(scene(161, 166))
    images[place] = np.full_like(images[place], level)
    for result in score(*images).values():
        assert (result.value is None) == bool(result.reason)
        assert result.value is None or math.isfinite(result.value)


@pytest.mark.parametrize("level", [1, 128, 255])
def test_nothing_but_constant_images(level: int) -> None:
    flat = np.full((170, 164), level, np.uint8)
    results = score(flat, flat, flat)
    defined = {name: result.value for name, result in results.items() if result.reason is None}
    edge = {"Q_G": METRICS["Q_G"].identity, "MS_SSIM": 1.0}  # the border is an edge to Q_G
    assert defined == pytest.approx(VALUE_OF_NOTHING | edge, abs=1e-12)


@pytest.mark.parametrize("name", ["EN", "MI"])
def test_nothing_is_told_without_a_sign(name: str) -> None:
    """As -0.0 it would look like a loss."""
    a, b, _ = textured()
    value = value_of(name, a, b, np.full_like(a, 90))
    assert (value, math.copysign(1, value)) == (0, 1)


def test_independent_images_share_no_less_than_nothing() -> None:
    for side in range(7, 40):
        rows, columns = np.indices((side, side)).astype(np.uint8)
        assert 0 <= value_of("MI", rows, rows, columns) < 1e-12


def test_black_images_raise_nothing() -> None:
    black = np.zeros((170, 164), np.uint8)
    for result in score(black, black, black).values():
        assert (result.value is None) == bool(result.reason)


@pytest.mark.parametrize(
    ("name", "side"), [(m.id, m.minimum_size) for m in METRICS.values() if m.minimum_size > 1]
)
def test_too_small_is_undefined_and_the_least_size_is_not(name: str, side: int) -> None:
    a, b, f = (x[5 : 5 + side, 10 : 10 + side] for x in textured(side + 40, side + 40))
    assert score(a, b, f, [name])[name].value is not None
    for part in (np.s_[1:], np.s_[:, 1:]):
        result = score(a[part], b[part], f[part], [name])[name]
        assert result.value is None
        assert f"smaller than {side}x{side}" in str(result.reason)


def test_a_single_pixel_raises_nothing() -> None:
    pixel = np.array([[7]], np.uint8)
    results = score(pixel, pixel, pixel)
    assert {name for name, result in results.items() if result.value is not None} == {
        "EN", "SD", "MI", "MSE"
    }  # fmt: skip
    assert all(result.reason for result in results.values() if result.value is None)


def test_slices_of_larger_arrays_score_the_same() -> None:
    a, b, f = (np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2] for x in textured())
    for name, result in score(a, b, f).items():
        if name != "MS_SSIM":
            assert result.value == pytest.approx(PINNED["textured"][name], rel=1e-9), name


# ---- single metrics -------------------------------------------------------------------------


def test_independent_images_have_the_least_correlation_entropy() -> None:
    rows, columns = (np.indices((256, 256)) % 256).astype(np.uint8)
    flat = np.zeros_like(rows)
    value = score(rows, columns, flat, ["Q_NCIE"])["Q_NCIE"].value
    assert value == pytest.approx(METRICS["Q_NCIE"].range[0], rel=1e-12)


@pytest.mark.parametrize("name", ["EN", "MI", "Q_MI", "Q_NCIE"])
def test_histogram_metrics_ignore_which_grey_level_is_which(name: str) -> None:
    shuffled = np.random.default_rng(2).permutation(256).astype(np.uint8)
    a, b, f = scene()
    assert value_of(name, a, b, shuffled[f]) == pytest.approx(value_of(name, a, b, f), rel=1e-12)


def test_an_even_histogram_has_eight_bits() -> None:
    f = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert value_of("EN", f, f, f) == 8
    assert value_of("MI", f, f, f) == 16


def test_a_ramp_has_its_slope_for_gradient_and_frequency() -> None:
    ramp = np.tile(np.arange(0, 90, 3, dtype=np.uint8), (20, 1))
    assert value_of("SF", ramp, ramp, ramp) == pytest.approx(3)
    assert value_of("AG", ramp, ramp, ramp) == pytest.approx(3 / 2**0.5 * 600 / (19 * 29))


def test_the_difference_of_sources_is_not_clipped() -> None:
    a, b, _ = textured()
    f = np.minimum(a, b)
    expected = np.corrcoef(f.astype(float).ravel() - b.ravel(), a.ravel())[0, 1]
    expected += np.corrcoef(f.astype(float).ravel() - a.ravel(), b.ravel())[0, 1]
    assert value_of("SCD", a, b, f) == pytest.approx(expected)


def test_noise_between_flat_areas_is_no_similarity() -> None:
    """Q_Y on flat areas is rounding: a mean that no similarity can have is no value."""
    a = np.full((40, 60), 201, np.uint8)
    a[:, 30:] = 77
    f = a.copy()
    f[f == 201] = 203
    result = score(a, 255 - a, f, ["Q_Y"])["Q_Y"]
    assert result.value is None or abs(result.value) <= 1


def test_psnr_of_two_images() -> None:
    x = infrared()
    assert psnr(x, x) == math.inf
    assert psnr(x, x + 1) == pytest.approx(48.130803608679)
    with pytest.raises(DrfuseError, match="different shapes"):
        psnr(x, x[1:])


def test_fusion_psnr_averages_the_error_not_the_decibels() -> None:
    x = infrared()
    assert value_of("PSNR", x, x + 2, x) == pytest.approx(10 * math.log10(255**2 / 2))


def test_phase_congruency_marks_an_edge_and_not_the_flat_area() -> None:
    step = np.zeros((64, 64), np.uint8)
    step[16:48, 16:48] = 200
    congruency = phase_congruency(Picture(step)).congruency
    assert congruency[32, 14:18].max() > 0.6
    assert congruency[32, 32] < 0.1


# ---- names and images -----------------------------------------------------------------------


def test_ids_in_any_case_and_in_the_order_asked() -> None:
    assert list(score(*scene(), ["q_w", "Q_mi"])) == ["Q_W", "Q_MI"]
    assert [metric.id for metric in resolve("q_w, Q_mi,,q_W")] == ["Q_W", "Q_MI"]
    assert [metric.id for metric in resolve()] == list(METRICS)


def test_presets_are_the_columns_of_the_papers() -> None:
    assert DRFUSION_TABLE == ("Q_MI", "Q_NCIE", "Q_G", "Q_P", "Q_CB", "Q_W")
    assert RECOFUSE_TABLE == ("SD", "MI", "EN", "CC", "SCD", "VIF")
    assert [metric.id for metric in resolve("all")] == list(METRICS)
    assert [metric.id for metric in resolve("DRFusion")] == list(DRFUSION_TABLE)
    assert [metric.id for metric in resolve(["recofuse", "EN", "SSIM"])] == [
        *RECOFUSE_TABLE,
        "SSIM",
    ]
    assert list(PRESETS) == ["all", "drfusion", "recofuse"]


def test_the_contract_names_every_metric() -> None:
    contract = (
        "EN SD SF AG MI Q_MI Q_TE Q_NCIE Q_G Q_M Q_SF Q_P Q_S Q_W Q_E Q_C Q_Y Q_CV Q_CB CC SCD "
        "VIF VIFF FMI N_ABF SSIM MS_SSIM PSNR MSE"
    )
    assert list(METRICS) == contract.split()


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("Q_X", "Q_"),
        ("QMI", "Q_MI?"),
        ("ms-sim", "MS_SSIM"),
        ("Qabf", "mean Q_G?"),
        ("drfuson", "drfusion"),
    ],
)
def test_an_unknown_id_is_told_the_near_ones(asked: str, near: str) -> None:
    with pytest.raises(DrfuseError, match=f"unknown metric {asked}") as caught:
        resolve(["Q_MI", asked])
    hint = str(caught.value.hint)
    assert near in hint.partition("choose from")[0]
    assert "Q_NCIE" in hint


def test_an_id_like_none_is_told_all() -> None:
    with pytest.raises(DrfuseError, match="unknown metric zzzzzz") as caught:
        resolve("zzzzzz")
    assert str(caught.value.hint).startswith("choose from all, drfusion, recofuse, EN")
    with pytest.raises(DrfuseError, match="no metric"):
        resolve(" , ")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((48, 64)), "the fused image is float64"),
        (np.zeros((48, 64, 3), np.uint8), r"\(48, 64, 3\)"),
        (np.zeros((48, 64), np.uint16), "uint16"),
        (np.zeros((0, 64), np.uint8), r"\(0, 64\)"),
        (np.zeros((47, 64), np.uint8), "the fused image is 64x47, its sources are 64x48"),
    ],
)
def test_anything_but_grey_bytes_of_one_size_is_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(DrfuseError, match=message):
        score(infrared(), visible(), image)


def test_sources_of_other_sizes_or_types_are_refused() -> None:
    with pytest.raises(DrfuseError, match="differ in size: 64x48 and 64x47"):
        Sources.of(infrared(), visible(47))
    with pytest.raises(DrfuseError, match="the second source is float64"):
        Sources.of(infrared(), visible() / 2)
