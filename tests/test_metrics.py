"""The fusion metrics: against reference values, on images of our own, at the edges."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import read_image
from drfuse_cli.metrics import DRFUSION_TABLE, METRICS, psnr, resolve, score
from drfuse_cli.metrics.phase import phase_congruency

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"

# Relative deviations that the reference values themselves are listed with, times three.
ILL_CONDITIONED = {("petmri1_lap", "Q_CB"): 3.3e-4}
# The reference rates a constant fused image at 0.997; we say that it has no value.
NO_VALUE = {("edge_const_fused", "Q_P")}


def golden_cases() -> list[Any]:
    cases: list[Any] = []
    for suite in ("cases", "matlab"):
        path = GOLDEN / suite / "golden.json"
        if path.is_file():
            values = json.loads(path.read_text())["golden"]
            cases += [pytest.param(suite, name, values[name], id=name) for name in values]
    missing = pytest.mark.skip(reason=f"the reference values are not there: {GOLDEN}")
    return cases or [pytest.param("", "", {}, id="absent", marks=missing)]


@pytest.mark.parametrize(("suite", "case", "expected"), golden_cases())
def test_agrees_with_the_reference_implementation(
    suite: str, case: str, expected: dict[str, Any]
) -> None:
    folder = GOLDEN / suite / "images" / case
    a, b, f = (read_image(folder / f"{name}.png").pixels for name in ("ir", "vi", "fused"))
    compared = [name for name in METRICS if name in expected]
    assert compared
    for name, result in score(a, b, f, compared).items():
        reference = expected[name]
        if not isinstance(reference, float) or (case, name) in NO_VALUE:
            assert result.value is None, name
            assert result.reason, name
        else:
            tolerance = ILL_CONDITIONED.get((case, name), 1e-8)
            assert result.value == pytest.approx(reference, rel=tolerance), name


def infrared(height: int = 48, width: int = 64) -> np.ndarray:
    """A warm disc on a slope."""
    y, x = np.mgrid[:height, :width]
    disc = (y - 20) ** 2 + (x - 24) ** 2 < 100
    return np.where(disc, 230, 40 + x + y // 2).astype(np.uint8)


def visible(height: int = 48, width: int = 64) -> np.ndarray:
    """Slanted stripes that fade, with a dark bar."""
    y, x = np.mgrid[:height, :width]
    stripes = 120 + (80 - x) * ((x + 2 * y) // 7 % 2)
    return np.where((y > 30) & (y < 36), 15, stripes).astype(np.uint8)


def fused(height: int = 48, width: int = 64) -> np.ndarray:
    a, b = infrared(height, width).astype(int), visible(height, width).astype(int)
    return ((2 * a + b + 1) // 3).astype(np.uint8)


SCENE = {
    (48, 64): {
        "Q_MI": 0.927194659791,
        "Q_NCIE": 0.818402105419,
        "Q_G": 0.31769763475,
        "Q_P": 0.486025626838,
        "Q_CB": 0.638147923196,
        "Q_W": 0.6641169856,
        "SSIM": 0.541673866434,
        "PSNR": 16.338393344,
    },
    (37, 53): {
        "Q_MI": 1.04776245805,
        "Q_NCIE": 0.820142886245,
        "Q_G": 0.331653903476,
        "Q_P": 0.433531164793,
        "Q_CB": 0.618595052689,
        "Q_W": 0.706426253592,
        "SSIM": 0.551180165568,
        "PSNR": 15.5062624566,
    },
}


@pytest.mark.parametrize("shape", SCENE, ids=["even", "odd"])
def test_values_on_a_scene_of_our_own(shape: tuple[int, int]) -> None:
    results = score(infrared(*shape), visible(*shape), fused(*shape))
    assert list(results) == list(METRICS)
    for name, expected in SCENE[shape].items():
        assert results[name].value == pytest.approx(expected, rel=1e-7), name


def test_a_small_error_in_the_fused_image_moves_every_metric() -> None:
    """The tolerances above would notice one changed pixel."""
    worse = fused()
    worse[10, 10] ^= 32
    results = score(infrared(), visible(), worse)
    for name, expected in SCENE[48, 64].items():
        assert results[name].value != pytest.approx(expected, rel=1e-7), name


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_the_sources_does_not_matter(name: str) -> None:
    one = score(infrared(), visible(), fused(), [name])[name].value
    other = score(visible(), infrared(), fused(), [name])[name].value
    assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_values_lie_in_the_stated_range(name: str) -> None:
    low, high = METRICS[name].range
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (48, 64), dtype=np.uint8)
    negative = 255 - infrared()
    for f in (fused(), noise, negative, infrared()):
        value = score(infrared(), visible(), f, [name])[name].value
        assert value is not None
        assert low is None or value >= low
        assert high is None or value <= high


@pytest.mark.parametrize("name", [m.id for m in METRICS.values() if m.identity is not None])
def test_identical_images_reach_the_stated_value(name: str) -> None:
    x = infrared()
    value = score(x, x, x, [name])[name].value
    assert value == pytest.approx(METRICS[name].identity, rel=1e-9)


def test_identical_images_have_no_finite_psnr() -> None:
    x = infrared()
    result = score(x, x, x, ["PSNR"])["PSNR"]
    assert result.value is None
    assert "infinite" in str(result.reason)


def test_independent_images_have_the_least_correlation_entropy() -> None:
    rows, columns = (np.indices((256, 256)) % 256).astype(np.uint8)
    flat = np.zeros_like(rows)
    value = score(rows, columns, flat, ["Q_NCIE"])["Q_NCIE"].value
    assert value == pytest.approx(METRICS["Q_NCIE"].range[0], rel=1e-12)


@pytest.mark.parametrize("name", ["Q_MI", "Q_NCIE"])
def test_histogram_metrics_ignore_which_grey_level_is_which(name: str) -> None:
    shuffled = np.random.default_rng(2).permutation(256).astype(np.uint8)
    before = score(infrared(), visible(), fused(), [name])[name].value
    after = score(infrared(), visible(), shuffled[fused()], [name])[name].value
    assert after == pytest.approx(before, rel=1e-12)


@pytest.mark.parametrize("name", ["Q_MI", "Q_NCIE", "Q_P", "Q_CB"])
@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "second", "fused"])
def test_a_constant_image_is_undefined_with_a_reason(name: str, place: int) -> None:
    images = [infrared(), visible(), fused()]
    images[place] = np.full_like(images[place], 128)
    result = score(*images, [name])[name]
    assert result.value is None
    assert "constant image" in str(result.reason)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_nothing_but_constant_images_never_gives_nan(level: int) -> None:
    flat = np.full((32, 32), level, np.uint8)
    for result in score(flat, flat, flat).values():
        assert (result.value is None) == bool(result.reason)
        assert result.value is None or math.isfinite(result.value)


@pytest.mark.parametrize(
    ("name", "side"), [(m.id, m.minimum_size) for m in METRICS.values() if m.minimum_size > 1]
)
def test_too_small_is_undefined_and_the_least_size_is_not(name: str, side: int) -> None:
    a, b, f = (image(48, side + 30)[10:40, 5 : 5 + side] for image in (infrared, visible, fused))
    assert score(a, b, f, [name])[name].value is not None
    result = score(a[:, 1:], b[:, 1:], f[:, 1:], [name])[name]
    assert result.value is None
    assert f"smaller than {side}x{side}" in str(result.reason)


def test_a_single_pixel_raises_nothing() -> None:
    pixel = np.array([[7]], np.uint8)
    for result in score(pixel, pixel, pixel).values():
        assert result.value is None
        assert result.reason


def test_psnr_of_two_images() -> None:
    x = infrared()
    assert psnr(x, x) == math.inf
    assert psnr(x, x + 1) == pytest.approx(48.130803608679)
    with pytest.raises(DrfuseError, match="different shapes"):
        psnr(x, x[1:])


def test_fusion_psnr_averages_the_error_not_the_decibels() -> None:
    x = infrared()
    value = score(x, x + 2, x, ["PSNR"])["PSNR"].value
    assert value == pytest.approx(10 * math.log10(255**2 / 2))


def test_phase_congruency_marks_an_edge_and_not_the_flat_area() -> None:
    step = np.zeros((64, 64), np.uint8)
    step[16:48, 16:48] = 200
    congruency = phase_congruency(step).congruency
    assert congruency[32, 14:18].max() > 0.6
    assert congruency[32, 32] < 0.1


def test_ids_in_any_case_and_in_the_order_asked() -> None:
    results = score(infrared(), visible(), fused(), ["q_w", "Q_mi"])
    assert list(results) == ["Q_W", "Q_MI"]
    assert [metric.id for metric in resolve()] == list(METRICS)
    assert set(DRFUSION_TABLE) <= set(METRICS)


def test_an_unknown_id_names_the_known_ones() -> None:
    with pytest.raises(DrfuseError, match="unknown metric Q_X") as caught:
        resolve(["Q_MI", "Q_X"])
    assert "Q_NCIE" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((48, 64)), "float64"),
        (np.zeros((48, 64, 3), np.uint8), r"\(48, 64, 3\)"),
        (np.zeros((48, 64), np.uint16), "uint16"),
        (np.zeros((0, 64), np.uint8), r"\(0, 64\)"),
        (np.zeros((47, 64), np.uint8), "sizes differ: sources 64x48 and 64x48"),
    ],
)
def test_anything_but_grey_bytes_of_one_size_is_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(DrfuseError, match=message):
        score(infrared(), visible(), image)
