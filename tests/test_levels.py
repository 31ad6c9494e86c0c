"""Gain control of thermal pictures and cameras of few bits: what is kept, and the way back."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from drfuse_cli.config import Agc, Task
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.scenes import render
from drfuse_cli.sources.levels import Levels, find_common, find_levels

TARGET = np.s_[40:43, 60:63]


@cache
def scene() -> Image:
    return render("crossing", 160, 120)[0]


def thermal(low: float = 7000, span: float = 1400, noise: float = 0, seed: int = 0) -> Image:
    """A scene in counts, with a target that is hotter than all else by as much again."""
    counts = low + span * (scene().pixels / 255)
    counts = counts + noise * np.random.default_rng(seed).normal(size=counts.shape)
    counts[TARGET] = low + 2 * span + np.arange(9).reshape(3, 3)
    return Image(np.round(counts).astype(np.uint16))


VISIBLE = Image(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))


def levels_of(image: Image, agc: Agc = "auto", task: Task = "ivif") -> Levels | None:
    return find_levels((image, VISIBLE), task, agc)[0]


def stretched(image: Image, agc: Agc = "percentile") -> Levels:
    found = levels_of(image, agc)
    assert found is not None
    return found


# ---- when ---------------------------------------------------------------------------------------


def test_auto_stretches_what_fills_little_of_16_bits() -> None:
    assert stretched(thermal(), "auto").kind == "percentile"
    assert levels_of(thermal(), "none") is None
    assert levels_of(thermal(span=40000 / 2)) is None
    assert levels_of(scene()) is None  # 8 bits
    assert levels_of(Image(np.stack([thermal().pixels] * 3, -1))) is None
    assert levels_of(thermal(), task="multifocus") is None
    assert levels_of(thermal(), task="medical") is None


def test_the_bounds_of_auto() -> None:
    ramp = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    assert levels_of(Image((20000 + 8000 * ramp).astype(np.uint16))) is not None
    assert levels_of(Image((20000 + 8400 * ramp).astype(np.uint16))) is None
    outliers = (20000 + 8000 * ramp).astype(np.uint16)
    outliers[0, :2] = 0, 65535  # two dead pixels are no range
    assert levels_of(Image(outliers)) is not None


def test_a_constant_picture_has_no_range() -> None:
    flat = Image(np.full((20, 30), 8000, np.uint16))
    assert levels_of(flat) is levels_of(flat, "clahe") is None


@pytest.mark.parametrize("agc", ["percentile", "clahe"])
def test_colour_is_refused(agc: Agc) -> None:
    with pytest.raises(DrfuseError, match="has colour") as caught:
        find_levels((replace(VISIBLE, path="palette.png"), VISIBLE), "ivif", agc)
    assert caught.value.path == "palette.png"


# ---- what becomes of a picture -----------------------------------------------------------------


@pytest.mark.parametrize("noise", [0, 6])
def test_no_count_is_lost_and_all_come_back(noise: float) -> None:
    image = thermal(noise=noise)
    levels = stretched(image)
    taken = levels.apply(image)
    assert taken.bits == 16
    assert (taken.pixels.min(), taken.pixels.max()) == (0, 65535)
    np.testing.assert_array_equal(levels.undo(taken).pixels, image.pixels)
    assert levels.clipped(image) == 0
    order = np.argsort(image.pixels, axis=None, kind="stable")
    assert (np.diff(taken.pixels.ravel()[order].astype(int)) >= 0).all()


def test_a_target_far_out_costs_the_rest_no_more_than_a_fifth() -> None:
    image = thermal(span=300)
    image.pixels[TARGET] += 20000
    levels = stretched(image)
    assert not levels.linear
    taken = levels.apply(image).pixels
    background = np.delete(taken.ravel(), np.ravel_multi_index(np.mgrid[40:43, 60:63], taken.shape))
    assert 0.75 * 65535 < np.ptp(background.astype(int)) <= 0.81 * 65535
    assert taken[TARGET].min() > background.max()
    assert "most of it is for 70" in levels.describe()


def test_without_targets_it_is_one_straight_line() -> None:
    ramp = Image(np.linspace(7000, 9000, 64 * 64).round().astype(np.uint16).reshape(64, 64))
    levels = stretched(ramp)
    assert levels.knots == ((7000.0, 0.0), (9000.0, 1.0))
    assert levels.gain == pytest.approx(65535 / 2000)
    assert levels.describe() == "gain control: 7000 becomes black, 9000 white"


def test_noise_grows_by_the_gain() -> None:
    clean, noisy = thermal(), thermal(noise=6)
    levels = stretched(noisy)
    before = (noisy.pixels.astype(float) - clean.pixels).std()
    after = levels.apply(noisy).pixels.astype(float) - levels.apply(clean).pixels
    assert after.std() == pytest.approx(levels.noise_gain * before, rel=0.05)


@pytest.mark.parametrize("spike", [0, 5000])
def test_a_wall_stays_flat(spike: int) -> None:
    pixels = np.random.default_rng(0).normal(8000, 3, (120, 160)).round().astype(np.uint16)
    pixels[5, 5] += spike
    image = Image(pixels)
    levels = stretched(image, "auto")
    assert levels.gain <= 257.0001
    assert levels.apply(image).pixels.std() < 4 * 257
    np.testing.assert_array_equal(levels.undo(levels.apply(image)).pixels, pixels)


def test_8_bits_stay_8_bits() -> None:
    dull = Image((100 + scene().pixels // 4).astype(np.uint8))
    taken = stretched(dull).apply(dull)
    assert (taken.bits, taken.pixels.min(), taken.pixels.max()) == (8, 0, 255)


def test_clahe_evens_out_and_cannot_be_undone() -> None:
    image = thermal(noise=1)
    image.pixels[:, 80:] += 6000  # half of it stands in the sun
    plain, even = stretched(image), stretched(image, "clahe")

    def contrast(levels: Levels) -> float:
        return float(levels.apply(image).pixels[:, :75].std())

    assert contrast(even) > 1.5 * contrast(plain)
    taken = even.apply(image)
    assert taken.pixels[TARGET].mean() > np.percentile(taken.pixels[20:60, 40:78], 99)
    assert even.undo(taken) is taken
    assert even.noise_gain == 1
    assert "cannot be undone" in even.describe()
    assert even.document()["reversible"] is False
    dull = Image((100 + scene().pixels // 4).astype(np.uint8))
    assert stretched(dull, "clahe").apply(dull).pixels.std() > 2 * dull.pixels.std()


def test_the_sidecar_tells_the_mapping() -> None:
    image = thermal()
    levels = stretched(image)
    told = levels.document()
    assert (told["low"], told["high"]) == (image.pixels.min(), image.pixels.max())
    counts, taken = zip(*told["knots"], strict=True)
    again = np.interp(image.pixels, counts, taken)
    np.testing.assert_allclose(again, levels.apply(image).pixels, atol=0.51)


# ---- values of a file that are no counts -------------------------------------------------------


def test_degrees_in_floating_point() -> None:
    image = replace(thermal(), unit=(-273.15, 0.04))
    levels = stretched(image, "auto")
    assert levels.document()["low"] == pytest.approx(image.pixels.min() * 0.04 - 273.15)
    assert levels.noise_gain == 1
    taken = levels.apply(image)
    assert levels.undo(taken) is taken


# ---- cameras of few bits -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peak", "bits"),
    [(255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, None), (65535, None)],
)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_bits_in_use(peak: int, bits: int | None, channels: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, peak, (20, 30, *channels), np.uint16)
    pixels[0, 0] = peak
    image = Image(pixels)
    levels = find_levels((scene(), image), "ivif", "auto")[1]
    if bits is None:
        assert levels is None
        return
    assert levels is not None
    assert f"{bits} bits in a 16-bit file" in levels.describe()
    taken = levels.apply(image)
    np.testing.assert_allclose(taken.pixels, pixels * (65535 / (2**bits - 1)), atol=0.5)
    np.testing.assert_array_equal(levels.undo(taken).pixels, pixels)
    assert find_levels((scene(), image), "ivif", "none")[1] is None
    assert find_levels((scene(), image), "medical", "auto")[1] is None


def test_black_is_no_camera() -> None:
    black = Image(np.zeros((4, 5), np.uint16))
    assert find_levels((black, black), "multifocus", "auto") == (None, None)


def test_both_of_a_multifocus_pair_alike() -> None:
    rng = np.random.default_rng(0)
    dim, bright = (Image(rng.integers(0, n, (20, 30), np.uint16)) for n in (900, 4000))
    near, far = find_levels((dim, bright), "multifocus", "auto")
    assert near == far
    assert near is not None
    assert "12 bits" in near.describe()
    full = Image(rng.integers(0, 65536, (20, 30), np.uint16))
    assert find_levels((dim, full), "multifocus", "auto") == (None, None)
    assert find_levels((dim, scene()), "multifocus", "auto") == (None, None)


# ---- sequences ----------------------------------------------------------------------------------


def test_one_mapping_for_all_frames_with_room_to_spare() -> None:
    frames = [(thermal(low, noise=3, seed=low), VISIBLE) for low in (7000, 7100, 7300)]
    levels, other = find_common(frames, "ivif", "auto")
    assert other is None
    assert levels is not None
    assert all(levels.clipped(first) == 0 for first, _ in frames)
    assert levels.clipped(thermal(7350)) == 0
    assert levels.clipped(thermal(9000)) > 0
    np.testing.assert_array_equal(
        levels.undo(levels.apply(frames[0][0])).pixels, frames[0][0].pixels
    )
    ramp = Image(np.linspace(7000, 9000, 64 * 64).round().astype(np.uint16).reshape(64, 64))
    straight, _ = find_common([(ramp, VISIBLE)], "ivif", "auto")
    assert straight is not None
    assert straight.linear
    assert straight.gain == pytest.approx(65535 / 2400)


def test_frames_of_different_cameras() -> None:
    with pytest.raises(DrfuseError, match="differ in depth"):
        find_common([(thermal(), VISIBLE), (scene(), VISIBLE)], "ivif", "auto")
    kelvin = [replace(thermal(), unit=(zero, 0.01)) for zero in (273.0, 274.0)]
    with pytest.raises(DrfuseError, match="no common scale"):
        find_common([(image, VISIBLE) for image in kelvin], "ivif", "auto")
