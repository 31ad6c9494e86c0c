"""Luma, chroma, and the way back to pixels."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from drfuse_cli.colour import (
    CB_NOISE_GAIN,
    CR_NOISE_GAIN,
    LUMA_NOISE_GAIN,
    join,
    luma,
    luma8,
    quantise,
    rgb_to_ycbcr,
    split,
    ycbcr_to_rgb,
)
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image


def noise(*shape: int, bits: int = 8, seed: int = 0) -> np.ndarray:
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bits, shape, dtype=dtype)


def cube(bits: int) -> np.ndarray:
    """Every combination of 26 levels, black, white and the primaries among them."""
    levels = np.linspace(0, 2**bits - 1, 26).astype(np.uint8 if bits == 8 else np.uint16)
    return np.stack(np.meshgrid(levels, levels, levels), -1).reshape(26, -1, 3)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((1, 1, 1), (1, 0, 0)),
        ((1, 0, 0), (0.299, -0.168735892, 0.5)),
        ((0, 1, 0), (0.587, -0.331264108, -0.418687589)),
        ((0, 0, 1), (0.114, 0.5, -0.081312411)),
    ],
)
def test_primaries(rgb: tuple[float, ...], expected: tuple[float, ...]) -> None:
    result = rgb_to_ycbcr(np.array([[rgb]], np.float64))
    np.testing.assert_allclose([plane[0, 0] for plane in result], expected, atol=1e-9)


def test_agrees_with_pillow_within_a_level() -> None:
    pixels = cube(8)
    theirs = np.array(PIL.Image.fromarray(pixels).convert("YCbCr"), np.float64)
    ours = 255 * np.stack(rgb_to_ycbcr(pixels / 255), -1) + [0, 128, 128]
    assert np.abs(theirs - ours).max() < 1.01


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 1e-6)])
def test_inverse_is_exact_and_keeps_the_dtype(dtype: type, tolerance: float) -> None:
    rgb = (noise(40, 50, 3) / 255).astype(dtype)
    planes = rgb_to_ycbcr(rgb)
    back = ycbcr_to_rgb(*planes)
    assert {back.dtype, *(plane.dtype for plane in planes)} == {np.dtype(dtype)}
    assert np.abs(back - rgb).max() < tolerance


def test_noise_gains() -> None:
    gains = [LUMA_NOISE_GAIN, CB_NOISE_GAIN, CR_NOISE_GAIN]
    np.testing.assert_allclose(gains, [0.6685, 0.6230, 0.6572], atol=1e-4)
    planes = rgb_to_ycbcr(np.random.default_rng(0).standard_normal((400, 400, 3)))
    measured = [plane.std() for plane in planes]
    assert measured == pytest.approx(gains, rel=0.01)


@pytest.mark.parametrize("bits", [8, 16])
def test_split_and_join_return_every_pixel(bits: int) -> None:
    for pixels in (cube(bits), noise(300, 400, 3, bits=bits), noise(30, 40, bits=bits)):
        y, chroma = split(Image(pixels))
        assert y.dtype == np.float32
        assert y.shape == pixels.shape[:2]
        result = join(y, chroma, bits).pixels
        assert result.dtype == pixels.dtype
        np.testing.assert_array_equal(result, pixels)


def test_split_ranges_and_shapes() -> None:
    y, chroma = split(Image(cube(8)))
    assert chroma is not None
    assert chroma.shape == (2, *y.shape)
    assert chroma.dtype == np.float32
    assert (y.min(), y.max()) == pytest.approx((0, 1), abs=1e-6)
    assert (chroma.min(), chroma.max()) == pytest.approx((-0.5, 0.5), abs=1e-6)
    assert split(Image(noise(4, 5)))[1] is None


def test_grey_has_no_chroma() -> None:
    grey = noise(20, 30, bits=16)
    y, chroma = split(Image(np.repeat(grey[..., None], 3, 2)))
    assert chroma is not None
    assert np.abs(chroma).max() < 1e-6
    np.testing.assert_allclose(y, grey / 65535, atol=1e-6)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
@pytest.mark.parametrize("bits", [8, 16])
def test_luma_is_the_first_plane(shape: tuple[int, ...], bits: int) -> None:
    image = Image(noise(*shape, bits=bits))
    result = luma(image.pixels, image.max_value)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, split(image)[0], atol=1e-6)


def test_luma8_rounds_exact_halves_up() -> None:
    r, g, b = np.meshgrid(np.arange(0, 256, 3), np.arange(256), np.arange(0, 256, 5))
    thousands = 299 * r + 587 * g + 114 * b
    halves = thousands % 1000 == 500
    assert halves.sum() > 100
    pixels = np.stack([r, g, b], -1).astype(np.uint8).reshape(256, -1, 3)
    expected = np.where(halves, thousands // 1000 + 1, np.rint(thousands / 1000))
    result = luma8(Image(pixels))
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, expected.reshape(256, -1))


def test_luma8_of_grey_and_of_16_bits() -> None:
    grey, colour = noise(20, 30), noise(20, 30, 3)
    np.testing.assert_array_equal(luma8(Image(grey)), grey)
    for pixels in (grey, colour):
        deep = Image(pixels.astype(np.uint16) * 257)
        np.testing.assert_array_equal(luma8(deep), luma8(Image(pixels)))
    edges = np.array([[0, 128, 129, 65535 - 129, 65535 - 128, 65535]], np.uint16)
    np.testing.assert_array_equal(luma8(Image(edges)), [[0, 0, 1, 254, 255, 255]])


@pytest.mark.parametrize("bits", [8, 16])
def test_quantise_rounds_and_clips(bits: int) -> None:
    white = 2**bits - 1
    levels = np.array([-3.0, -0.1, 0.4, 0.5, 0.6, 9.99, 10.49, 10.5, white - 0.4, white + 9])
    expected = [0, 0, 0, 1, 1, 10, 10, 11, white, white]
    result = quantise(levels / white, bits)
    assert result.dtype == (np.uint8 if bits == 8 else np.uint16)
    np.testing.assert_array_equal(result, expected)


def test_join_clips_colours_outside_the_cube() -> None:
    y = np.full((1, 2), 0.9, np.float32)
    chroma = np.array([[[0.5, -0.5]], [[0.5, -0.5]]], np.float32)
    np.testing.assert_array_equal(join(y, chroma, 8).pixels[0], [[255, 95, 255], [51, 255, 4]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("error")
def test_values_that_are_not_numbers_never_become_pixels(value: float) -> None:
    y = np.full((3, 4), 0.5, np.float32)
    y[1, 2] = value
    with pytest.raises(DrfuseError, match="not numbers"):
        join(y, None, 8)
    with pytest.raises(DrfuseError, match="not numbers"):
        join(np.full((3, 4), 0.5, np.float32), np.stack([y, y]), 16)
