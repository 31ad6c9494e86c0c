"""What dark pictures would look like lit."""

from __future__ import annotations

import numpy as np
import pytest

from drfuse_cli.lighting import LIT, lit


def night(mean: float, dtype: type = np.uint8, colour: bool = False) -> np.ndarray:
    """Mostly dark, with a lamp."""
    rng = np.random.default_rng(0)
    dark = rng.exponential(mean, (48, 64, 3) if colour else (48, 64)).clip(0, 1)
    dark[:4, :4] = 1
    return np.rint(dark * np.iinfo(dtype).max).astype(dtype)


def level(image: np.ndarray) -> float:
    return float(image.mean() / np.iinfo(image.dtype).max)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_darker_the_picture_the_more_light_it_gets(dtype: type) -> None:
    means = [level(lit(night(mean, dtype))) for mean in (0.05, 0.1, 0.2, 0.3)]
    assert means == sorted(means)
    assert 0.24 < means[0] < 0.3
    assert means[-1] < LIT


def test_a_picture_that_is_not_dark_stays_as_it_is() -> None:
    day = np.full((16, 16), 120, np.uint8)
    assert lit(day) is day


def test_order_black_and_white_stay() -> None:
    ramp = np.arange(256, dtype=np.uint8).repeat(np.arange(256, 0, -1) ** 2)[None]
    light = lit(ramp)
    assert (np.diff(light.astype(int)) >= 0).all()
    assert (light >= ramp).all()
    assert (light[0, 0], light[0, -1]) == (0, 255)


def test_colours_keep_their_hue() -> None:
    dark = night(0.06, colour=True)
    light = lit(dark)
    free = (light.max(-1) < 255) & (dark.max(-1) > 20)
    before, after = (x[free] / x[free].sum(-1, keepdims=True) for x in (dark, light))
    assert free.sum() > 500
    assert np.abs(before - after).max() < 0.02


def test_black_stays_black() -> None:
    black = np.zeros((8, 8), np.uint8)
    assert not lit(black).any()
