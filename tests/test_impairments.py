"""Low light, haze, low contrast, stripes and noise: what they do, and how strong they are drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from drfuse_cli.imageio import Image
from drfuse_cli.impairments import (
    INFRARED,
    KINDS,
    VISIBLE,
    Haze,
    Kind,
    LowContrast,
    LowLight,
    Noise,
    Stripes,
    describe,
    draw,
    draw_all,
    impair,
    impair_image,
)

RAMP = np.linspace(0.2, 0.6, 64 * 96).reshape(64, 96)
"""Mid greys, brighter from row to row."""
SEEDS = range(60)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(kind: Kind, number: int = len(SEEDS)) -> list[np.ndarray]:
    """The ramp after as many draws."""
    return [impair(RAMP, (draw(kind, rng(seed)),), rng(seed)) for seed in SEEDS[:number]]


# ---- every kind -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(24, 31), (24, 31, 3), (1, 1), (1, 9), (9, 1, 3)])
def test_shape_range_and_rounding(kind: Kind, shape: tuple[int, ...]) -> None:
    image = rng().random(shape).astype(np.float32)
    before = image.copy()
    for seed in range(5):
        found = impair(image, (draw(kind, rng(seed)),), rng(seed))
        assert found.shape == shape
        assert found.dtype == np.float32
        assert 0 <= found.min() <= found.max() <= 1
        np.testing.assert_allclose(found * 255, np.rint(found * 255), atol=1e-4)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides(kind: Kind) -> None:
    assert draw(kind, rng(1)) == draw(kind, rng(1)) != draw(kind, rng(2))
    one, again, other = (impair(RAMP, (draw(kind, rng(1)),), rng(s)) for s in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    is_random = kind in ("haze", "stripes", "noise")
    assert np.array_equal(one, other) != is_random


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_something_and_says_what(kind: Kind) -> None:
    one = draw(kind, rng())
    assert np.abs(impair(RAMP, (one,), rng()) - RAMP).max() > 2 / 255
    told = describe(one)
    assert told.pop("kind") == kind
    assert type(one)(**told) == one
    assert all(type(value) is float for value in told.values())


# ---- the measured ranges --------------------------------------------------------------------


def fall(image: np.ndarray) -> float:
    return 1 - float(image.mean() / RAMP.mean())


MEASURED: dict[str, tuple[Kind, Callable[[np.ndarray], float], float, float]] = {
    "luminance falls by": ("lowlight", fall, 0.15, 0.8),
    "mean under haze": ("haze", lambda x: float(x.mean()), 0.45, 0.76),
    "black under low contrast": ("contrast", lambda x: float(x.min()), 0.2, 0.75),
    "span left by low contrast": ("contrast", lambda x: float(np.ptp(x) / np.ptp(RAMP)), 0.27, 0.8),
    "noise": ("noise", lambda x: float((x - RAMP).std()) * 255, 3.9, 16.3),
    "stripes": ("stripes", lambda x: float((x - RAMP).mean(0).std()) * 255, 0.9, 5.5),
}


@pytest.mark.parametrize("name", MEASURED)
def test_draws_fill_the_measured_range(name: str) -> None:
    kind, measure, low, high = MEASURED[name]
    values = [measure(image) for image in drawn(kind)]
    assert low <= min(values) <= max(values) <= high
    assert max(values) - min(values) > 0.4 * (high - low)


def test_wide_draws_reach_beyond_the_measured_range() -> None:
    drawn_wide = [draw("stripes", rng(seed), wide=True) for seed in range(60)]
    assert all(isinstance(one, Stripes) for one in drawn_wide)
    assert max(one.std for one in drawn_wide if one.share == 1) > 6  # type: ignore[attr-defined]
    assert 10 < sum(one.band > 0 for one in drawn_wide) < 40  # type: ignore[attr-defined]
    infrared = [draw("contrast", rng(seed), wide=True) for seed in range(60)]
    assert max(one.gain for one in infrared) > 0.8  # type: ignore[attr-defined]
    assert min(one.offset for one in infrared) < 0.18  # type: ignore[attr-defined]
    nights = [draw("lowlight", rng(seed), wide=True) for seed in range(60)]
    assert max(one.exponent for one in nights) > 2.3  # type: ignore[attr-defined]


# ---- one by one -----------------------------------------------------------------------------


def test_bands_are_as_strong_as_stripes_and_smoother() -> None:
    flat = np.full((4, 20000), 0.5)
    white, bands = (255 * Stripes(4, band=b).apply(flat, rng())[0] for b in (0, 1.5))
    assert white.std() == pytest.approx(4, rel=0.05)
    assert bands.std() == pytest.approx(4, rel=0.05)
    assert abs(np.corrcoef(white[:-1], white[1:])[0, 1]) < 0.05
    assert np.corrcoef(bands[:-1], bands[1:])[0, 1] == pytest.approx(0.9, abs=0.03)


def test_low_light_keeps_black_white_and_order() -> None:
    levels = np.linspace(0, 1, 256)[None]
    dark = LowLight(1.4, 1.0).apply(levels, rng())
    assert (dark[0, 0], dark[0, -1]) == (0, 1)
    assert (dark <= levels).all()
    assert (np.diff(dark[0, : 256 * 9 // 10]) > 0).all()


def test_haze_pulls_everything_towards_the_airlight() -> None:
    image = rng().random((60, 80, 3))
    hazy = Haze(0.4, 0.8, 0.2).apply(image, rng(1))
    assert (np.abs(hazy - 0.8) <= np.abs(image - 0.8)).all()
    transmission = (hazy - 0.8) / (image - 0.8)
    np.testing.assert_allclose(transmission, transmission[..., :1].repeat(3, 2), rtol=1e-6)
    assert transmission.mean() == pytest.approx(0.4, abs=0.05)
    assert transmission[:20].mean() < transmission[-20:].mean(), "far is above"


def test_even_haze_is_a_straight_line() -> None:
    hazy = Haze(0.5, 0.8, 0.0).apply(RAMP, rng())
    np.testing.assert_allclose(hazy, 0.5 * RAMP + 0.4)


def test_low_contrast_is_the_measured_line() -> None:
    np.testing.assert_allclose(LowContrast(0.5, 0.3).apply(RAMP, rng()), 0.5 * RAMP + 0.3)


def test_stripes_are_the_same_in_every_row_and_channel() -> None:
    image = np.repeat(RAMP[..., None], 3, 2)
    added = Stripes(3.0).apply(image, rng()) - image
    np.testing.assert_allclose(added, np.broadcast_to(added[:1, :, :1], added.shape), atol=1e-12)
    wide = Stripes(3.0, 0.25).apply(np.zeros((2, 4000)), rng())
    assert (wide[0] != 0).mean() == pytest.approx(0.25, abs=0.03)


def test_noise_is_white_and_each_channel_has_its_own() -> None:
    noise = Noise(10.0).apply(np.full((80, 80, 3), 0.5), rng()) - 0.5
    assert noise.std() * 255 == pytest.approx(10, rel=0.03)
    flat = noise.reshape(-1, 3)
    assert np.abs(np.corrcoef(flat.T) - np.eye(3)).max() < 0.05
    assert abs(np.corrcoef(noise[:, 1:, 0].ravel(), noise[:, :-1, 0].ravel())[0, 1]) < 0.05


# ---- together -------------------------------------------------------------------------------


def test_physical_order_whatever_the_order_asked_for() -> None:
    noise, dark = Noise(10.0), LowLight(2.0, 1.0)
    one, other = (impair(RAMP, both, rng()) for both in ((noise, dark), (dark, noise)))
    np.testing.assert_array_equal(one, other)
    last = one - dark.apply(RAMP, rng())
    assert last.std() * 255 == pytest.approx(10, rel=0.05), "noise after the dark"


@pytest.mark.parametrize("odds", [VISIBLE, INFRARED])
def test_odds_of_training(odds: dict[Kind, float]) -> None:
    counts = dict.fromkeys(KINDS, 0)
    for seed in range(400):
        kinds = [one.kind for one in draw_all(odds, rng(seed))]
        assert set(kinds) <= set(odds)
        assert not {"lowlight", "haze"} <= set(kinds)
        for kind in kinds:
            counts[kind] += 1
    both = odds.get("lowlight", 0) * odds.get("haze", 0)
    for kind, share in odds.items():
        expected = share - (both / 2 if kind in ("lowlight", "haze") else 0)
        assert counts[kind] / 400 == pytest.approx(expected, abs=0.08)


# ---- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [False, True])
def test_sixteen_bits_keep_their_levels(colour: bool) -> None:
    shape = (40, 50, 3) if colour else (40, 50)
    pixels = rng().integers(9000, 50000, shape).astype(np.uint16)
    flat = (LowContrast(0.5, 0.25),)
    found = impair_image(Image(pixels, "a.png", "0" * 64), flat, rng())
    assert (found.bits, found.colour) == (16, colour)
    assert (found.path, found.sha256) == (None, None)
    expected = 0.5 * pixels.astype(np.float64) + 0.25 * 65535
    np.testing.assert_allclose(found.pixels, expected, atol=0.51)
    assert len(np.unique(found.pixels)) > 256
    small = impair_image(Image((pixels >> 8).astype(np.uint8)), flat, rng())
    np.testing.assert_allclose(small.pixels, 0.5 * (pixels >> 8) + 0.25 * 255, atol=0.51)


def test_nothing_leaves_the_image_alone() -> None:
    image = Image(np.zeros((2, 2), np.uint8), "a.png")
    assert impair_image(image, (), rng()) is image
