"""Classical fusion and restoration: what each must keep, on any size, depth and colour."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from drfuse_cli.colour import luma8, split
from drfuse_cli.config import Degradation
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.baselines import (
    FUSERS,
    RESTORERS,
    Fuser,
    average,
    baseline,
    enlarge,
    fuse,
    laplacian,
    maximum,
    names,
    wavelet,
)
from drfuse_cli.evaluation.guided import guided, guided_filter
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.metrics import psnr, score
from drfuse_cli.operators.simulate import degrade_image, generator

SHARED = Path(__file__).resolve().parents[2] / "shared"

SIZES = [(1, 1), (1, 7), (9, 2), (33, 47), (64, 64)]
DETAILED = [laplacian, wavelet, guided]


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 0.8, (height, width)).astype(np.float32)


def scene(height: int = 48, width: int = 64) -> np.ndarray:
    """Discs and stripes on a slope, 8 bits."""
    y, x = np.mgrid[:height, :width]
    disc = (y - 20) ** 2 + (x - 24) ** 2 < 120
    stripes = (x // 6 % 2 == 0) & (y > 34)
    return np.where(disc, 220, np.where(stripes, 30, 60 + x + y // 2)).astype(np.uint8)


# ---- the guided filter ----------------------------------------------------------------------


def test_the_guided_filter_keeps_the_edges_of_its_guide_and_smooths_elsewhere() -> None:
    guide = np.zeros((40, 60), np.float32)
    guide[:, 30:] = 1
    noise = np.random.default_rng(0).normal(0, 0.1, guide.shape).astype(np.float32)
    found = guided_filter(guide, guide + noise, 7, 1e-6)
    assert np.abs(found - guide).max() < 0.05
    blurred = guided_filter(np.zeros_like(guide), guide + noise, 7, 1e-6)
    assert 0.3 < blurred[20, 30] < 0.7


def test_guided_fusion_takes_each_half_from_where_it_is_sharp() -> None:
    x = texture(64, 96)
    soft = np.full_like(x, x.mean())
    near, far = (np.where(np.arange(96) < 48, *both) for both in ((x, soft), (soft, x)))
    fused = guided(near.astype(np.float32), far.astype(np.float32))
    away = np.r_[8:36, 60:88]
    assert np.abs(fused - x)[8:-8][:, away].mean() < 0.1 * np.abs(soft - x).mean()


# ---- fusion -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("fuser", FUSERS.values(), ids=FUSERS)
def test_an_image_fused_with_itself_stays(fuser: Fuser, size: tuple[int, int]) -> None:
    x = texture(*size)
    fused = fuser(x, x)
    assert fused.shape == size
    np.testing.assert_allclose(fused, x, atol=1e-6)


@pytest.mark.parametrize("fuser", FUSERS.values(), ids=FUSERS)
def test_the_order_of_the_sources_does_not_matter(fuser: Fuser) -> None:
    a, b = texture(33, 40), texture(33, 40, seed=1)
    np.testing.assert_allclose(fuser(a, b), fuser(b, a), atol=1e-6)


def test_average_and_maximum() -> None:
    a, b = np.float32([[0.0, 1.0]]), np.float32([[0.5, 0.5]])
    assert average(a, b).tolist() == [[0.25, 0.75]]
    assert maximum(a, b).tolist() == [[0.5, 1.0]]


@pytest.mark.parametrize("fuser", DETAILED)
def test_detail_is_kept_whole_where_one_source_has_none(fuser: Fuser) -> None:
    flat, rough = np.full((64, 64), 0.5, np.float32), texture(64, 64)
    fused = fuser(flat, rough)
    steps = np.diff(rough, axis=1)
    np.testing.assert_allclose(np.diff(fused, axis=1), steps, atol=0.06)
    assert np.abs(np.diff(average(flat, rough), axis=1) - steps).max() > 0.2


@pytest.mark.parametrize("fuser", DETAILED)
def test_the_base_is_the_mean(fuser: Fuser) -> None:
    dark, bright = np.full((40, 40), 0.2, np.float32), np.full((40, 40), 0.6, np.float32)
    np.testing.assert_allclose(fuser(dark, bright), 0.4, atol=1e-6)


def test_the_wavelet_moves_with_the_scene() -> None:
    a, b = texture(96, 96), texture(96, 96, seed=1)
    whole, moved = wavelet(a, b), wavelet(a[3:, 5:], b[3:, 5:])
    np.testing.assert_allclose(moved[20:-20, 20:-20], whole[23:-20, 25:-20], atol=1e-6)


def test_the_chroma_is_that_of_the_colour_source() -> None:
    rng = np.random.default_rng(0)
    grey = Image(rng.integers(60, 190, (16, 20), dtype=np.uint8))
    colour = Image(rng.integers(90, 160, (16, 20, 3), dtype=np.uint8))
    other = Image(rng.integers(90, 160, (16, 20, 3), dtype=np.uint8))
    assert not fuse((grey, grey), average).colour
    for sources, expected in (((grey, colour), colour), ((colour, grey), colour),
                              ((other, colour), colour)):  # fmt: skip
        chroma = split(fuse(sources, average))[1]
        assert chroma is not None
        np.testing.assert_allclose(chroma, split(expected)[1], atol=0.005)


def test_the_result_is_as_deep_as_the_deeper_source() -> None:
    shallow, deep = Image(np.full((8, 8), 100, np.uint8)), Image(np.full((8, 8), 30000, np.uint16))
    fused = fuse((shallow, deep), average)
    assert fused.bits == 16
    assert fused.pixels[0, 0] == pytest.approx((100 * 257 + 30000) / 2, abs=1)


# ---- restoration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "degradation",
    [
        Degradation(noise_std=14),
        Degradation(blur_sigma=1.5),
        Degradation(noise_std=2, blur_sigma=1, sr_scale=2),
        Degradation(noise_std=3, psf=np.eye(5) / 5),
    ],
    ids=["noise", "blur", "composite", "psf"],
)
@pytest.mark.parametrize("colour", [False, True])
def test_restored_sources_are_closer_to_the_clean_ones(
    degradation: Degradation, colour: bool
) -> None:
    grey = scene()
    clean = Image(np.dstack([grey, grey[::-1], grey // 2]) if colour else grey)
    degraded = degrade_image(clean, degradation, generator(0, "x", "ir"))
    quality = {
        name: psnr(luma8(restore(degraded, degradation, (48, 64))), luma8(clean))
        for name, restore in RESTORERS.items()
    }
    assert quality["restore"] > quality["degraded"] + 0.5
    assert quality["lift"] > quality["degraded"]


def test_what_is_clean_stays() -> None:
    image = Image(scene())
    for name in ("degraded", "restore"):
        restored = RESTORERS[name](image, Degradation(), (48, 64))
        np.testing.assert_array_equal(restored.pixels, image.pixels)


def test_restoration_of_16_bits() -> None:
    deep = Image(scene().astype(np.uint16) * 257)
    noisy = degrade_image(deep, Degradation(noise_std=10), generator(0, "x", "ir"))
    restored = RESTORERS["restore"](noisy, Degradation(noise_std=10), (48, 64))
    assert psnr(luma8(restored), scene()) > psnr(luma8(noisy), scene()) + 2


def test_enlargement_is_bicubic_and_only_where_needed() -> None:
    image = Image(scene(12, 16))
    assert enlarge(image, Degradation(), (12, 16)) is image
    large = enlarge(image, Degradation(sr_scale=4), (48, 64))
    assert (large.height, large.width) == (48, 64)


# ---- names ------------------------------------------------------------------------------------


def test_baselines_by_name() -> None:
    assert set(FUSERS) < set(names())
    assert {baseline(name).name for name in names()} == set(names())
    found = baseline("Restore+LAPLACIAN")
    assert (found.restorer, found.fuser) == ("restore", "laplacian")
    assert baseline("average").restorer == "degraded"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("laplace", "laplacian"),
        ("restore+wavelt", "restore+wavelet"),
        ("degraded+average", "average"),
        ("", "laplacian"),
    ],
)
def test_an_unknown_baseline_suggests(name: str, near: str) -> None:
    with pytest.raises(DrfuseError, match="unknown baseline") as caught:
        baseline(name)
    assert near in str(caught.value.hint)


# ---- beside other people's -------------------------------------------------------------------


def peer_cases() -> list[object]:
    table = SHARED / "peers" / "scores_ivif_pairs.csv"
    if not table.is_file():
        missing = pytest.mark.skip(reason=f"the other methods' scores are not there: {table}")
        return [pytest.param({}, id="absent", marks=missing)]
    with table.open(newline="") as lines:
        rows = {
            row["name"]: row
            for row in csv.DictReader(lines)
            if (row["method"], row["restoration"]) == ("lp", "clean")
        }
    return [pytest.param(rows[name], id=name) for name in ("VIFB_carWhite",)]


@pytest.mark.parametrize("row", peer_cases())
def test_the_pyramid_scores_as_another_implementation_does(row: dict[str, str]) -> None:
    folder = SHARED / "data" / "ivif" / "val"
    first, second = (read_image(folder / role / f"{row['name']}.png") for role in ("ir", "vis"))
    fused = fuse((first, second), laplacian)
    scores = score(luma8(first), luma8(second), luma8(fused), ("Q_MI", "Q_G", "Q_CB", "Q_W"))
    for column in scores:
        assert scores[column].value == pytest.approx(float(row[column]), abs=0.005), column
