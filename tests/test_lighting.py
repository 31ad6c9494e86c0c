"""What dark pictures would look like lit."""

from __future__ import annotations

import numpy as np

from drfuse_cli.training.lighting import LIT, lit


def night(mean: float, colour: bool = False) -> np.ndarray:
    """Patches, mostly dark, and a lamp."""
    rng = np.random.default_rng(0)
    dark = rng.exponential(mean, (12, 16, 3) if colour else (12, 16)).clip(0, 1)
    dark[0, 0] = 1
    return np.rint(255 * dark.repeat(8, 0).repeat(8, 1)).astype(np.uint8)


def test_the_darker_the_picture_the_more_light_it_gets() -> None:
    means = [lit(night(mean)).mean() / 255 for mean in (0.05, 0.1, 0.2, 0.3)]
    assert means == sorted(means)
    assert 0.24 < means[0] < 0.3
    assert means[-1] < LIT


def test_a_picture_that_is_not_dark_stays_as_it_is() -> None:
    day = np.full((16, 16), 120, np.uint8)
    assert lit(day) is day


def test_order_and_both_ends_stay() -> None:
    ramp = np.arange(256, dtype=np.uint8).repeat(np.arange(256, 0, -1) // 8 + 1)[None].repeat(8, 0)
    light = lit(ramp)
    assert (np.diff(light.astype(int)) >= -1).all()
    assert (light.astype(int) + 2 >= ramp).all()
    assert light[0, 0] == 0
    assert light[0, -1] >= 254


def test_the_strongest_channel_of_a_colour_stays_so() -> None:
    dark = night(0.06, colour=True)
    light = lit(dark)
    clear = np.sort(dark, -1)[..., 2] > np.sort(dark, -1)[..., 1] + 12
    assert clear.sum() > 500
    assert (light.argmax(-1) == dark.argmax(-1))[clear].mean() > 0.99


def test_grain_of_the_dark_is_not_brought_to_light() -> None:
    grain = np.random.default_rng(0).normal(16, 1.5, (64, 64))
    noisy = np.rint(grain).clip(0, 255).astype(np.uint8)
    assert lit(noisy).std() < noisy.std()


def test_black_stays_black() -> None:
    black = np.zeros((8, 8), np.uint8)
    assert not lit(black).any()
